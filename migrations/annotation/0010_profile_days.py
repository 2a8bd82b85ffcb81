from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("annotation", "0009_profiles")]

    operations = [
        migrations.AddField(
            model_name="project",
            name="profile_days",
            field=models.PositiveSmallIntegerField(
                db_default=0, default=0, help_text="days after which what somebody said of themselves is deleted; 0: never"
            ),
        ),
        migrations.AddField(
            model_name="profile",
            name="delete_at",
            field=models.DateTimeField(help_text="when it is deleted by itself, as consented; null: never", null=True),
        ),
    ]
