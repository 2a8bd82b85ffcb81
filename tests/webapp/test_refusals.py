"""What an annotator is refused is said in their language: every sentence is marked, translated, and met here."""

from __future__ import annotations

import ast
import json
import re
import uuid
from collections.abc import Callable, Iterator
from html import unescape
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import translation

from annotation import errors
from annotation.errors import AnnotationError, FormRefused, Phrase
from annotation.feedback import FEEDBACK_TYPES, About, answers_from_form, answers_validate
from annotation.models import Annotation, Assignment, Demand, Participation, Project, User
from annotation.services.people import service_token_create, sign_in_link_create
from annotation.services.profiles import attributes_change
from tests import cast
from tests.webapp.lending import chat, comparison_of, lend, project_with
from tests.webapp.test_language import MARKERS, ROOT, of_python

JSON = {"Accept": "application/json"}
FEEDBACK = [
    *(ROOT / "annotation/feedback").glob("*/answer.py"),
    *(ROOT / f"annotation/feedback/{name}.py" for name in ("__init__", "shared")),
]
SOURCES = [
    *FEEDBACK,
    *(ROOT / f"annotation/services/{name}.py" for name in ("assignment", "corrections", "edits", "people", "played", "profiles")),
    *(ROOT / f"annotation/selectors/{name}.py" for name in ("judging", "media", "profiles", "queue", "sessions")),
    *(ROOT / f"webapp/views/{name}.py" for name in ("annotate", "history", "media", "profiles", "sign_in", "texts")),
]
# What only curators, admins and importers reach there stays English.
CURATORS = {
    *("question_check", "question_check_of_span", "questions_check", "words_check", "parts_check", "answer_module", "assignment_release"),
    *("attributes_read", "_attribute", "attributes_change", "profile_attributes"),
    *("user_invite", "_email_checked", "membership_remove", "annotator_pause", "service_token_revoke"),
}
# Sentences of Django, which come in the language of the request.
DJANGOS = "' '.join(error.messages)"
ERRORS = {name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, AnnotationError)}
# Names that are the same in every language.
NAMES = {"NUL", "JSON", "UUID"}


def unmarked(*sources: str) -> list[str]:
    """Errors whose first argument is no marked sentence, outside of what curators reach."""
    trees = [ast.parse(source) for source in sources]
    tops = [node for tree in trees for node in tree.body if isinstance(node, ast.Assign)]
    allowed = {ast.unparse(node.targets[0]) for node in tops if is_marked(node.value)} | {DJANGOS}
    return [
        ast.unparse(call)
        for tree in trees
        for call in outside(tree, CURATORS)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ERRORS
        if not (call.args and (is_marked(call.args[0]) or ast.unparse(call.args[0]) in allowed))
    ]


def is_marked(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MARKERS


def outside(node: ast.AST, functions: set[str]) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.FunctionDef) and child.name in functions):
            yield child
            yield from outside(child, functions)


def test_every_sentence_that_refuses_an_annotator_is_marked_for_the_catalogue() -> None:
    """`test_language.py` holds that what is marked has a translation."""
    assert unmarked(*(path.read_text() for path in SOURCES)) == []


@pytest.mark.parametrize(
    ("first", "is_found"),
    [("'No.'", True), ("f'No {x}.'", True), ("'No' + x", True), ("SAID", True), ("_('No {x}.'), x=1", False), ("WORDS", False)],
)
def test_a_sentence_that_is_not_marked_is_found(first: str, is_found: bool) -> None:
    source = f"WORDS = _('No.')\ndef f(x):\n    if x:\n        raise FormRefused({first})\ndef question_check(x):\n    raise Refused('No.')"
    assert bool(unmarked(source)) == is_found


# Bad answers to each feedback type, as the pure rules meet them.


def question(type_key: str, subject: str = "comparison", **more: Any) -> dict[str, Any]:
    return {"key": "q", "type": type_key, "subject": subject, "title": "أيّ أفضل؟", "required": True, **more}


TONE = [{"key": "tone", "label": "اللهجة"}]
PAIR = question("pairwise", steps=7, aspects=TONE, confidence=["ظن", "يقين"], reasons=["أوضح"], both_bad=True)
PLAIN = question("pairwise", steps=7)
RANK, ENDS = question("listwise", method="rank", ties=False), question("listwise", method="best_worst")
BINARY = question("binary", "completion", words="yes_no")
PRINCIPLES = question("binary", principles=TONE)
RATING = question("rating", low=1, high=5, aspects=TONE)
EACH = question("stepwise", "completion", mode="each", cut="lines", labels=["صواب", "خطأ"])
FIRST_BAD = question("stepwise", "completion", mode="first_bad", cut="lines")
EDIT = question("edit")
SPANS = question("spans", "completion", categories=["خطأ"], severities=["شديد"], questions=[])
ASKING = {**SPANS, "categories": [], "severities": [], "questions": [{**question("binary"), "key": "sure", "required": True}]}
SEGMENTS = question("segments", steps=3)

