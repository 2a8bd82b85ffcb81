"""A frozen version and its rows are never changed or deleted, whoever asks; how the work table is stored."""

from django.db import migrations

GUARDS = """
CREATE FUNCTION winnow_refuse_frozen_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'Version % is frozen; freeze a new one instead', OLD.name USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER version_frozen BEFORE UPDATE OR DELETE ON pipelines_datasetversion
  FOR EACH ROW WHEN (OLD.state = 'frozen') EXECUTE FUNCTION winnow_refuse_frozen_version();

CREATE FUNCTION winnow_refuse_frozen_row() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE subject bigint;
BEGIN
  IF TG_OP = 'INSERT' THEN subject := NEW.version_id; ELSE subject := OLD.version_id; END IF;
  IF EXISTS (SELECT 1 FROM pipelines_datasetversion WHERE id = subject AND state = 'frozen') THEN
    RAISE EXCEPTION 'The version of this row is frozen; freeze a new one instead' USING ERRCODE = 'restrict_violation';
  END IF;
  IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
  RETURN NEW;
END $$;
CREATE TRIGGER version_row_frozen BEFORE UPDATE OR DELETE ON pipelines_versionrow
  FOR EACH ROW EXECUTE FUNCTION winnow_refuse_frozen_row();
CREATE TRIGGER version_drop_frozen BEFORE INSERT OR UPDATE OR DELETE ON pipelines_versiondrop
  FOR EACH ROW EXECUTE FUNCTION winnow_refuse_frozen_row();

CREATE FUNCTION winnow_refuse_rows_of_frozen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM new_rows n JOIN pipelines_datasetversion v ON v.id = n.version_id AND v.state = 'frozen') THEN
    RAISE EXCEPTION 'A frozen version takes no more rows' USING ERRCODE = 'restrict_violation';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER version_row_not_after_freeze AFTER INSERT ON pipelines_versionrow
  REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION winnow_refuse_rows_of_frozen();
"""

GUARDS_BACK = """
DROP TRIGGER version_frozen ON pipelines_datasetversion;
DROP TRIGGER version_row_frozen ON pipelines_versionrow;
DROP TRIGGER version_drop_frozen ON pipelines_versiondrop;
DROP TRIGGER version_row_not_after_freeze ON pipelines_versionrow;
DROP FUNCTION winnow_refuse_frozen_version();
DROP FUNCTION winnow_refuse_frozen_row();
DROP FUNCTION winnow_refuse_rows_of_frozen();
"""

STORAGE = """
ALTER TABLE pipelines_workitem SET (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500);
"""


class Migration(migrations.Migration):
    dependencies = [("pipelines", "0001_tables"), ("annotation", "0002_guards")]
    operations = [migrations.RunSQL(GUARDS, GUARDS_BACK), migrations.RunSQL(STORAGE, migrations.RunSQL.noop)]
