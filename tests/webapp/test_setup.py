"""Setting a project up: the editor without script, what it keeps when something does not fit, the preview, the commands."""

from __future__ import annotations

import json
import re

import pytest
from django.core.management import call_command
from django.test import Client

from annotation.feedback import FEEDBACK_TYPES
from annotation.feedback.setup import draft_from
from annotation.feedback.templates import TEMPLATES
from annotation.models import Annotation, FormRevision, Project, Text, User
from tests import cast
from tests.webapp.lending import comparison_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(db) -> Client:
    person = cast.person("Site")
    User.objects.filter(pk=person.pk).update(is_site_admin=True)
    client = Client()
    client.force_login(person)
    return client


def fields(questions, **more) -> dict[str, str]:
    draft = {
        f"q.{at}.{name}": text for at, one in enumerate(draft_from(questions)) for name, text in one.items()
    }
    return {
        "title": "Eggs", "slug": "eggs", "wanted": "2", "lease_minutes": "20", "guidelines": "Be *kind*.", **draft, **more
    }  # fmt: skip


def in_form(page: str) -> dict[str, str]:
    """The names and values of hidden and text inputs, as a browser would post them."""
    found = re.findall(r'<input[^>]*\bname="([^"]+)"[^>]*\bvalue="([^"]*)"', page)
    return dict(found)


def test_choosing_a_template_and_creating_needs_no_script(site):
    page = site.get("/projects/new/?template=listwise").content.decode()
    assert 'name="q.0.type" value="listwise"' in page and "Order the answers, best first" in page
    reply = site.post("/projects/new/", fields(TEMPLATES["listwise"].questions))
    assert reply["Location"] == "/p/eggs/"
    project = Project.objects.get()
    assert (project.title, project.wanted, project.lease_seconds) == ("Eggs", 2, 1200)
    assert project.guideline_revisions.get().text == "Be *kind*."
    assert project.form_revisions.get().questions[0]["type"] == "listwise"


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_can_be_set_up(site, name):
    assert site.get(f"/projects/new/?template={name}").status_code == 200
    assert site.post("/projects/new/", fields(TEMPLATES[name].questions)).status_code == 302


def test_buttons_change_the_form_and_save_nothing(site):
    start = fields(TEMPLATES["pairwise"].questions)
    page = site.post("/projects/new/", {**start, "do": "add", "add_type": "edit"}).content.decode()
    assert 'name="q.1.type" value="edit"' in page and 'value="Eggs"' in page
    two = fields([*TEMPLATES["edit"].questions])
    page = site.post("/projects/new/", {**two, "do": "up.1"}).content.decode()
    assert 'name="q.0.type" value="edit"' in page
    assert site.post("/projects/new/", {**two, "do": "up.99"}).status_code == 200
    page = site.post("/projects/new/", {**two, "do": "remove.0"}).content.decode()
    assert 'name="q.0.type" value="edit"' in page and "q.1.type" not in page
    page = site.post("/projects/new/", {**two, "do": "template", "template": "spans"}).content.decode()
    assert 'name="q.0.type" value="spans"' in page
    assert not Project.objects.exists()


def test_an_error_names_the_question_and_keeps_what_was_typed(site):
    typed = fields(TEMPLATES["helpsteer2"].questions, **{"q.0.high": "lots", "q.0.title": "Rate <it>"})
    reply = site.post("/projects/new/", typed)
    page = reply.content.decode()
    assert reply.status_code == 400
    assert "Question 1, “Rate &lt;it&gt;”: Highest is a whole number; got &#x27;lots&#x27;." in page
    assert in_form(page)["q.0.high"] == "lots" and in_form(page)["slug"] == "eggs"
    reply = site.post("/projects/new/", fields(TEMPLATES["pairwise"].questions, slug="Not This", wanted="no"))
    assert reply.status_code == 400 and 'value="Not This"' in reply.content.decode()
    assert not Project.objects.exists()


