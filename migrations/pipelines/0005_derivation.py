"""Pairs and single completions whose labels rest on rankings, ratings and yes or no; yes and no as outcomes."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q



class Migration(migrations.Migration):
    dependencies = [("pipelines", "0004_graded_labels"), ("annotation", "0006_media")]

    operations = [
        migrations.CreateModel(
            name="Derivation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "comparison",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="derivations",
                        to="annotation.comparison",
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="derived", to="annotation.comparison"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("comparison", "source"), name="derivation_once")]
            },
        ),
        migrations.RemoveConstraint("preferencerevision", "preference_tie_has_neither"),
        migrations.AddConstraint(
            "preferencerevision",
            models.CheckConstraint(
                condition=(Q(outcome="tie") & Q(chosen__isnull=True) & Q(rejected__isnull=True))
                | (Q(outcome__in=["first", "second"]) & Q(chosen__isnull=False) & Q(rejected__isnull=False))
                | (Q(outcome="yes") & Q(chosen__isnull=False) & Q(rejected__isnull=True))
                | (Q(outcome="no") & Q(chosen__isnull=True) & Q(rejected__isnull=False)),
                name="preference_outcome_has_its_own",
            ),
        ),
    ]
