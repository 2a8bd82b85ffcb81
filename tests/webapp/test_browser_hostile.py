"""Two hundred hostile texts in everything that can be shown: nothing runs, nothing is refused by the policy, nothing leaves."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from django.conf import settings

from annotation.models import (
    Annotation,
    Comparison,
    ComparisonCompletion,
    Completion,
    Demand,
    Flag,
    GuidelineRevision,
    Import,
    LanguageModel,
    Participation,
    Project,
    Prompt,
    Rater,
    Text,
    User,
)
from pipelines.imports.rows import text_sha256
from tests import cast
from tests.webapp.conftest import Opener
from tests.webapp.hostile import strings

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True)]
HOSTILE = [text.replace("\x00", "") for text in strings()]
CHUNK = 70
WATCH = "window.broken = []; addEventListener('securitypolicyviolation', (e) => broken.push(`${e.violatedDirective} ${e.blockedURI}`));"


def test_there_are_two_hundred_different_ones() -> None:
    assert len(set(HOSTILE)) >= 200


def stored(messages: list[dict[str, Any]]) -> Text:
    body = json.dumps(messages)
    return Text.objects.create(sha256=text_sha256("messages", body.encode()), form="messages", body=body)


def chat(texts: list[str]) -> list[dict[str, Any]]:
    """Each text by itself as what every kind of turn says, calls, and answers."""
    found: list[dict[str, Any]] = []
    for text in texts:
        call = {"id": text, "type": "function", "function": {"name": text, "arguments": json.dumps({text: text})}}
        found += [
            {"role": "system", "content": text},
            {"role": "user", "content": [{"type": "text", "text": text}, {"type": "image", "image": text, "text": text}]},
            {"role": "assistant", "content": text, "tool_calls": [call, {"name": text, "arguments": text}], text: text},
            {"role": "tool", "name": text, "content": text},
        ]
    return [*found, {"role": "user", "content": [film(texts)]}]


def film(texts: list[str]) -> dict[str, Any]:
    """A film that is not there, with the texts in all that it brings along."""
    tracks = [{"file": text, "language": text, "label": text} for text in texts]
    said = "\n".join(texts)
    return {
        "type": "video", "video": f"sha256:{'0' * 64}", "poster": texts[0], "text": said, "captions": tracks, "transcript": said,
    }  # fmt: skip


def comparison(project: Project, texts: list[str], model: LanguageModel) -> Comparison:
    prompt = Prompt.objects.create(project=project, text=stored(chat(texts)))
    answers = [stored([{"role": "assistant", "content": text} for text in [side, *texts]]) for side in "12"]
    answers.sort(key=lambda text: bytes(text.sha256))
    made = Comparison.objects.create(
        project=project, prompt=prompt, key=hashlib.sha256(texts[0].encode()).digest(), context="\n".join(texts)
    )
    for position, text in enumerate(answers):
        completion = Completion.objects.create(prompt=prompt, text=text, model=model)
        ComparisonCompletion.objects.create(comparison=made, position=position, completion=completion)
    Demand.objects.create(comparison=made, project=project, ord=made.pk, wanted=1)
    return made


@pytest.fixture
def place(db: None) -> Project:
    return cast.project("ours", title=HOSTILE[0])


def quiet(page: Any) -> None:
    page.wait_for_timeout(250)
    assert page.evaluate("window.broken") == []
    assert page.locator("a[href^='javascript' i], a[href^='data' i], [onerror], [onload], [onclick], iframe, object, embed").count() == 0
    assert page.locator("main script, main style, main [style], main meta, main base").count() == 0


def visit(page: Any, *addresses: str) -> None:
    page.context.add_init_script(WATCH)
    for address in addresses:
        page.goto(address)
        quiet(page)


def test_what_annotators_see(open_page: Opener, place: Project) -> None:
    model = LanguageModel.objects.create(name=HOSTILE[1][:200], kind="named")
    ben = cast.person("Ben", place, "annotator")
    for at in range(0, len(HOSTILE), CHUNK):
        comparison(place, HOSTILE[at : at + CHUNK], model)
    GuidelineRevision.objects.create(project=place, number=9, text="\n\n".join(HOSTILE))
    page = open_page(ben, "/")
    visit(page, "/", "/p/ours/", "/p/ours/guidelines/", "/p/ours/annotate/")
    for _ in range(0, len(HOSTILE), CHUNK):
        for tool in page.locator("details.tool, details.older").all()[:6]:
            tool.evaluate("it => { it.open = true; }")
        for key in ("d", "v", "g", "g"):
            page.keyboard.press(key)
        quiet(page)
        shown = page.locator("[data-item]").get_attribute("data-assignment")
        page.keyboard.press("6")
        page.wait_for_function("id => document.querySelector('[data-item]')?.dataset.assignment !== id", arg=shown)
    visit(page, "/p/ours/history/")


def test_every_text_alone_in_every_way_that_texts_are_drawn(open_page: Opener, place: Project, client: Any) -> None:
    """Comparison pages of curators, with flags, sentences, names of raters, models and files."""
    ada = cast.person("Ada", place, "project_admin")
    model = LanguageModel.objects.create(name=HOSTILE[2][:200], kind="named")
    made = comparison(place, HOSTILE[:CHUNK], model)
    for at, text in enumerate(HOSTILE):
        clean = text.replace("\x00", "")
        record = Import.objects.create(
            project=place, file_name=clean[:255], source_name=clean[:200], state="refused", error=clean, shape="trl-preference",
            counts={"rows_in": 1, "refused": 1}, faults=[{"row": 1, "cause": "wrong_type", "message": clean}], options={"notices": [clean]},
        )  # fmt: skip
        rater = Rater.objects.create(project=place, kind="source", name=f"{at} {clean}"[:200])
        Annotation.objects.create(
            project=place, comparison=made, rater=rater, state="current", outcome="first", source_import=record, source_line=at,
            answers={"preference": {"outcome": "first", "vote": None, "sentence": clean}},
        )  # fmt: skip
        LanguageModel.objects.get_or_create(name=f"{at} {clean}"[:200], defaults={"kind": "named"})
        if at < 5:
            user: User = cast.person(f"p{at}", place, "annotator")
            member = Participation.objects.create(project=place, annotator=user)
            Flag.objects.create(comparison=made, participation=member, reason="\n".join(HOSTILE[at * 3 : at * 3 + 3])[:400])
    last = Import.objects.order_by("-pk").first()
    page = open_page(ada, "/p/ours/")
    visit(
        page, "/models/", "/p/ours/", "/p/ours/comparisons/", f"/p/ours/comparisons/{made.pk}/", "/p/ours/imports/",
        f"/p/ours/imports/{last.pk}/", "/p/ours/raters/", "/p/ours/people/", "/p/ours/settings/", "/p/ours/guidelines/edit/",
    )  # fmt: skip


ECHOES = [
    "/p/ours/comparisons/?q={}", "/p/ours/comparisons/?flip={}", "/p/ours/comparisons/?outcome={}", "/p/ours/comparisons/?sort={}",
    "/p/ours/comparisons/?after={}", "/p/ours/history/?before={}", "/p/ours/annotate/?saved={}", "/p/{}/", "/p/ours/versions/{}/",
    "/p/ours/runs/{}/", "/p/ours/reports/{}/", "/sign-in/?next={}", "/{}", "/p/ours/comparisons/1/section?side={}&at={}",
]  # fmt: skip


def test_what_pages_say_back(open_page: Opener, place: Project, client: Any) -> None:
    """Echoes of addresses and forms: by the client for all texts, in the browser for one of each family."""
    from urllib.parse import quote

    ada = cast.person("Ada", place, "project_admin")
    client.force_login(ada)
    raw = [text for text in HOSTILE if "<" in text and len(text) < 300]
    for at, text in enumerate(raw):
        address = ECHOES[at % len(ECHOES)]
        reply = client.get(address.format(*[quote(text, safe="")] * address.count("{}")))
        body = b"".join(reply.streaming_content) if reply.streaming else reply.content
        assert text.encode() not in body or "html" not in reply["Content-Type"], (address, text)
        reply = client.post("/p/ours/comparisons/1/wanted", {"wanted": text})
        assert text.encode() not in reply.content
    page = open_page(ada, "/p/ours/")
    page.context.add_init_script(WATCH)
    for address, text in zip(ECHOES, raw[::7], strict=False):
        page.goto(address.format(*[quote(text, safe="")] * address.count("{}")))
        quiet(page)
    assert settings.SESSION_COOKIE_HTTPONLY
