from django.db import migrations, models

FIELDS = {
    "session_comparisons": (0, "comparisons of a session before a break; 0: no cap"),
    "session_minutes": (0, "minutes of a session before a break; 0: no cap"),
    "break_minutes": (15, "minutes of the break; a pause as long begins a new session"),
    "day_comparisons": (0, "comparisons that one person is given a day (UTC); 0: no cap"),
}


class Migration(migrations.Migration):
    dependencies = [("annotation", "0007_media_played")]

    operations = [
        migrations.AddField(
            model_name="project",
            name=name,
            field=models.PositiveSmallIntegerField(db_default=value, default=value, help_text=words),
        )
        for name, (value, words) in FIELDS.items()
    ]
