"""Offers and groups, cursors, wanted of a batch and of one comparison, and the rule that keeps cursors true."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

# A single comparison that opens again, or changes whom it is set aside for, goes to the front, of which no cursor speaks.
# Changes of many places leave it where it stands and void the cursors (`CHANGING` in annotation/services/assignment_sql.py).
REOPENED = """
CREATE FUNCTION winnow_demand_to_front() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.pool := -1;
  RETURN NEW;
END $$;
CREATE TRIGGER demand_reopened BEFORE UPDATE ON annotation_demand FOR EACH ROW
  WHEN (NEW.done + NEW.leased < NEW.wanted AND NOT NEW.held_back
        AND (NOT OLD.is_open OR OLD.reserved_for <> NEW.reserved_for)
        AND current_setting('winnow.bulk', true) IS DISTINCT FROM 'on')
  EXECUTE FUNCTION winnow_demand_to_front();
CREATE FUNCTION winnow_demand_added() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE annotation_project SET queue_version = queue_version + 1 WHERE id IN (SELECT project_id FROM added);
  RETURN NULL;
END $$;
CREATE TRIGGER demand_added AFTER INSERT ON annotation_demand REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION winnow_demand_added();
"""
REOPENED_BACK = """
DROP TRIGGER demand_reopened ON annotation_demand;
DROP FUNCTION winnow_demand_to_front();
DROP TRIGGER demand_added ON annotation_demand;
DROP FUNCTION winnow_demand_added();
"""

GAVE_BACK = """
UPDATE annotation_annotation SET gave_back = true WHERE outcome = 'cannot_judge' AND assignment_id IS NOT NULL;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('annotation', '0002_guards'),
    ]

    operations = [
        migrations.CreateModel(
            name='Group',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=80)),
            ],
        ),
        migrations.CreateModel(
            name='Offer',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('due_at', models.DateTimeField(null=True)),
                ('offered', models.IntegerField(default=0, help_text='comparisons that it set aside')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('released_at', models.DateTimeField(null=True)),
            ],
        ),
        migrations.RemoveIndex(
            model_name='demand',
            name='demand_next',
        ),
        migrations.AddField(
            model_name='comparison',
            name='wanted',
            field=models.PositiveSmallIntegerField(help_text='of this one alone; null: as its import says', null=True),
        ),
        migrations.AddField(
            model_name='demand',
            name='kept_back',
            field=models.BooleanField(db_default=False, default=False, help_text='held back by a curator, until a curator settles it'),
        ),
        migrations.AddField(
            model_name='demand',
            name='reserved_for',
            field=models.BigIntegerField(db_default=0, default=0, help_text='the offer to a group that it is set aside for; 0: none'),
        ),
        migrations.AddField(
            model_name='demand',
            name='settled_at',
            field=models.DateTimeField(help_text='flags, skips and cannot judge before it count no more', null=True),
        ),
        migrations.AddField(
            model_name='import',
            name='place',
            field=models.IntegerField(db_default=0, default=0, help_text='where batches are served one by one, lowest first'),
        ),
        migrations.AddField(
            model_name='import',
            name='wanted',
            field=models.PositiveSmallIntegerField(help_text='for its comparisons; null: as the project says', null=True),
        ),
        migrations.AddField(
            model_name='participation',
            name='cursor_ord',
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='participation',
            name='cursor_pool',
            field=models.SmallIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='participation',
            name='cursor_version',
            field=models.IntegerField(db_default=-1, default=-1),
        ),
        migrations.AddField(
            model_name='project',
            name='queue_order',
            field=models.CharField(db_default='routing', default='routing', help_text='a key of pipelines.services.ordering.ORDERS', max_length=16),
        ),
        migrations.AddField(
            model_name='project',
            name='queue_version',
            field=models.IntegerField(db_default=0, default=0, help_text='+1 when many places of the queue change; voids cursors'),
        ),
        migrations.AddField(
            model_name='annotation',
            name='gave_back',
            field=models.BooleanField(db_default=False, default=False, help_text='all required answers are cannot judge: fills no wanted place'),
        ),
        migrations.AlterField(
            model_name='annotation',
            name='created_at',
            field=models.DateTimeField(db_default=django.db.models.functions.datetime.Now()),
        ),
        migrations.AlterField(
            model_name='demand',
            name='pool',
            field=models.IntegerField(default=0, help_text='served in this order; -1: opened again, see the trigger'),
        ),
        migrations.AddIndex(
            model_name='demand',
            index=models.Index(condition=models.Q(('is_open', True)), fields=['project', 'reserved_for', 'pool', 'ord'], name='demand_next'),
        ),
        migrations.AddField(
            model_name='group',
            name='members',
            field=models.ManyToManyField(related_name='groups', to='annotation.participation'),
        ),
        migrations.AddField(
            model_name='group',
            name='project',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='groups', to='annotation.project'),
        ),
        migrations.AddField(
            model_name='offer',
            name='created_by',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='offer',
            name='group',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='offers', to='annotation.group'),
        ),
        migrations.AddField(
            model_name='offer',
            name='participation',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='offers', to='annotation.participation'),
        ),
        migrations.AddField(
            model_name='offer',
            name='project',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='offers', to='annotation.project'),
        ),
        migrations.AddField(
            model_name='assignment',
            name='offer',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='assignments', to='annotation.offer'),
        ),
        migrations.AddConstraint(
            model_name='group',
            constraint=models.UniqueConstraint(fields=('project', 'name'), name='group_once'),
        ),
        migrations.AddIndex(
            model_name='offer',
            index=models.Index(condition=models.Q(('released_at__isnull', True)), fields=['project'], name='offer_live'),
        ),
        migrations.AddConstraint(
            model_name='offer',
            constraint=models.CheckConstraint(condition=models.Q(('participation__isnull', True), ('group__isnull', True), _connector='XOR'), name='offer_to_a_person_or_a_group'),
        ),
        migrations.RunSQL(REOPENED, REOPENED_BACK),
        migrations.RunSQL(GAVE_BACK, migrations.RunSQL.noop),
    ]