def test_all_that_does_not_fit_is_said_at_once_each_beside_its_field(site):
    cast.project("eggs")
    typed = fields(
        [*TEMPLATES["helpsteer2"].questions, *TEMPLATES["listwise"].questions], wanted="0", lease_minutes="soon",
        **{"q.0.high": "lots", "q.0.low": "few", "q.0.key": "No!", "q.1.title": " ", "media_percent": "101",
           "sample_prompt": "My own", "guidelines": "Be *kind*."},
    )  # fmt: skip
    reply = site.post("/projects/new/", typed)
    page = reply.content.decode()
    assert reply.status_code == 400 and "things do not fit" in page
    for name in ("slug-fault", "wanted-fault", "lease_minutes-fault", "media_percent-fault"):
        assert f'id="{name}"' in page and re.search(rf'aria-describedby="[^"]*{name}"', page), name
    for at, name in ((0, "high"), (0, "low"), (0, "key"), (1, "title")):
        assert f'id="q-{at}-{name}-fault"' in page and f'href="#q-{at}-{name}"' in page, name
        assert re.search(rf'id="q-{at}-{name}"[^>]*aria-invalid="true"', page), name
    assert 'href="#lease"' in page and 'href="#slug"' in page and 'href="#media-percent"' in page
    kept = in_form(page)
    assert (kept["q.0.high"], kept["wanted"], kept["media_percent"]) == ("lots", "0", "101")
    assert "My own</textarea>" in page and "Be *kind*.</textarea>" in page
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert all(target in ids for target in re.findall(r'href="#([^"]+)"', page)) and len(ids) == len(set(ids))


def test_the_preview_shows_the_curators_own_texts_and_stores_nothing(site):
    own = {"sample_prompt": "Why is the sky blue?", "sample_a": "It **scatters**.", "sample_b": "<b>Paint.</b>", "sample_c": " "}
    page = site.post("/projects/new/preview", fields(TEMPLATES["pairwise"].questions, **own)).content.decode()
    assert "Why is the sky blue?" in page and "<strong>scatters</strong>" in page and "&lt;b&gt;Paint." in page
    assert "boil" not in page
    one = fields(TEMPLATES["listwise"].questions, sample_a="Only this.")
    page = site.post("/projects/new/preview", one).content.decode()
    assert "Only this." in page and page.count('data-side="') >= 3, "made-up completions fill the set"
    assert not Project.objects.exists() and not Text.objects.exists()


def test_the_preview_has_a_context_where_the_project_has_or_as_typed(client):
    project = cast.project()
    client.force_login(cast.person("Ada", project, "project_admin"))
    address, words = f"/p/{project.slug}/settings/form/preview", "Judge with this in mind"
    assert words not in client.get(address).content.decode()
    typed = client.post(address, fields(TEMPLATES["pairwise"].questions, sample_context="For a <child>.")).content.decode()
    assert words in typed and "For a &lt;child&gt;." in typed
    comparison_of(project, ["p"], ["a", "b"], context="A criterion")
    shown = client.get(address).content.decode()
    assert words in shown and "cooks for the first time" in shown and "A criterion" not in shown


def test_a_taken_name_is_refused_and_nothing_is_lost(site):
    cast.project("eggs")
    reply = site.post("/projects/new/", fields(TEMPLATES["pairwise"].questions))
    assert reply.status_code == 400 and "exists already" in reply.content.decode()


def test_the_form_of_a_project_is_revised_and_answers_keep_theirs(client):
    project = cast.project()
    ada = cast.person("Ada", project, "project_admin")
    client.force_login(ada)
    address = f"/p/{project.slug}/settings/form/"
    page = client.get(address).content.decode()
    assert in_form(page)["q.0.key"] == "preference"
    first = FormRevision.objects.get(project=project)
    assert client.post(address, fields(first.questions)).status_code == 302
    assert FormRevision.objects.filter(project=project).count() == 1, "what changes nothing makes no revision"
    changed = fields(first.questions, **{"q.0.reasons": "Correct\nClear"})
    assert client.post(address, changed).status_code == 302
    newest = FormRevision.objects.filter(project=project).first()
    assert (newest.number, newest.questions[0]["reasons"]) == (2, ["Correct", "Clear"])
    assert FormRevision.objects.get(pk=first.pk).questions[0]["reasons"] == []
    assert not Annotation.objects.exists()


def test_a_form_that_does_not_suit_the_comparisons_says_how_many(client):
    project = cast.project()
    cast.comparison(project, "p", "a", "b", "c")
    client.force_login(cast.person("Ada", project, "project_admin"))
    changed = fields(TEMPLATES["pairwise-reasons"].questions)
    page = client.post(f"/p/{project.slug}/settings/form/", changed, follow=True).content.decode()
    assert "Comparisons that cannot be answered on this form: 1. It takes 2 completions." in page


def test_the_preview_stands_in_a_frame_of_ours_and_sends_nothing(site):
    reply = site.post("/projects/new/preview", fields(TEMPLATES["pairwise"].questions, **{"q.0.title": "Better <b>?"}))
    page = reply.content.decode()
    assert "Better &lt;b&gt;?" in page and "soft" in page and "<em>kind</em>" in page
    policy = reply["Content-Security-Policy"]
    assert "frame-ancestors 'self'" in policy and "form-action 'none'" in policy and "connect-src 'none'" in policy
    assert "script-src 'self';" in policy and reply["X-Frame-Options"] == "SAMEORIGIN"
    assert re.findall(r"<script[^>]*>", page) == ['<script type="module" src="/static/js/preview.js">']
    reply = site.post("/projects/new/preview", fields(TEMPLATES["pairwise"].questions, **{"q.0.steps": "4"}))
    assert "Steps of the scale is one of" in reply.content.decode()
    assert site.get("/projects/new/preview?template=pairwise-reasons").status_code == 200
    assert not Project.objects.exists()


