"""What people say of themselves: given and deleted under their account, seen only as counts of groups, by those who build."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from annotation.models import Membership, Profile, Project, Rater
from annotation.services.assignment import participation_ensure
from annotation.services.profiles import attributes_change, profile_give, profile_withdraw
from pipelines.models import Analysis, GroupMember, RaterGroup
from pipelines.selectors.group_profiles import group_profiles, told
from pipelines.services.analyses import ANALYSES
from tests import cast
from webapp.views.profiles import consent_words

pytestmark = pytest.mark.django_db
AGE = "Age: under 30 | 30 and over"


@pytest.fixture
def project() -> Project:
    project = cast.project("ours")
    attributes_change(project=project, text=AGE)
    return project


def words_of(project: Project) -> str:
    return consent_words(Project.objects.get(pk=project.pk))


def client_of(person) -> Client:
    client = Client()
    client.force_login(person)
    return client


def test_it_is_given_and_deleted_under_ones_own_account(project):
    ben = client_of(cast.person("Ben", project, "annotator"))
    page = ben.get("/account/").content.decode()
    assert "About you, for" in page and "I agree that the project" in page and "Delete what I said" not in page
    assert ben.post("/p/ours/profile", {"about Age": "under 30"}).status_code == 400
    assert ben.post("/p/ours/profile", {"about Age": "under 30", "agrees": words_of(project)}).status_code == 302
    kept = Profile.objects.get()
    assert kept.answers == {"Age": "under 30"} and kept.consent in page.replace("&quot;", '"')
    for words in ("in steps", "may see a step change", "A backup made before still holds it"):
        assert words in kept.consent
    assert "Delete what I said" in ben.get("/account/").content.decode()
    assert client_of(cast.person("Cy", project, "annotator")).post(f"/account/profile/{kept.pk}/delete").status_code == 404
    assert ben.post(f"/account/profile/{kept.pk}/delete").status_code == 302
    assert not Profile.objects.exists()


def test_what_was_chosen_is_never_read_back_since_an_admin_can_make_a_link_into_the_account(project):
    ben = client_of(cast.person("Ben", project, "annotator"))

    def page() -> str:
        return re.sub(r"csrfmiddlewaretoken.*?>|<time.*?</time>|nonce-?[^ ]*", "", ben.get("/account/").content.decode())

    seen = set()
    for choice in ("under 30", "30 and over"):
        ben.post("/p/ours/profile", {"about Age": choice, "agrees": words_of(project)})
        ben.get("/account/")  # the word that it was kept is said once
        seen.add(page())
    (same,) = seen
    assert "Kept on" in same and "under 30" in same and "selected" not in same.split("About you, for")[1]


def test_people_agree_to_the_days_and_are_asked_again_when_the_words_change(project):
    ben, before = client_of(cast.person("Ben", project, "annotator")), words_of(project)
    attributes_change(project=project, text=AGE, days=30)
    assert "deleted by itself: 30." in ben.get("/account/").content.decode()
    assert ben.post("/p/ours/profile", {"about Age": "under 30", "agrees": before}).status_code == 400
    assert ben.post("/p/ours/profile", {"about Age": "under 30", "agrees": words_of(project)}).status_code == 302
    assert "deleted by itself: 30." in Profile.objects.get().consent
    assert "It is deleted by itself on <time" in ben.get("/account/").content.decode()


def test_whoever_does_not_judge_any_more_can_still_delete(project):
    person = cast.person("Ben", project, "annotator")
    kept = profile_give(project=project, user_id=person.pk, answers={"Age": "under 30"}, consent="", agrees=True)
    Membership.objects.filter(user=person).delete()
    ben = client_of(person)
    page = ben.get("/account/").content.decode()
    assert "Delete what I said" in page and "Keep this" not in page and "Choose anew" not in page
    assert ben.post(f"/account/profile/{kept.pk}/delete").status_code == 302
    assert not Profile.objects.exists() and "About you" not in ben.get("/account/").content.decode()


def test_an_account_says_nothing_where_no_project_asks(project):
    attributes_change(project=project, text="", dropping=["Age"])
    ben = client_of(cast.person("Ben", project, "annotator"))
    assert "About you" not in ben.get("/account/").content.decode()


def test_only_those_who_judge_are_asked_and_only_admins_set_what(project):
    ada, eve = cast.person("Ada", project, "project_admin"), cast.person("Eve", project, "curator")
    assert "About you" not in client_of(eve).get("/account/").content.decode()
    assert client_of(eve).post("/p/ours/settings/profile", {"attributes": ""}).status_code == 404
    assert client_of(ada).post("/p/ours/settings/profile", {"attributes": f"{AGE}\nRegion: a | b", "days": "90"}).status_code == 302
    assert 'name="days" inputmode="numeric" required value="90"' in client_of(ada).get("/p/ours/settings/").content.decode()


def test_saving_deletes_nothing_unasked(project):
    ben = cast.person("Ben", project, "annotator")
    profile_give(project=project, user_id=ben.pk, answers={"Age": "under 30"}, consent="", agrees=True)
    ada = client_of(cast.person("Ada", project, "project_admin"))
    address = "/p/ours/settings/profile"
    for lacking in ({}, {"days": "0"}, {"attributes": AGE}, {"attributes": AGE, "days": "-1"}):
        assert ada.post(address, lacking).status_code == 400
    for text in ("", "Age: 30 and over | a", "Region: a | b"):
        page = ada.post(address, {"attributes": text, "days": "0"})
        assert page.status_code == 200 and "Nothing is changed yet" in page.content.decode()
        assert Profile.objects.exists() and Project.objects.get().profile_attributes == project.profile_attributes
    assert ada.post(address, {"attributes": "", "days": "0", "dropping": ["Age"]}).status_code == 302
    assert not Profile.objects.exists() and Project.objects.get().profile_attributes == []


def test_the_question_before_deleting_does_not_tell_whether_anybody_said_it(project):
    page = client_of(cast.person("Ada", project, "project_admin")).post(
        "/p/ours/settings/profile", {"attributes": "", "days": "0"}
    )
    assert "Nothing is changed yet" in page.content.decode() and not Profile.objects.exists()


def grouped(project: Project, ages: dict[str, list[str]]) -> Analysis:
    """An analysis with these groups of people, each of whom said an age, or nothing where it is empty."""
    analysis = Analysis.objects.create(
        project=project, kind="groups", number=1, version=ANALYSES["groups"].version, votes=1,
        result={"people": 1, "count": len(ages), "names": [], "map": {"reason": "none"}, "groups": [
            {"name": name, "share": 0.5, "people": len(said), "votes": 99, "shown": True, "weight": [], "low": [], "high": [],
             "reliability": 0.9, "served": None, "served_votes": 0, "gaps": []} for name, said in ages.items()]},
    )  # fmt: skip
    for name, said in ages.items():
        group = RaterGroup.objects.create(
            analysis=analysis, name=name, share=0.5, people=len(said), votes=99, is_shown=True
        )
        for number, age in enumerate(said):
            person = cast.person(f"{name}{number}", project, "annotator")
            participation_ensure(project_id=project.pk, user_id=person.pk)
            rater = Rater.objects.get(participation__annotator=person)
            GroupMember.objects.create(group=group, rater=rater, chance=1.0)
            if age:
                profile_give(
                    project=project, user_id=person.pk, answers={"Age": age}, consent="I agree.", agrees=True
                )
    return analysis


@pytest.mark.parametrize(
    ("counts", "people", "shown"),
    [
        ((6, 4), 11, {0: "5 to 9"}),  # four are too few, and one said nothing
        ((5,), 5, {}),  # everybody: each of them would be known
        ((5,), 6, {}),  # all but one
        ((6,), 10, {}),  # all but four
        ((5,), 10, {0: "5 to 9"}),
        ((6, 5, 1), 12, {0: "5 to 9"}),  # 12 - 6 - 5 would tell the one
        ((5, 6, 4), 15, {1: "5 to 9"}),
        ((6, 5, 1), 16, {0: "5 to 9", 1: "5 to 9"}),  # one, or somebody of the four who said nothing
        ((6, 5), 11, {0: "5 to 9", 1: "5 to 9"}),
        ((9, 10, 19, 20), 70, {0: "5 to 9", 1: "10 to 19", 2: "10 to 19", 3: "20 to 49"}),
        ((49, 50, 99, 100), 310, {0: "20 to 49", 1: "50 to 99", 2: "50 to 99", 3: "100 or more"}),
        ((1, 1), 2, {}),
    ],
)
def test_no_choice_of_fewer_than_five_can_be_worked_out(counts, people, shown):
    bands = told({str(place): n for place, n in enumerate(counts)}, people)
    assert bands == {str(place): words for place, words in shown.items()}


def test_groups_show_bands_of_five_or_more_and_never_of_everybody(project):
    young, old = "under 30", "30 and over"
    analysis = grouped(project, {"A": [young] * 6 + [old] * 4 + [""], "B": [old] * 5, "C": [""] * 5})
    (age,) = group_profiles(project=project, analysis=analysis, names=["A", "B", "C"])
    # Six young of A; four old are too few; all of B are old, so that each of them would be known; C said nothing.
    assert age.rows == [(young, ["5 to 9", None, None]), (old, [None, None, None])]
    page = client_of(cast.person("Eve", project, "curator")).get("/p/ours/groups/").content.decode()
    assert "Who they are" in page and 'dir="auto">under 30</td><td class="num">5 to 9</td>' in page
    assert "nobody is named" not in page
    assert client_of(cast.person("Dan", project, "annotator")).get("/p/ours/groups/").status_code == 404


def test_whoever_withdraws_is_gone_from_the_counts_at_once(project):
    analysis = grouped(project, {"A": ["under 30"] * 5 + [""] * 5})
    assert group_profiles(project=project, analysis=analysis, names=["A"])[0].rows[0] == ("under 30", ["5 to 9"])
    first = Profile.objects.select_related("participation").first()
    profile_withdraw(profile_id=first.pk, user_id=first.participation.annotator_id)
    (age,) = group_profiles(project=project, analysis=analysis, names=["A"])
    assert not age.is_told
    page = client_of(cast.person("Eve", project, "curator")).get("/p/ours/groups/").content.decode()
    assert "Nothing can be shown yet" in page
