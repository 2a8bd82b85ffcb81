"""Chats and very long texts on pages: turns once, tools folded, sections on demand and only for who may see them."""

from __future__ import annotations

import json
import re
from html import unescape
from time import process_time
from typing import Any

import pytest
from django.template import engines
from django.test import Client

from annotation.models import Assignment, Completion, Project, Text, User
from pipelines.imports.rows import text_sha256
from tests import cast
from tests.webapp.lending import comparison_of, lend, project_with
from webapp.rendering.turns import parted
from webapp.templatetags.texts import OUTLINE_FROM, WHOLE_CHARACTERS, text_sections

TALK = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "How **warm** is it?"},
    {"role": "assistant", "content": "", "tool_calls": [{"name": "weather", "arguments": {"at": "<b>Bern</b>"}}]},
    {"role": "tool", "name": "weather", "content": "21 degrees"},
    {"role": "user", "content": "And now?"},
]


def stored(messages: list[dict[str, object]]) -> Text:
    body = json.dumps(messages)
    return Text(sha256=text_sha256("messages", body.encode()), form="messages", body=body)


def drawn(template: str, **context: object) -> str:
    return engines["django"].get_template(template).render({"project": Project(render_markdown=True), **context})


def test_a_chat_is_drawn_in_words_with_tools_folded() -> None:
    found = parted(stored(TALK), [stored([{"role": "assistant", "content": "20"}]), stored([])])
    html = drawn("annotate/shared.html", parted=found)
    for piece in ("3 earlier turns", "User, turn 1", "Tool result, turn 3", 'class="turn sys"', "<strong>warm</strong>"):
        assert piece in html
    assert html.count("And now?") == 2  # drawn, and as its source
    assert "&lt;b&gt;Bern" in html and "<b>Bern" not in html
    assert "This completion is empty." in drawn("annotate/turns.html", turns=found.rest[1], anchor="side-B", side="B")


def test_a_long_answer_has_an_outline_that_leads_to_its_headings() -> None:
    text = "# First\n\n" + "word " * (OUTLINE_FROM // 5) + "\n\n## Second <b>\n\nend"
    rest = parted(cast_text("p"), [cast_text(text)]).rest[0]
    html = drawn("annotate/turns.html", turns=rest, anchor="side-A", side="A")
    assert 'href="#side-A-1-1-2"' in html and 'id="side-A-1-1-2"' in html and "Second &lt;b&gt;" in html
    assert "outline" not in drawn("annotate/turns.html", turns=parted(cast_text("p"), [cast_text("# x")]).rest[0], anchor="a")


def test_two_hundred_turns_are_drawn_fast() -> None:
    talk = [
        {"role": "user" if at % 2 == 0 else "assistant", "content": f"# Turn {at}\n\n" + "**bold** `code` and $x^2$. " * 20}
        for at in range(200)
    ]
    found = parted(stored(talk), [stored([{"role": "assistant", "content": "a"}]), stored([])])
    start = process_time()
    html = drawn("annotate/shared.html", parted=found)
    assert "199 earlier turns" in html and process_time() - start < 6


def cast_text(body: str) -> Text:
    return Text(form="plain", body=body)


@pytest.fixture
def place(db: None) -> Project:
    return cast.project("ours")


@pytest.fixture
def ben(place: Project) -> User:
    return cast.person("Ben", place, "annotator")


LONG = ("word *word* " * 500 + "\n\n") * 35 + "THE-END"
assert len(LONG) > WHOLE_CHARACTERS
LAST = len(text_sections(LONG)) - 1


def test_a_very_long_text_loads_by_section_and_only_for_its_annotator(place: Project, ben: User, client: Client) -> None:
    made = cast.comparison(place, "Long?", LONG, "short")
    client.force_login(ben)
    client.get("/p/ours/annotate/")
    assignment = Assignment.objects.get()
    order = [Completion.objects.get(places__comparison=made, places__position=at).text.body for at in assignment.option_order]
    side = "AB"[order.index(LONG)]
    address = f"/p/ours/annotate/{assignment.pk}/section?side={side}&at=1&part=0&section={LAST}"
    page, fragment = client.get(address), client.get(address + "&fragment=1")
    assert b"THE-END" in page.content and b"<html" in page.content
    assert b"THE-END" in fragment.content and b"<html" not in fragment.content
    for wrong in ("section=99", "section=-1", "section=x", "part=3&section=1"):
        base = f"/p/ours/annotate/{assignment.pk}/section?side={side}&at=1&part=0&"
        assert client.get(base.replace("part=0&", "" if "part" in wrong else "part=0&") + wrong).status_code == 404
    client.force_login(cast.person("Eve", place, "annotator"))
    assert client.get(address).status_code == 404


def test_a_section_on_its_own_page_is_in_its_annotators_language(place: Project, ben: User, client: Client) -> None:
    assignment = lend(ben, comparison_of(place, ["?"], [LONG, "Short."]))
    User.objects.update(interface_language="ar")
    client.force_login(ben)
    page = client.get(f"/p/ours/annotate/{assignment.pk}/section?side=A&at=1&part=0&section={LAST}").content.decode()
    assert '<html lang="ar" dir="rtl">' in page and f"<h1>القسم {LAST + 1} من {LAST + 1}</h1>" in page


STEPS = {"key": "steps", "type": "stepwise", "subject": "completion", "title": "?", "required": True, "mode": "first_bad"}
OWN = [LONG, f"Other.\n\n{LONG.replace('THE-END', 'ANOTHER-END')}"]


@pytest.mark.parametrize(
    ("questions", "prompts", "completions"),
    [("joint", OWN, ["One.", "Two."]), ([STEPS | {"cut": "paragraphs"}], ["?"], [text.replace("\n\n", "\n") for text in OWN])],
)
def test_own_prompts_and_steps_load_by_section_too(
    db: None, client: Client, questions: Any, prompts: list[str], completions: list[str]
) -> None:
    place = project_with(questions, "ours")
    made = comparison_of(place, prompts, completions)
    assignment = lend(ben := cast.person("Ben", place, "annotator"), made, [1, 0])
    client.force_login(ben)
    page = client.get(f"/p/ours/annotate/next?assignment={assignment.pk}").content.decode()
    assert "-END" not in page
    links = [unescape(link) for link in re.findall(r'href="([^"]*/section[^"]*)"', page)]
    side_a, side_b = (client.get([link for link in links if f"side={side}" in link][-1]) for side in "AB")
    assert b"ANOTHER-END" in side_a.content and b"THE-END" in side_b.content
    assert len(links) > 2 * LAST - 2 and {client.get(link).status_code for link in links[:2]} == {200}
    for wrong in ("side=C", "side=", "at=99"):
        assert client.get(re.sub(wrong.split("=")[0] + "=[^&]*", wrong, links[-1])).status_code == 404
    client.force_login(cast.person("Eve", place, "annotator"))
    assert client.get(links[-1]).status_code == 404


def test_the_curators_page_names_the_sections(place: Project, client: Client) -> None:
    made = cast.comparison(place, "Long?", LONG, "short")
    client.force_login(cast.person("Ada", place, "curator"))
    html = client.get(f"/p/ours/comparisons/{made.pk}/").content.decode()
    assert f"Section {LAST + 1} of {LAST + 1}" in html and "THE-END" not in html
    address = html.split('href="/p/ours/comparisons/')[1:]
    found = next(a for a in address if f"section={LAST}" in a.split('"')[0]).split('"')[0]
    assert b"THE-END" in client.get("/p/ours/comparisons/" + found.replace("&amp;", "&")).content
