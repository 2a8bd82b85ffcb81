"""What models wrote is shown whole and does nothing."""

from __future__ import annotations

import re
from time import process_time

import pytest

from webapp.rendering import inside_fences, markdown_html, source_html
from webapp.rendering.markdown import headings

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


LINK = '<a href="https://e.example" target="_blank" rel="noopener noreferrer nofollow">'


@pytest.mark.parametrize("text", ATTACKS)
@pytest.mark.parametrize("draw", [markdown_html, source_html])
def test_nothing_in_a_text_runs_loads_or_styles(text: str, draw) -> None:
    html = str(draw(text)).lower()
    for tag in ("<script", "<img", "<svg", "<iframe", "<details", "<math", "<style", "<!--"):
        assert tag not in html
    assert "style=" not in html.replace("style='", "") or "&lt;a href" in html
    links = re.findall(r"<a [^>]*>", html)
    assert all(link == LINK for link in links) and html.count("href=") == len(links) + html.count("&lt;a href")


@pytest.mark.parametrize(
    "text", ["<b>bold</b>", "<!-- hidden -->", "[x](javascript:alert(1))", "![alt](https://e.example/i.png)"]
)
def test_nothing_is_dropped(text: str) -> None:
    html = str(markdown_html(text))
    for word in ("bold", "hidden", "javascript:alert(1)", "https://e.example/i.png"):
        assert (word in text) == (word in html)


@pytest.mark.parametrize(
    ("text", "href", "shown"),
    [
        ("[x](https://e.example)", "https://e.example", "https://<strong>e.example</strong>"),
        ("<https://e.example/a?b=1&c=2>", "https://e.example/a?b=1&amp;c=2", "https://<strong>e.example</strong>/a?b=1&amp;c=2"),
        ("[good.example](https://good.example@evil.example/evil.example)", "https://good.example@evil.example/evil.example",
         "https://good.example@<strong>evil.example</strong>/evil.example"),
        ("[x](HTTP://E.example:8080/)", "HTTP://E.example:8080/", "HTTP://<strong>E.example</strong>:8080/"),
        ("[x](https://bücher.example/)", "https://xn--bcher-kva.example/", "https://<strong>xn--bcher-kva.example</strong>/"),
        ("[x][1]\n\n[1]: http://e.example?e.example", "http://e.example?e.example", "http://<strong>e.example</strong>?e.example"),
    ],
)  # fmt: skip
def test_a_link_to_the_web_can_be_followed_and_says_where_it_leads(text: str, href: str, shown: str) -> None:
    html = str(markdown_html(text))
    assert f'<span class="addr">[{shown}]</span>' in html
    assert f'<a href="{href}" target="_blank" rel="noopener noreferrer nofollow">' in html


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)", "data:text/html,x", "//e.example", "/sign-out/", "file:///etc/passwd", "mailto:a@e.example",
        "https:e.example", "https:///x", "https://", "vbscript:x", "https:\\\\e.example", "https://[::1", "ftp://e.example",
    ],
)  # fmt: skip
def test_other_addresses_are_no_links(address: str) -> None:
    html = str(markdown_html(f"[x](<{address}>)"))
    assert "<a" not in html and "addr" in html


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
    assert '<h4 dir="auto">Big</h4>' in html and "<table" in html and "<h1" not in html


FORMULAS = {
    "$x^2$": "<msup>",
    "so \\(a_b\\)": "<msub>",
    "$$\n\\frac{1}{2}\n= b\n$$": "<mfrac>",
    "\\[\n\\begin{align*}a&=b\\\\c&=d\\end{align*}\n\\]": "<mtable",
    "- \\(\\sqrt{2}\\)": '<mo>√</mo><mrow class="radicand">',
    "$\\sqrt[3]{\\frac{a}{\\sqrt b}}$": "<msup><mrow></mrow><mn>3</mn></msup><mo>√</mo>",
}


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_becomes_mathml(text: str) -> None:
    html = str(markdown_html(text))
    assert FORMULAS[text] in html and "tex" not in html


@pytest.mark.parametrize(
    "text", ["$5 and $10", "\\$x^2\\$", "`$x$`", "a $ b $ c", "cost: $3", "```\n$x$\n```", "$$\n\nx"]
)
def test_a_dollar_that_is_no_formula_stays(text: str) -> None:
    assert "<math" not in str(markdown_html(text))