TEXTS = [("plain", "One line.\nAnother."), ("plain", "Only one.")]
CHAT = [("messages", '[{"role": "assistant", "content": [{"type": "image", "image": "sha256:00"}]}]')] * 2
FIRST = {"outcome": "first", "vote": -1}
TONED = {**FIRST, "aspects": {"tone": FIRST}}
PART = {"start": 1, "end": 3, **FIRST}
SPAN = {"start": 0, "end": 3, "category": "خطأ", "severity": "شديد"}


DEEP: dict[str, Any] = {}
for _ in range(900):
    DEEP = {"deep": DEEP}


def spans(**more: Any) -> dict[str, Any]:
    return {"completions": [{"spans": [SPAN | more]}, {"spans": []}]}


GIVEN: list[tuple[dict[str, Any], Any]] = [
    *((PAIR, answer) for answer in ("x", {"odd": 1}, {"outcome": "best"}, {"outcome": "both_bad", "vote": 1})),
    *((PAIR, {"outcome": "first", "vote": vote}) for vote in (9, 2)),
    *((PAIR, {**FIRST, "aspects": given}) for given in ({}, {"odd": FIRST}, {"tone": 1})),
    *((PAIR, TONED | more) for more in ({"confidence": 9}, {"reasons": "x"}, {"reasons": ["x"]}, {"sentence": "x" * 2_001})),
    (PLAIN, {**FIRST, "aspects": {"odd": FIRST}}),
    *((RANK, answer) for answer in ({"outcome": "cannot_judge"}, {"ranks": [1]}, {"ranks": [1, 1]}, {"ranks": [0, 1]})),
    *((ENDS, answer) for answer in ({"best": 0, "worst": 0}, {"best": 9, "worst": 0}, {"best": 0, "worst": 9})),
    *((BINARY, answer) for answer in ({}, {"completions": [None, None]}, {"completions": [{"label": "x"}] * 2})),
    (BINARY, {"completions": [{"label": "yes", "principles": {"odd": "yes"}}] * 2}),
    *((PRINCIPLES, answer) for answer in ({"principles": {}}, {"label": "yes", "principles": {"tone": "yes"}})),
    *((RATING, {"values": values}) for values in ({"odd": 1}, {}, {"tone": 9})),
    *((EACH, {"completions": [{"labels": labels}] * 2}) for labels in ([], ["صواب", "x"])),
    (FIRST_BAD, {"completions": [{"first_bad": 9}] * 2}),
    *((EDIT, {"source": source, "text": text}) for source, text in ((9, "x"), (0, " "), (0, "x" * 200_001), (0, "Only one."))),
    (EDIT, {"source": 0, "text": TEXTS[0][1]}),
    (SPANS, {"completions": [{"spans": "x"}] * 2}),
    *((SPANS, spans(**more)) for more in ({"message": 3}, {"message": -1}, {"start": 99}, {"end": 99}, {"quote": "x"})),
    *((SPANS, spans(**more)) for more in ({"category": "x"}, {"severity": "x"}, {"answers": {"odd": 1}}, {"comment": 1})),
    (ASKING, spans()),
    *((ASKING, spans(category="", severity="", answers=given)) for given in ({}, {"odd": 1})),
    (SEGMENTS, {"segments": "x"}),
    (SEGMENTS, {"segments": [PART, PART]}),
    *((SEGMENTS, {"segments": [PART | more]}) for more in ({"end": 1}, {"end": 99}, {"start": "x"}, {"end": -1})),
]
POSTED: list[tuple[dict[str, Any], dict[str, str]]] = [
    (PAIR, {"q": "9"}),
    (PAIR, {"q": "1", "q.confidence": "x"}),
    (RANK, {"q.rank.A": "1"}),
    (RANK, {"q.rank.A": "x"}),
    (ENDS, {"q.best": "Z", "q.worst": "A"}),
    (RATING, {"q.tone": "x"}),
    (FIRST_BAD, {"q.A.first_bad": "x"}),
    (EACH, {"q.A.step.x": "صواب"}),
    (EACH, {"q.A.step.0": "صواب"}),
    (EDIT, {"q.source": "Z"}),
    (SPANS, {"q.A.marks": "{"}),
    (SEGMENTS, {"q.marks": "{"}),
    (SEGMENTS, {"q.marks": "[1]"}),
    (SEGMENTS, {"q.marks": '[{"start": 1, "end": 2}]'}),
]


