"""Results about a project as a whole have a table of their own; what the newest job on drivers found moves there."""

import django.db.models.deletion
from django.db import migrations, models

MOVE = """
INSERT INTO pipelines_analysis (project_id, kind, number, version, votes, result, job_id, created_at)
SELECT DISTINCT ON (project_id) project_id, 'drivers', 1, coalesce(result->>'version', ''), 0, result, id,
  coalesce(finished_at, created_at)
FROM pipelines_job WHERE kind = 'drivers' AND state = 'done' AND result ? 'sides' ORDER BY project_id, id DESC
"""


class Migration(migrations.Migration):
    dependencies = [("annotation", "0006_media"), ("pipelines", "0006_version_unseen")]

    operations = [
        migrations.CreateModel(
            "Analysis",
            [
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("kind", models.CharField(max_length=24)),
                ("number", models.PositiveIntegerField()),
                ("version", models.CharField(max_length=20)),
                ("votes", models.BigIntegerField(default=0)),
                ("result", models.JSONField(default=dict)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "job",
                    models.ForeignKey(
                        "pipelines.Job", db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+"
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        "annotation.Project", on_delete=django.db.models.deletion.CASCADE, related_name="analyses"
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        "pipelines.AggregationRun", null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="analyses"
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=["project", "kind", "number"], name="analysis_once")]
            },
        ),
        migrations.RunSQL(MOVE, migrations.RunSQL.noop),
    ]
