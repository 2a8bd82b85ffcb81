import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("annotation", "0008_session_caps")]

    operations = [
        migrations.AddField(
            model_name="project",
            name="profile_attributes",
            field=models.JSONField(
                db_default=models.Value([], models.JSONField()),
                default=list,
                help_text="[{name, choices}]: what annotators may say of themselves, with consent",
            ),
        ),
        migrations.CreateModel(
            name="Profile",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("answers", models.JSONField(help_text="{name of an attribute: choice}, of those that the person answered")),
                ("consent", models.TextField(help_text="the words that the person agreed to")),
                ("given_at", models.DateTimeField(auto_now=True)),
                (
                    "participation",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="profile",
                        to="annotation.participation",
                    ),
                ),
            ],
        ),
    ]