HOSTILE_FORMULAS = [
    "\\href{javascript:alert(1)}{x}", "\\text{<script>alert(1)</script>}", "\\style{color:red}{x}", "\\unknown{x}",
    "\\def\\a{\\a\\a}\\a", "\\newcommand{\\a}{\\a\\a}\\a", "{" * 300 + "x" + "}" * 300, "\\frac{" * 300, "x" * 3000,
    "\\text{<img src=x onerror=alert(1)>}", "a\u202eb", "\\url{https://e.example}", "\\text{<math><mtext>}", "\\begin{x}",
    "\\class{a}{b}", "\\hspace{1cm}\\unknown", "\\text{<!--}", "\\text{</math><style>@import'x'</style>}",
]  # fmt: skip


@pytest.mark.parametrize("source", HOSTILE_FORMULAS)
def test_a_formula_that_cannot_be_turned_stays_as_source(source: str) -> None:
    html = str(markdown_html(f"$${source}$$"))
    assert "<math" not in html
    for sign in ("<script", "<img", "href", "style=", "<style", "<!--"):
        assert sign not in html.replace("\\href", "")
    assert html.count("<code") == 1 or len(source) > 2000


@pytest.mark.parametrize(
    ("source", "spaces"),
    [("n \\log n", 2), ("\\log_2 n", 1), ("2\\sin^2(x)", 1), ("\\frac{\\ln x}{x}", 1), ("n + m", 0), ("\\log_{\\sin x} y", 2)],
)
def test_names_of_functions_stand_apart(source: str, spaces: int) -> None:
    assert str(markdown_html(f"${source}$")).count("<mspace") == spaces


def test_keys_reach_a_formula_in_a_line_that_may_be_wider_than_the_page():
    long = str(markdown_html("so $" + "a+b+c+" * 20 + "z$ holds"))
    assert '<math tabindex="0"' in long and "tabindex" not in str(markdown_html("so $a+b$ holds"))


def test_a_length_in_a_formula_cannot_push_the_page_away() -> None:
    assert "999" not in str(markdown_html("$\\hspace{99999cm}x$"))
    assert 'width="1cm"' in str(markdown_html("$\\hspace{1cm}x$"))


def test_what_is_nested_deeper_than_the_parser_goes_is_shown_as_source() -> None:
    html = str(markdown_html("> " * 500 + "the end"))
    assert "the end" in html and "source" in html


def test_blocks_find_their_own_direction_and_code_runs_from_the_left() -> None:
    html = str(markdown_html("مرحبا\n\n- שלום\n\n```\nx\n```"))
    assert '<p dir="auto">' in html and '<li dir="auto">' in html and '<pre tabindex="0" dir="ltr">' in html


def test_spaces_at_the_end_of_a_line_are_marked_in_the_source() -> None:
    assert str(source_html("a  \nb")).count("trail") == 1


def test_headings_can_be_jumped_to() -> None:
    text = "# One\n\nx\n\n## *Two*"
    assert [(h.number, h.level, h.words) for h in headings(text)] == [(1, 1, "One"), (2, 2, "*Two*")]
    html = str(markdown_html(text, "a"))
    assert 'id="a-1"' in html and 'id="a-2"' in html
    assert "id=" not in str(markdown_html(text))


@pytest.mark.parametrize(
    "piece", ["$", "$x ", "\\(", "\\[\n", "$x^2$ ", "> ", "*a ", "[", "![", "`", "| a ", "$$\nx\n", "<", "&", "\t"]
)
def test_hostile_repetitions_end(piece: str) -> None:
    start = process_time()
    markdown_html(piece * (40_000 // len(piece)))
    assert process_time() - start < 5


@pytest.mark.parametrize(
    ("pieces", "inside"),
    [
        (["Do:", "```py", "    x = 1", "```", "Done."], [False, True, True, True, False]),
        (["```\nx\n```", "y"], [False, False]),
        (["~~~~", "```", "~~~", "~~~~", "a"], [True, True, True, True, False]),
        (["```a", "never closed"], [True, True]),
    ],
)
def test_pieces_of_a_code_block_are_known(pieces: list[str], inside: list[bool]) -> None:
    assert inside_fences(pieces) == inside
