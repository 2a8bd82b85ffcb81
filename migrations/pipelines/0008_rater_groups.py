"""Groups of raters that an analysis found, and the labels that a refit gives one group."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import Q

ID = models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")
CASCADE = django.db.models.deletion.CASCADE


class Migration(migrations.Migration):
    dependencies = [("annotation", "0006_media"), ("pipelines", "0007_analyses")]

    operations = [
        migrations.CreateModel(
            "RaterGroup",
            [
                ("id", ID.clone()),
                ("name", models.CharField(help_text="A is the largest", max_length=1)),
                ("share", models.FloatField(help_text="of people, by the mixture")),
                ("people", models.IntegerField(help_text="raters whose likeliest group this is")),
                ("votes", models.IntegerField(help_text="of these, among the votes that the groups were made from")),
                ("is_shown", models.BooleanField(help_text="5 people and 30 votes or more; its labels can be frozen")),
                ("analysis", models.ForeignKey("pipelines.Analysis", on_delete=CASCADE, related_name="groups")),
            ],
            options={
                "ordering": ["name"],
                "constraints": [models.UniqueConstraint(fields=["analysis", "name"], name="rater_group_once")],
            },
        ),
        migrations.CreateModel(
            "GroupMember",
            [
                ("id", ID.clone()),
                ("chance", models.FloatField(help_text="that the rater is of this group")),
                ("group", models.ForeignKey("pipelines.RaterGroup", db_index=False, on_delete=CASCADE, related_name="members")),
                ("rater", models.ForeignKey("annotation.Rater", on_delete=CASCADE, related_name="+")),
            ],
            options={"constraints": [models.UniqueConstraint(fields=["group", "rater"], name="group_member_once")]},
        ),
        migrations.AddField(
            "preferencerevision",
            "group",
            models.ForeignKey(
                "pipelines.RaterGroup",
                db_index=False,
                help_text="whose votes alone it rests on; null: everybody's",
                null=True,
                on_delete=CASCADE,
                related_name="preference_revisions",
            ),
        ),
        migrations.AddConstraint(
            "preferencerevision",
            models.UniqueConstraint(
                condition=Q(group__isnull=False), fields=["group", "run", "preference"], name="preference_of_group_once"
            ),
        ),
    ]
