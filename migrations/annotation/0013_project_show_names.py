from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("annotation", "0012_demand_closed")]

    operations = [
        migrations.AddField(
            model_name="project",
            name="show_names",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="annotators see under My answers which models wrote what they judged, once its batch is over",
            ),
        ),
    ]
