"""Three checks of foreign keys less a label, a pointer that turns within its page; revisions go with their preference."""

import django.db.models.deletion
from django.db import migrations, models

# After the fact, and as things are then: a refit may have pointed at a newer revision while the deletion waited.
TAKE_ALONG = """
CREATE FUNCTION winnow_preference_takes_revisions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM pipelines_preferencerevision r USING old_rows o WHERE r.preference_id = o.id;
  RETURN NULL;
END $$;
CREATE TRIGGER preference_takes_revisions AFTER DELETE ON pipelines_preference
  REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION winnow_preference_takes_revisions();
"""
TAKE_ALONG_BACK = """
DROP TRIGGER preference_takes_revisions ON pipelines_preference;
DROP FUNCTION winnow_preference_takes_revisions();
"""
# A refit turns nearly every pointer: with room on its page a row moves without touching the indexes.
ROOM = "ALTER TABLE pipelines_preference SET (fillfactor = 50)"


class Migration(migrations.Migration):
    dependencies = [("pipelines", "0010_rater_steps")]

    operations = [
        migrations.AlterField(
            "preference",
            "project",
            models.ForeignKey(
                db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name="preferences",
                to="annotation.project",
            ),
        ),
        migrations.AlterField(
            "preference",
            "current",
            models.ForeignKey(
                db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name="+",
                to="pipelines.preferencerevision",
            ),
        ),
        migrations.AlterField(
            "preferencerevision",
            "preference",
            models.ForeignKey(
                db_constraint=False, on_delete=django.db.models.deletion.CASCADE, related_name="revisions",
                to="pipelines.preference",
            ),
        ),
        migrations.RunSQL(TAKE_ALONG, TAKE_ALONG_BACK),
        migrations.RunSQL(ROOM, migrations.RunSQL.noop),
    ]