def refusals() -> Iterator[Callable[[], object]]:
    about, three = About(2, TEXTS, 60.0), About(3, [*TEXTS, ("plain", "x")], 60.0)
    yield lambda: answers_validate([PAIR], {"odd": 1}, about)
    yield lambda: answers_validate([PAIR], {}, about)
    for answer in (TONED | {"sentence": "half \ud83d"}, {"\udc00": 1}, {"vote": 10**400}, {"vote": -(10**16)}, DEEP):
        yield lambda answer=answer: answers_validate([PAIR], {"q": answer}, about)
    yield lambda: answers_validate([PAIR | {"required": False}], {}, about)
    yield lambda: answers_validate([PAIR], {"q": TONED}, three)
    yield lambda: answers_validate([SEGMENTS], {"q": {"segments": []}}, three)
    yield lambda: answers_validate([EDIT], {"q": {"source": 0, "text": "x"}}, About(2, CHAT))
    yield lambda: answers_validate([SPANS], {"q": spans(message=0)}, About(2, CHAT))
    for asked, answer in GIVEN:
        yield lambda asked=asked, answer=answer: answers_validate([asked], {"q": answer}, about)
    for asked, fields in POSTED:
        yield lambda asked=asked, fields=fields: answers_from_form([asked], fields, [0, 1])


def words_in(phrase: Phrase) -> set[str]:
    return {phrase.template}.union(*(words_in(value) for value in phrase.values.values() if isinstance(value, Phrase)))


def latin(sentence: str) -> set[str]:
    """Words in Latin letters that are no values, which are isolated."""
    return set(re.findall(r"[A-Za-z]{2,}", re.sub("\u2068[^\u2068\u2069]*\u2069", "", sentence))) - NAMES


def test_each_refusal_of_an_answer_is_met_and_is_said_in_arabic() -> None:
    met: set[str] = set()
    for refused in refusals():
        with pytest.raises(FormRefused) as caught:
            refused()
        phrase = caught.value.phrase
        met |= words_in(phrase)
        with translation.override("ar"):
            said = phrase.said(translation.gettext)
        assert latin(said) == set() and re.search("[ء-ي]", said), (str(phrase), said)
        assert str(caught.value) == str(phrase) and not re.search("[\u2068\u2069]|{[a-z]", str(phrase))
    assert set().union(*(of_python(path.read_text()) for path in FEEDBACK)) - met == set()


def test_values_are_isolated_and_braces_in_them_are_no_places() -> None:
    phrase = Phrase("The form has no reason {reason!r}.", reason="{x} (أ)")
    with translation.override("ar"):
        assert "\u2068'{x} (أ)'\u2069" in phrase.said(translation.gettext)
    assert str(Phrase("As it came: {x}")) == "As it came: {x}"


# The same over HTTP: by the form of a page without script, and by JSON.

BAD: dict[str, list[tuple[dict[str, Any], dict[str, str]]]] = {
    "pairwise": [(PAIR, {}), (PAIR, {"q": "9"}), (PAIR, {"q": "1"}), (PLAIN, {"q": "1", "q.reasons": "x"})],
    "listwise": [(RANK, {"q.rank.A": "1"}), (RANK, {"q.rank.A": "1", "q.rank.B": "1"}), (ENDS, {"q.best": "A"})],
    "binary": [(BINARY, {"q.A": "x", "q.B": "yes"}), (BINARY, {"q.A": "yes"}), (PRINCIPLES, {"q.principle.tone": "x"})],
    "rating": [(RATING, {"q.tone": "9"}), (RATING, {"q.tone": "x"})],
    "joint": [(question("joint", steps=7), {"q": "9"})],
    "stepwise": [(EACH, {"q.A.step.1": "x"}), (FIRST_BAD, {"q.A.first_bad": "99"})],
    "edit": [(EDIT, {"q.source": "A", "q.text": " "}), (EDIT, {"q.source": "A", "q.text": "One line.\nAnother."})],
    "spans": [
        *((SPANS, {"q.A.marks": given, "q.B.marks": "[]"}) for given in ("{", '[{"start": 0, "end": 999}]')),
        (SPANS, {"q.A.marks": json.dumps([SPAN | {"comment": "half \ud83d"}]), "q.B.marks": "[]"}),
    ],
    "segments": [
        (SEGMENTS, {"q.marks": "{"}),
        *((SEGMENTS, {"q.marks": json.dumps([PART | {"choice": "1"} | bad])}) for bad in ({"end": 0.5}, {"end": 10**400})),
        (SEGMENTS, {"q.marks": json.dumps([PART | {"choice": "1", "comment": "half \udc00"}])}),
    ],
}


