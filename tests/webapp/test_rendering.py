"""What models wrote is shown whole and does nothing."""

from __future__ import annotations

import pytest

from webapp.rendering import Turn, markdown_html, one_line, source_html, turns

ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "![x](https://tracker.example/p.png)",
    '[x](https://e.example "onmouseover=alert(1)")',
    "<svg/onload=alert(1)>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<a href='//e.example' style='position:fixed'>x</a>",
    "`<script>`",
    "```\n</code></pre><script>alert(1)</script>\n```",
    "<details open ontoggle=alert(1)>",
    '<span class="ctl" title="spoof">ZWSP</span>',
    "&lt;script&gt;",
    "| a |\n|:-:|\n| <b>x</b> |",
    "<!-- hidden -->",
    "<math><mtext></mtext></math>",
]


@pytest.mark.parametrize("text", ATTACKS)
@pytest.mark.parametrize("draw", [markdown_html, source_html])
def test_nothing_in_a_text_runs_loads_or_styles(text: str, draw) -> None:
    html = str(draw(text)).lower()
    for tag in ("<script", "<img", "<a ", "<svg", "<iframe", "<details", "<math", "<style", "<!--"):
        assert tag not in html
    assert "style=" not in html.replace("style='", "") or "&lt;a href" in html
    assert "href=" not in html or "&lt;a href" in html


@pytest.mark.parametrize(
    "text", ["<b>bold</b>", "<!-- hidden -->", "[x](javascript:alert(1))", "![alt](https://e.example/i.png)"]
)
def test_nothing_is_dropped(text: str) -> None:
    html = str(markdown_html(text))
    for word in ("bold", "hidden", "javascript:alert(1)", "https://e.example/i.png"):
        assert (word in text) == (word in html)


def test_characters_that_cannot_be_seen_are_named() -> None:
    html = str(markdown_html("48\u200b1\u202e29 and `a\ufeffb`\n\n```\n\x07\n```"))
    for name in ("ZWSP", "RLO", "BOM", "BEL"):
        assert f">{name}</span>" in html


def test_joiners_that_do_their_work_stay() -> None:
    for text in ("👩\u200d🔬", "می\u200cخواهم"):
        assert "ctl" not in str(markdown_html(text))
        assert text in str(source_html(text))


def test_headings_become_small_and_tables_stay() -> None:
    html = str(markdown_html("# Big\n\n| a | b |\n|---|---|\n| 1 | 2 |"))
    assert "<h4>Big</h4>" in html and "<table>" in html and "<h1" not in html


def test_turns_and_one_line() -> None:
    body = '[{"content":"Hi","role":"user"},{"content":"Yes\\n now","role":"assistant"}]'
    assert turns("messages", body) == [Turn("user", "Hi"), Turn("assistant", "Yes\n now")]
    assert one_line("messages", body) == "Yes now"
