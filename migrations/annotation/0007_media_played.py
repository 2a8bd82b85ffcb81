from django.db import migrations, models

HAS_MEDIA = """
UPDATE annotation_project p SET has_media = true WHERE EXISTS (
  SELECT 1 FROM annotation_mediause u JOIN annotation_import i ON i.id = u.source_import_id WHERE i.project_id = p.id)
"""


class Migration(migrations.Migration):
    dependencies = [("annotation", "0006_media")]

    operations = [
        migrations.AddField(model_name="media", name="seconds", field=models.FloatField(null=True)),
        migrations.AddField(
            model_name="project",
            name="media_seconds",
            field=models.PositiveSmallIntegerField(
                db_default=5, default=5, help_text="seconds of each sound and film to be played before an answer; 0: none"
            ),
        ),
        migrations.AddField(
            model_name="project",
            name="media_percent",
            field=models.PositiveSmallIntegerField(
                db_default=0, default=0, help_text="per cent of each sound and film to be played before an answer; 0: none"
            ),
        ),
        migrations.AddField(
            model_name="project",
            name="has_media",
            field=models.BooleanField(
                db_default=False, default=False, help_text="an import brought sounds, films or images"
            ),
        ),
        migrations.RunSQL(HAS_MEDIA, migrations.RunSQL.noop),
        migrations.AddConstraint(
            model_name="project",
            constraint=models.CheckConstraint(
                condition=models.Q(("media_percent__lte", 100)), name="project_media_within_100"
            ),
        ),
    ]