@pytest.fixture
def eve() -> User:
    return cast.person("Eve")


def client_of(eve: User, place: Project) -> Client:
    place.memberships.create(user=eve, role="annotator")
    User.objects.filter(pk=eve.pk).update(interface_language="ar")
    client = Client()
    client.force_login(eve)
    return client


def said_by(reply: Any) -> str:
    if reply["Content-Type"].startswith("application/json"):
        return str(reply.json()["error"])
    page = reply.content.decode()
    assert '<html lang="ar" dir="rtl">' in page
    found = re.search(r'(?s)role="alert"[^>]*>(.*?)</', page)
    assert found, page
    return unescape(re.sub("<[^>]+>", "", found[1]))


def assert_arabic(reply: Any) -> None:
    said = said_by(reply)
    assert (400 <= reply.status_code < 500 or reply.status_code == 503) and latin(said) == set() and re.search("[ء-ي]", said), (reply.status_code, said)


@pytest.mark.django_db
@pytest.mark.parametrize("type_key", FEEDBACK_TYPES)
def test_a_bad_answer_is_refused_in_arabic_by_form_and_by_json(eve: User, type_key: str) -> None:
    for n, (asked, fields) in enumerate(BAD[type_key]):
        place = project_with([asked], f"place-{n}")
        client, item = client_of(eve, place), lend(eve, comparison_of(place, ["?"], [body for _, body in TEXTS]))
        form = place.form_revisions.first()
        posted = {**fields, "submit_key": str(uuid.uuid4()), "form": str(form.pk)}
        address = f"/p/{place.slug}/annotate/{item.pk}/submit"
        assert_arabic(client.post(address, posted))
        assert_arabic(client.post(address, posted, headers=JSON))
        assert_arabic(client.post(address, json.dumps(posted), content_type="application/json", headers=JSON))
        User.objects.update(interface_language="en")
        english = client.post(address, posted, headers=JSON).json()["error"]
        assert len(latin(english)) > 2 and "\u2068" not in english
        assert not Annotation.objects.exists()


