"""One's own keys on the annotation page; whether a project shows a judge's opinion after one's own answer."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("annotation", "0004_annotated")]

    operations = [
        migrations.AddField(
            model_name="project",
            name="show_opinion",
            field=models.CharField(
                choices=[("off", "Off"), ("after", "After"), ("arm", "Arm")],
                default="off",
                help_text="a judge's opinion after one's own answer",
                max_length=5,
            ),
        ),
        migrations.AddField(
            model_name="user",
            name="annotation_keys",
            field=models.JSONField(
                default=dict, help_text="{on, map: {key as shipped: own key}}; {} for as shipped"
            ),
        ),
    ]
