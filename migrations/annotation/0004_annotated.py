"""Comparisons of several prompts, several answers a line of a file, edits and their authors."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('annotation', '0003_queue'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='annotation',
            name='annotation_import_line_once',
        ),
        migrations.AddField(
            model_name='annotation',
            name='derived_from',
            field=models.ForeignKey(db_index=False, help_text='the edit whose preference this row says', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='derived', to='annotation.annotation'),
        ),
        migrations.AddField(
            model_name='annotation',
            name='source_place',
            field=models.IntegerField(db_default=0, default=0, help_text="which of its line's annotations, from 0"),
        ),
        migrations.AddField(
            model_name='comparison',
            name='one_prompt',
            field=models.BooleanField(db_default=True, default=True, help_text='all its completions answer one prompt whose text is here; models judge and versions hold only those'),
        ),
        migrations.AddField(
            model_name='completion',
            name='author',
            field=models.ForeignKey(db_index=False, help_text='who wrote it as an edit', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='completions', to='annotation.rater'),
        ),
        migrations.AlterField(
            model_name='text',
            name='form',
            field=models.CharField(choices=[('plain', 'Plain'), ('messages', 'Messages'), ('name', 'Name')], default='plain', max_length=8),
        ),
        migrations.AddIndex(
            model_name='completion',
            index=models.Index(condition=models.Q(('author__isnull', False)), fields=['author'], name='completion_of_author'),
        ),
        migrations.AddConstraint(
            model_name='annotation',
            constraint=models.UniqueConstraint(condition=models.Q(('derived_from__isnull', False)), fields=('derived_from', 'comparison'), name='annotation_derived_once'),
        ),
        migrations.AddConstraint(
            model_name='annotation',
            constraint=models.UniqueConstraint(condition=models.Q(('source_import__isnull', False)), fields=('source_import', 'source_line', 'source_place', 'comparison', 'rater'), name='annotation_import_line_once'),
        ),
    ]
