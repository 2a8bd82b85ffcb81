from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("annotation", "0011_sessions")]

    operations = [
        migrations.AddField(
            model_name="demand",
            name="closed",
            field=models.BooleanField(
                db_default=False, default=False, help_text="a routing plan sends it to a model; only a plan opens it again"
            ),
        ),
    ]
