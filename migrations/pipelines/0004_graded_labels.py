"""What the graded model knows of a preference beyond its direction."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pipelines", "0003_prediction_p_tie")]

    operations = [
        migrations.AddField(
            "preferencerevision", name, models.FloatField(null=True, help_text=help_text)
        )
        for name, help_text in (
            ("strength_se", "standard error of strength"),
            ("ambiguity", "nats that reliable raters would leave open after endless votes"),
            ("ignorance", "nats that more votes can remove"),
        )
    ]
