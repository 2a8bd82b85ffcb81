"""What a judge of three labels gives to a tie."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pipelines", "0002_guards")]
    operations = [
        migrations.AddField(
            "prediction",
            "p_tie",
            models.FloatField(null=True, help_text="half of it is in p_first; 0 for a judge of two labels"),
        )
    ]
