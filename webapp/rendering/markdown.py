"""Markdown to a fixed list of elements, or the source, of texts that models wrote; nothing is dropped.

Untrusted always. Raw HTML appears as text. Headings become h4. Images load nothing and go nowhere. Links to the web open
a tab of their own that knows nothing of this page; others go nowhere. Where a link leads stands beside it. Characters
that cannot be seen become boxed names. Both sides of a comparison pass through the same functions.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import Any
from urllib.parse import urlsplit

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

from webapp.rendering.code import code_html
from webapp.rendering.controls import visible, visible_to_the_end
from webapp.rendering.maths import ATTRIBUTES as MATHS_ATTRIBUTES
from webapp.rendering.maths import ELEMENTS as MATHS_ELEMENTS
from webapp.rendering.maths import MOST_CHARACTERS as LONGEST_FORMULA
from webapp.rendering.maths import Formulas

TAGS = {
    *("p", "br", "hr", "h4", "ul", "ol", "li", "strong", "em", "s", "blockquote", "code", "pre"),
    *("table", "thead", "tbody", "tr", "th", "td", "span", "div", "a"),
    *MATHS_ELEMENTS,
}
CLASSES = {
    "span": {"ctl", "ref", "addr", "trail", "hk", "hs", "hn", "hf", "hc"},
    "code": {"tex"},
    "div": {"formula"},
    "mrow": {"radicand"},
}
ATTRIBUTES = {
    "ol": {"start"}, "span": {"title"}, "pre": {"tabindex"}, "table": {"tabindex"}, "div": {"tabindex"},
    "h4": {"id", "tabindex"}, "a": {"href"}, **{element: set(MATHS_ATTRIBUTES) for element in MATHS_ELEMENTS},
}  # fmt: skip
# Blocks find their own direction: a text may hold Arabic and English side by side.
_OWN_DIRECTION = {"p", "h4", "ul", "ol", "li", "blockquote", "table", "td", "th", "pre"}
FIXED = {element: {"dir": "auto"} for element in _OWN_DIRECTION - {"pre"}} | {
    "pre": {"dir": "ltr"},
    "a": {"target": "_blank"},
}


_WEB = re.compile(r"https?://[^/?#]", re.IGNORECASE)


def web_host(address: str) -> str:
    """The host that an address of the web leads to, in ASCII, as a browser would ask for it; empty for other addresses.

    Example:
        >>> web_host("https://good.example@evil.example/x"), web_host("javascript:alert(1)"), web_host("//e.example")
        ('evil.example', '', '')
    """
    if not _WEB.match(address) or not address.isprintable() or "\\" in address:
        return ""
    try:
        host = urlsplit(address).hostname or ""
        return host.encode("idna").decode()
    except (ValueError, UnicodeError):
        return ""


def _address(address: str) -> str:
    """An address to be read: of one that can be followed with its host marked, whatever stands around it."""
    host = web_host(address)
    within = urlsplit(address).netloc.lower().rfind(host) if host else -1
    if within < 0:
        return visible(address)
    begin = address.index("//") + 2 + within
    end = begin + len(host)
    return f"{visible(address[:begin])}<strong>{visible(address[begin:end])}</strong>{visible(address[end:])}"


class _Renderer(RendererHTML):
    """Every text of the tree goes through `visible`."""

    def text(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return visible(tokens[idx].content)

    def code_inline(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return f"<code>{visible(tokens[idx].content)}</code>"

    def fence(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        words = tokens[idx].info.split()
        code = code_html(tokens[idx].content, words[0]) if words else visible(tokens[idx].content)
        return f'<pre tabindex="0"><code>{code}</code></pre>\n'

    code_block = fence

    def link_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        address = str(tokens[idx].attrs.get("href", ""))
        return f'<a href="{escape(address)}">' if web_host(address) else '<span class="ref">'

    def link_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        address = next(str(t.attrs.get("href", "")) for t in reversed(tokens[:idx]) if t.type == "link_open")
        return f'{"</a>" if web_host(address) else "</span>"} <span class="addr">[{_address(address)}]</span>'

    def image(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        token = tokens[idx]
        name, address = visible(token.content), visible(str(token.attrs["src"]))
        return f'<span class="ref">image: {name}</span> <span class="addr">[{address}]</span>'

    def formula(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        token = tokens[idx]
        shown = f"{token.markup}{token.content}{token.info}"
        found = env["formulas"].html(token.content, is_block=token.block, shown=shown)
        return f'<div class="formula" tabindex="0">{found}</div>\n' if token.block else found


# Formulas: $..$ and \(..\) in a line, $$..$$ and \[..\] in a line or as blocks

_MARKS = {"$$": "$$", "\\[": "\\]", "\\(": "\\)", "$": "$"}


# A text of dollars must not be searched to its end from each of them.
_MOST_TRIES = 4


def _end_of(text: str, start: int, closing: str) -> int:
    """Where the formula that begins at `start` is closed, or -1. A dollar closes only after a character that is not
    white space and before one that is no digit, so that two prices in a sentence are no formula."""
    end, most = start, min(len(text), start + LONGEST_FORMULA)
    for _ in range(_MOST_TRIES):
        end = text.find(closing, end, most)
        if end < 0:
            return -1
        is_price = closing == "$" and (text[end - 1].isspace() or text[end + 1 : end + 2].isdigit())
        if not is_price and not (closing[0] == "$" and _is_escaped(text, end, start)):
            return end
        end += 1
    return -1


def _is_escaped(text: str, at: int, start: int) -> bool:
    return (at - start - len(text[start:at].rstrip("\\"))) % 2 == 1


def _formula_inline(state: StateInline, silent: bool) -> bool:
    start = state.pos
    opening = next((mark for mark in _MARKS if state.src.startswith(mark, start)), None)
    if opening is None:
        return False
    begin = start + len(opening)
    if opening == "$" and (begin >= state.posMax or state.src[begin].isspace()):
        return False
    end = _end_of(state.src, begin, _MARKS[opening])
    if end <= begin or end + len(_MARKS[opening]) > state.posMax:
        return False
    if not silent:
        _push(state, opening, state.src[begin:end])
    state.pos = end + len(_MARKS[opening])
    return True


def _formula_block(state: StateBlock, first: int, last: int, silent: bool) -> bool:
    """Lines from one that begins with $$ or \\[ to one that ends with the mark that closes it."""
    begin = state.bMarks[first] + state.tShift[first]
    opening = state.src[begin : begin + 2]
    if opening not in {"$$", "\\["} or state.is_code_block(first):
        return False
    closing = _MARKS[opening]
    end = state.src.find(closing, begin + 2, begin + 2 + LONGEST_FORMULA)
    line = next((n for n in range(first, last) if state.eMarks[n] >= end), last) if end >= 0 else last
    if line == last or any(state.isEmpty(n) for n in range(first, line + 1)):
        return False
    if state.src[end + 2 : state.eMarks[line]].strip():
        return False
    if not silent:
        lines = [state.src[state.bMarks[n] + state.tShift[n] : state.eMarks[n]] for n in range(first, line + 1)]
        token = _push(state, opening, "\n".join(lines).rstrip()[2:-2])
        token.block, token.map = True, [first, line + 1]
    state.line = line + 1
    return True


def _push(state: StateInline | StateBlock, opening: str, content: str) -> Token:
    token = state.push("formula", "", 0)
    token.markup, token.content, token.info = opening, content, _MARKS[opening]
    return token


# The parser looks for the end of each link in all that follows.
MOST_BRACKETS = 5_000
# The parser leaves out what is nested deeper, so such a text is shown as its source.
DEEPEST = 60


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "linkify": False, "maxNesting": DEEPEST}, renderer_cls=_Renderer)
    parser.enable(["table", "strikethrough"])
    parser.inline.ruler.before("escape", "formula", _formula_inline)
    parser.block.ruler.before(
        "fence", "formula", _formula_block, {"alt": ["paragraph", "blockquote", "list"]}
    )
    # An unsafe address is shown and no link, so none needs refusing; refusing would show the source instead.
    parser.validateLink = lambda url: True  # type: ignore[method-assign]
    return parser


@dataclass(frozen=True)
class Heading:
    """A heading of a text: its number in the text, its level in the source (1 to 6) and its words."""

    number: int
    level: int
    words: str


def markdown_html(text: str, anchor: str = "") -> SafeString:
    """Markdown as safe HTML. With `anchor`, headings can be jumped to as `anchor-1`, `anchor-2`."""
    if text.count("[") > MOST_BRACKETS:
        return source_html(text)
    parser = _parser()
    env: dict[str, Any] = {"formulas": Formulas()}
    tokens = parser.parse(text, env)
    if any(token.level >= DEEPEST - 2 for token in tokens):
        return source_html(text)
    number = 0
    for token in tokens:
        if token.type == "heading_open" and anchor:
            number += 1
            token.attrs = {"id": f"{anchor}-{number}", "tabindex": "-1"}
        if token.type in {"heading_open", "heading_close"}:
            token.tag = "h4"
        token.attrs.pop("style", None)
    return _clean(parser.renderer.render(tokens, parser.options, env))


def headings(text: str) -> list[Heading]:
    """The headings of a text in its order; `markdown_html` numbers them alike."""
    tokens = _parser().parse(text, {})
    found = [
        (int(token.tag[1]), tokens[at + 1].content)
        for at, token in enumerate(tokens)
        if token.type == "heading_open"
    ]
    return [Heading(number, level, words) for number, (level, words) in enumerate(found, start=1)]


_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")


def inside_fences(pieces: Sequence[str]) -> list[bool]:
    """For pieces of one text in order, cut at line breaks: whether each begins, goes on with or ends a block of code that
    it does not hold whole. Alone it would lose its fence, its indent or its fixed width."""
    found, fence = [], ""
    for piece in pieces:
        before = fence
        for line in piece.split("\n"):
            mark = _FENCE.match(line)
            if mark and not fence:
                fence = mark[1]
            elif mark and mark[1].startswith(fence) and not line.strip(" `~"):
                fence = ""
        found.append(bool(before or fence))
    return found


def source_html(text: str) -> SafeString:
    """The text itself, character for character."""
    # The characters are all escaped or ours.
    return mark_safe(f'<pre class="source" tabindex="0" dir="auto">{visible_to_the_end(text)}</pre>')


def _clean(html: str) -> SafeString:
    return mark_safe(
        nh3.clean(
            html,
            tags=TAGS,
            attributes=ATTRIBUTES,
            allowed_classes=CLASSES,
            set_tag_attribute_values=FIXED,
            attribute_filter=_attribute,
            url_schemes={"http", "https"},
            link_rel="noopener noreferrer nofollow",
        )
    )


def _attribute(element: str, name: str, value: str) -> str | None:
    """Attributes of formulas are words and short lengths; the others are written by us."""
    allowed = MATHS_ATTRIBUTES.get(name) if element in MATHS_ELEMENTS else None
    return value if allowed is None or allowed.fullmatch(value) else None


