"""Code is coloured in four roles, says every character, and takes time in proportion to its length."""

from __future__ import annotations

import re
from html import unescape
from time import process_time

import pytest

from webapp.rendering.code import code_html, languages


def test_the_four_roles() -> None:
    html = code_html("def f(x):  # why\n    return 'a' + str(12)\n", "python")
    for span in (
        '<span class="hk">def</span>',
        '<span class="hf">f</span>',
        '<span class="hc"># why</span>',
        '<span class="hn">12</span>',
        '<span class="hs">&#x27;a&#x27;</span>',
    ):
        assert span in html


def test_markup_and_sql() -> None:
    assert '<span class="hk">&lt;p</span>' in code_html("<p class='x'>7</p>", "html")
    assert '<span class="hk">SELECT</span>' in code_html("SELECT 1 -- x", "sql")


@pytest.mark.parametrize("language", ["", "klingon", "<script>", "python; rm"])
def test_an_unknown_language_is_plain(language: str) -> None:
    assert code_html("def <b>", language) == "def &lt;b&gt;"


SAMPLES = [
    "def f(x): return '<b>' # &", "/* unclosed", "'unclosed \n \"x", "<a href='x'>", "\t\u200b\u202e", '{"a": [1, 2.5e3]}',
    "", "\n\nx\\", "#!/bin/sh\necho $((1+2))", "<!-- a -- b", "f(g(1))", "'''a''b", "`x",
]  # fmt: skip


@pytest.mark.parametrize("language", languages())
def test_every_language_says_every_character(language: str) -> None:
    for code in SAMPLES:
        html = code_html(code, language)
        assert re.findall(r"<(?!/?span)", html) == []
        text = re.sub(r'<span class="ctl"[^>]*>(\w+)</span>', r"[\1]", html)
        shown = code.replace("\u200b", "[ZWSP]").replace("\u202e", "[RLO]")
        assert unescape(re.sub(r"</?span[^>]*>", "", text)) == shown


HOSTILE = "/ ' \" \\ ( < { /* <!-- a 0 ${ ` # = $( <<A a.a @ \"' --- ''' \"\"\" a( \\\" <a- 0. % *".split() + [" ", "\n", "\t"]


@pytest.mark.parametrize("language", ["js", "python", "bash", "yaml", "sql", "lua", "latex", "html"])
def test_hostile_code_takes_time_in_proportion(language: str) -> None:
    start = process_time()
    for piece in HOSTILE:
        code_html(piece * (20_000 // len(piece)), language)
    assert process_time() - start < 5
