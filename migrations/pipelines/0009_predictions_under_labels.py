"""How many judges' predictions are under a label; and refits of a million votes without three checks a label."""

from django.db import migrations, models
from django.db.models.deletion import CASCADE, PROTECT


class Migration(migrations.Migration):
    dependencies = [("pipelines", "0008_rater_groups")]

    operations = [
        migrations.AddField(
            "preferencerevision",
            "predictions",
            models.IntegerField(default=0, db_default=0, help_text="judges whose predictions are under it"),
        ),
        migrations.AlterField(
            "preferencerevision",
            "run",
            models.ForeignKey(
                null=True, on_delete=CASCADE, related_name="preference_revisions", to="pipelines.aggregationrun",
                db_constraint=False,
            ),
        ),
        *(
            migrations.AlterField(
                "preferencerevision",
                name,
                models.ForeignKey(
                    null=True, on_delete=PROTECT, related_name="+", to="annotation.completion", db_index=False,
                    db_constraint=False,
                ),
            )
            for name in ("chosen", "rejected")
        ),
    ]
