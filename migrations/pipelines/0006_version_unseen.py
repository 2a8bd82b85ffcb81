"""What a frozen version could not see yet of the annotations up to its refit's last one."""

from django.db import migrations

import pipelines.models.versions


class Migration(migrations.Migration):
    dependencies = [("pipelines", "0005_derivation")]

    operations = [
        migrations.AddField("datasetversion", "unseen", pipelines.models.versions.Multirange(null=True, editable=False))
    ]
