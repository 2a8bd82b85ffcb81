"""What the database itself refuses, how the hot tables are stored, and the table of the shared cache."""

from django.db import migrations

GUARDS = """
CREATE FUNCTION winnow_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% rows are never changed; add a new one', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER text_immutable BEFORE UPDATE ON annotation_text
  FOR EACH ROW EXECUTE FUNCTION winnow_refuse_change();
CREATE TRIGGER form_revision_immutable BEFORE UPDATE ON annotation_formrevision
  FOR EACH ROW WHEN (OLD.questions IS DISTINCT FROM NEW.questions OR OLD.number <> NEW.number)
  EXECUTE FUNCTION winnow_refuse_change();
CREATE TRIGGER guideline_revision_immutable BEFORE UPDATE ON annotation_guidelinerevision
  FOR EACH ROW WHEN (OLD.text <> NEW.text OR OLD.number <> NEW.number)
  EXECUTE FUNCTION winnow_refuse_change();
CREATE TRIGGER annotation_append_only BEFORE UPDATE ON annotation_annotation
  FOR EACH ROW WHEN (
    OLD.answers IS DISTINCT FROM NEW.answers OR OLD.outcome <> NEW.outcome OR OLD.vote IS DISTINCT FROM NEW.vote
    OR OLD.comparison_id <> NEW.comparison_id OR OLD.rater_id <> NEW.rater_id
    OR OLD.submit_key IS DISTINCT FROM NEW.submit_key OR OLD.created_at <> NEW.created_at)
  EXECUTE FUNCTION winnow_refuse_change();
"""

GUARDS_BACK = """
DROP TRIGGER text_immutable ON annotation_text;
DROP TRIGGER form_revision_immutable ON annotation_formrevision;
DROP TRIGGER guideline_revision_immutable ON annotation_guidelinerevision;
DROP TRIGGER annotation_append_only ON annotation_annotation;
DROP FUNCTION winnow_refuse_change() CASCADE;
"""

STORAGE = """
ALTER TABLE annotation_demand SET (fillfactor = 75, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 2000);
ALTER TABLE annotation_assignment SET (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02);
ALTER TABLE annotation_participation SET (fillfactor = 60);
"""

CACHE = """
CREATE TABLE webapp_cache (cache_key varchar(255) PRIMARY KEY, value text NOT NULL, expires timestamptz NOT NULL);
CREATE INDEX webapp_cache_expires ON webapp_cache (expires);
"""


class Migration(migrations.Migration):
    dependencies = [("annotation", "0001_tables")]
    operations = [
        migrations.RunSQL(GUARDS, GUARDS_BACK),
        migrations.RunSQL(STORAGE, migrations.RunSQL.noop),
        migrations.RunSQL(CACHE, "DROP TABLE webapp_cache"),
    ]