@pytest.mark.django_db
def test_all_else_that_is_refused_in_daily_work_is_in_arabic(eve: User, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    place = project_with([PLAIN])
    client, item = client_of(eve, place), lend(eve, comparison_of(place, ["?"], ["a", "b"]))
    form, page = place.form_revisions.first(), "/p/ours/annotate"
    fields = {"q": "1", "submit_key": str(uuid.uuid4()), "form": form.pk}

    def refused(address: str, fields: Any = None, **more: Any) -> None:
        for headers in ({}, JSON):
            assert_arabic(client.get(address, headers=headers) if fields is None else client.post(address, fields, headers=headers, **more))

    submit, body = f"{page}/{item.pk}/submit", "application/json"
    for changed in ({"submit_key": "x"}, {"form": "x"}, {"form": "9999"}, {"person": "9999"}, {"q": "1\x00"}):
        refused(submit, fields | changed)
    half = {"q.sentence": "half \ud83d"}
    for text in ("{", "[]", json.dumps(fields | {"q": "1\x00"}), json.dumps(fields | half), '{"q": ' + "[" * 900 + "]" * 900 + "}"):
        refused(submit, text, content_type=body)
    for step, reason in (("skip", "\udc00"), ("flag", "half \ud83d")):
        refused(f"{page}/{item.pk}/{step}", json.dumps({"reason": reason}), content_type=body)
    refused(f"{page}/9999/submit", fields)
    refused(f"{page}/{item.pk}/skip", {"reason": "x"})
    refused(f"{page}/{item.pk}/flag", {"reason": ""})
    refused(f"{page}/heartbeat", {"leases": "x"})
    refused(f"{page}/next?assignment=x")
    refused(f"{page}/{item.pk}/section?side=A&at=0&part=0&section=9")
    refused(f"{page}/9999/section")
    refused(f"/p/ours/media/{'0' * 64}")
    refused("/p/ours/history/9999/")
    refused(f"{page}/undo/9999", {})

    given = client.post(submit, fields, headers=JSON).json()["annotation_id"]
    refused(f"{page}/{item.pk}/skip", {"reason": "other"})
    refused(submit, fields | {"q": "2"})
    refused(submit, fields | {"submit_key": str(uuid.uuid4())})
    refused(f"/p/ours/history/{given}/", {"q": "9", "submit_key": str(uuid.uuid4())})
    settings.UNDO_SECONDS = 0
    refused(f"{page}/undo/{given}", {})
    late = lend(eve, comparison_of(place, ["?"], ["c", "d"]))
    Assignment.objects.filter(pk=late.pk).update(state="expired", lease_until=None)
    Demand.objects.filter(comparison=late.comparison_id).update(leased=0, done=1)
    refused(f"{page}/{late.pk}/submit", fields | {"submit_key": str(uuid.uuid4())})
    surplus = Annotation.objects.filter(state="surplus").latest("pk").pk
    refused(f"{page}/undo/{surplus}", {})
    refused(f"/p/ours/history/{surplus}/", {"q": "2", "submit_key": str(uuid.uuid4())})

    refused("/account/keys", {"on": "on", "f": "s"})
    refused("/account/keys", {"on": "on", "f": "12"})
    refused("/account/", {"name": "x" * 121})
    refused("/account/", {"name": "Eve", "interface_language": "tlh"})
    refused("/account/", {"name": "Eve", "new_password": "a new long password", "old_password": "x"})
    refused("/account/", {"name": "Eve", "new_password": "password", "old_password": cast.PASSWORD})
    attributes_change(project=place, text="Age: under 30 | over")
    for agreed in ("", "x"):
        refused("/p/ours/profile", {"about Age": "over", "agrees": agreed})
    refused("/profile/9999/delete", {})

    for state in ("paused", "active"):
        Participation.objects.update(state=state)
        if state == "active":
            Project.objects.update(archived_at="2020-01-01T00:00:00Z")
        refused(f"{page}/{item.pk}/skip", {"reason": "other"})
        refused(submit, fields)

    away = OperationalError("gone")
    away.__cause__ = type("Away", (Exception,), {"sqlstate": None})()
    monkeypatch.setattr("webapp.views.annotate.rest_of", lambda **_: (_ for _ in ()).throw(away))
    refused(f"{page}/")


@pytest.mark.django_db
def test_too_little_played_is_refused_in_arabic(eve: User) -> None:
    place = project_with([PLAIN], has_media=True, media_seconds=5, media_percent=50)
    sound = chat(("assistant", [{"type": "audio", "audio": "sha256:" + "0" * 64}]))  # type: ignore[arg-type]
    other = chat(("assistant", [{"type": "audio", "audio": "sha256:" + "1" * 64}]))  # type: ignore[arg-type]
    client, item = client_of(eve, place), lend(eve, comparison_of(place, ["?"], [sound, other]))
    fields = {"q": "1", "submit_key": str(uuid.uuid4()), "form": place.form_revisions.first().pk}
    reply = client.post(f"/p/ours/annotate/{item.pk}/submit", fields)
    assert_arabic(reply)
    assert "\u2068A\u2069 و\u2068B\u2069" in said_by(reply) and "\u20685\u2069 ث و\u206850%\u2069" in said_by(reply)
    User.objects.update(interface_language="en")
    page = client.post(f"/p/ours/annotate/{item.pk}/submit", fields, headers=JSON)
    assert page.json()["error"] == (
        "Of A and B too little was played: 5 seconds and 50% of each are wanted before an answer counts. The answer was not taken."
    )


@pytest.mark.django_db
def test_who_comes_in_is_refused_in_the_browsers_language(eve: User) -> None:
    arabic = {"Accept-Language": "ar"}
    link = sign_in_link_create(user=eve)
    for password in ("short", "12345678901"):
        assert_arabic(Client().post(f"/welcome/{link}/", {"password": password, "again": password}, headers=arabic))
    assert_arabic(Client().get("/welcome/none/", headers=arabic))
    assert_arabic(Client().post("/account/keys", {}, headers=arabic | JSON))
    for n in range(7):
        reply = Client().post("/sign-in/", {"login": eve.email, "password": f"wrong {n}"}, headers=arabic)
        assert_arabic(reply)


@pytest.mark.django_db
def test_a_program_hears_english(eve: User) -> None:
    place = project_with([PLAIN])
    client_of(eve, place)
    item = lend(eve, comparison_of(place, ["?"], ["a", "b"]))
    token = service_token_create(user=eve, project=place, name="x", scopes=["annotate"])
    reply = Client().post(
        f"/p/ours/annotate/{item.pk}/skip", {"reason": "x"}, headers=JSON | {"Authorization": f"Bearer {token}"}
    )
    assert reply.json()["error"].startswith("The reason must be one of broken,")
    assert Assignment.objects.get().state == "leased"
