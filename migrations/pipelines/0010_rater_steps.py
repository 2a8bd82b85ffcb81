"""What the votes since a refit say of a rater."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("annotation", "0001_tables"), ("pipelines", "0009_predictions_under_labels")]

    operations = [
        migrations.CreateModel(
            "RaterStep",
            [
                (
                    "id",
                    models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID"),
                ),
                (
                    "annotations",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.BigIntegerField(), help_text="learnt from, all later than the refit", size=None
                    ),
                ),
                ("state", models.JSONField()),
                (
                    "run",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE,
                        related_name="rater_steps", to="pipelines.aggregationrun",
                    ),
                ),
                (
                    "rater",
                    models.ForeignKey(
                        db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="+",
                        to="annotation.rater",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("run", "rater"), name="rater_step_once")]
            },
        )
    ]