def test_a_form_may_come_as_json(tmp_path, capsys):
    path = tmp_path / "form.json"
    path.write_text(json.dumps(TEMPLATES["listwise"].questions))
    call_command("create_project", "eggs", "--form", str(path), "--json")
    project = Project.objects.get()
    assert project.form_revisions.get().questions[0]["type"] == "listwise"
    path.write_text(json.dumps({"questions": TEMPLATES["spans"].questions}))
    call_command("form_revise", str(path), "--project", "eggs", "--json")
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (said["form"], said["counts"]) == (2, {"revisions": 1})
    call_command("form_revise", str(path), "--project", "eggs", "--json")
    assert json.loads(capsys.readouterr().out)["counts"] == {"revisions": 0}
    call_command("form_revise", "--project", "eggs")
    assert json.loads(capsys.readouterr().out) == TEMPLATES["spans"].questions
    path.write_text("[]")
    with pytest.raises(SystemExit) as stopped:
        call_command("form_revise", str(path), "--project", "eggs", "--json")
    assert stopped.value.code == 2
    assert "at least one question" in json.loads(capsys.readouterr().out)["error"]


def test_every_type_is_offered(site):
    page = site.get("/projects/new/").content.decode()
    assert all(f'<option value="{key}">{entry.label}' in page for key, entry in FEEDBACK_TYPES.items())


def asking(**more):
    """A form that asks of each marked passage, as the editor posts it."""
    sure = {"key": "sure", "type": "binary", "title": "Sure?", "help": "", "required": True}
    return fields([{**TEMPLATES["spans"].questions[0], "questions": [sure]}, *TEMPLATES["pairwise"].questions], **more)


def test_what_is_asked_of_a_passage_is_a_question_of_the_editor(site):
    page = site.post("/projects/new/", {**asking(), "do": "down.0"}).content.decode()
    assert re.findall(r'name="q\.\d\.type" value="(\w+)"', page) == ["pairwise", "spans", "binary"], "it moves along"
    assert "of each passage marked in question 2" in page and 'autofocus' in page.split('id="q-1-title"')[1].split(">")[0]
    assert '<option value="span" selected>each marked passage' in page
    assert 'name="q.2.overall"' not in page and 'name="q.2.cannot_judge"' not in page and 'name="q.1.overall"' in page
    page = site.post("/projects/new/", {**asking(), "do": "remove.0"}).content.decode()
    assert re.findall(r'name="q\.\d\.type" value="(\w+)"', page) == ["pairwise"]
    page = site.post("/projects/new/preview", asking()).content.decode()
    assert '"title": "Sure?"' in page and '["yes", "Yes", "1"]' in page
    assert site.post("/projects/new/", asking()).status_code == 302
    (marking, choice) = Project.objects.get().form_revisions.get().questions
    assert [(one["key"], one["title"]) for one in marking["questions"]] == [("sure", "Sure?")] and choice["type"] == "pairwise"


def test_a_passage_that_nothing_marks_is_told_of_at_the_question(site):
    typed = fields(TEMPLATES["helpsteer2"].questions, **{"q.0.subject": "span", "q.0.cannot_judge": "1", "q.0.overall": "1"})
    reply = site.post("/projects/new/", typed)
    page = reply.content.decode()
    assert reply.status_code == 400 and "It is asked of marked passages, and no question above it marks any." in page
    for name in ("subject", "cannot_judge", "overall"):
        assert f'href="#q-0-{name}"' in page and f'id="q-0-{name}-fault"' in page
        assert re.search(rf'id="q-0-{name}"[^>]*aria-invalid="true"', page), name
    assert "no question above it marks any" in site.post("/projects/new/preview", typed).content.decode()
    assert not Project.objects.exists()


def test_a_form_that_asks_of_passages_comes_back_from_the_editor_as_it_was(client):
    project = cast.project()
    client.force_login(cast.person("Ada", project, "project_admin"))
    address = f"/p/{project.slug}/settings/form/"
    assert client.post(address, asking()).status_code == 302
    made = FormRevision.objects.filter(project=project).first()
    assert client.post(address, fields(made.questions)).status_code == 302
    assert FormRevision.objects.filter(project=project).count() == 2, "unchanged, so no further revision"
