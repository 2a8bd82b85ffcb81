"""What models wrote, made safe to show: Markdown to a fixed list of elements, or the source; nothing is dropped.

Untrusted always. Raw HTML appears as text. Headings become h4. Images and links load nothing and go nowhere: their
address stands beside them. Characters that cannot be seen become boxed names. Both sides of a comparison pass through
the same functions.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from typing import Any

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token

TAGS = {
    *("p", "br", "hr", "h4", "ul", "ol", "li", "strong", "em", "s", "blockquote", "code", "pre"),
    *("table", "thead", "tbody", "tr", "th", "td", "span"),
}
CLASSES = {"span": {"ctl", "ref", "addr"}}
ATTRIBUTES = {"ol": {"start"}, "span": {"title"}, "pre": {"tabindex"}}

# Short names of the invisible characters that matter most; the rest are named by their code point.
SHORT = {
    "\u00ad": "SHY", "\u061c": "ALM", "\u200b": "ZWSP", "\u200c": "ZWNJ", "\u200d": "ZWJ", "\u200e": "LRM",
    "\u200f": "RLM", "\u202a": "LRE", "\u202b": "RLE", "\u202c": "PDF", "\u202d": "LRO", "\u202e": "RLO",
    "\u2060": "WJ", "\u2066": "LRI", "\u2067": "RLI", "\u2068": "FSI", "\u2069": "PDI", "\ufeff": "BOM",
    "\u2028": "LS", "\u2029": "PS", "\x7f": "DEL",
}  # fmt: skip
C0 = [
    "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "HT", "LF", "VT", "FF", "CR", "SO", "SI", "DLE", "DC1",
    "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS", "GS", "RS", "US",
]  # fmt: skip
NAME_ONLY = "The text of this prompt is not in the file. Its name:"
JOINERS = {"\u200c", "\u200d"}


def _short_name(character: str) -> str:
    code = ord(character)
    if code < len(C0):
        return C0[code]
    return SHORT.get(character, f"U+{code:04X}")


def _is_hidden(text: str, at: int) -> bool:
    """Whether the character cannot be seen; joiners in emoji and between letters of joining scripts do their work."""
    character = text[at]
    if character in "\t\n\r" or unicodedata.category(character) not in {"Cc", "Cf", "Zl", "Zp", "Co", "Cn"}:
        return False
    if character not in JOINERS or not 0 < at < len(text) - 1:
        return True
    before, after = text[at - 1], text[at + 1]
    if character == "\u200d" and unicodedata.category(after) in {"So", "Sk"}:
        return False
    return not (ord(before) > 0x2FF and ord(after) > 0x2FF and before.isalpha() and after.isalpha())


def visible(text: str) -> str:
    """Escaped HTML in which characters that cannot be seen are boxed names."""
    if text.isascii() and text.isprintable():
        return escape(text)
    parts: list[str] = []
    for at, character in enumerate(text):
        if _is_hidden(text, at):
            name = unicodedata.name(character, "control character").lower()
            parts.append(f'<span class="ctl" title="{escape(name)}">{_short_name(character)}</span>')
        else:
            parts.append(escape(character))
    return "".join(parts)


class _Renderer(RendererHTML):
    """Every text of the tree goes through `visible`."""

    def text(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return visible(tokens[idx].content)

    def code_inline(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return f"<code>{visible(tokens[idx].content)}</code>"

    def fence(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return f'<pre tabindex="0"><code>{visible(tokens[idx].content)}</code></pre>\n'

    code_block = fence

    def link_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        return '<span class="ref">'

    def link_close(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        address = next(str(t.attrs.get("href", "")) for t in reversed(tokens[:idx]) if t.type == "link_open")
        return f'</span> <span class="addr">[{visible(address)}]</span>'

    def image(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        token = tokens[idx]
        name, address = visible(token.content), visible(str(token.attrs["src"]))
        return f'<span class="ref">image: {name}</span> <span class="addr">[{address}]</span>'


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "linkify": False}, renderer_cls=_Renderer)
    parser.enable(["table", "strikethrough"])
    # An unsafe address is shown, never followed, so none needs refusing; refusing would show the source instead.
    parser.validateLink = lambda url: True  # type: ignore[method-assign]
    return parser


def markdown_html(text: str) -> SafeString:
    """Markdown as safe HTML."""
    parser = _parser()
    env: dict[str, Any] = {}
    tokens = parser.parse(text, env)
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = "h4"
        token.attrs.pop("style", None)
    html = parser.renderer.render(tokens, parser.options, env)
    return mark_safe(
        nh3.clean(html, tags=TAGS, attributes=ATTRIBUTES, allowed_classes=CLASSES, link_rel=None)
    )


def source_html(text: str) -> SafeString:
    """The text itself, character for character."""
    return mark_safe(f"<pre class=source tabindex=0>{visible(text)}</pre>")


@dataclass(frozen=True)
class Turn:
    """One message; `role` is empty for a plain text."""

    role: str
    content: str


def turns(form: str, body: str) -> list[Turn]:
    """A stored text as its turns; `body` is the text itself, canonical JSON of messages, or a name without its text."""
    if form == "name":
        return [Turn("", f"{NAME_ONLY} {body}")]
    if form != "messages":
        return [Turn("", body)]
    return [Turn(str(m.get("role", "")), _content(m)) for m in json.loads(body)]


def _content(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    extra = {k: v for k, v in message.items() if k not in {"role", "content"} and v}
    shown = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False, indent=2)
    return shown + (
        "\n\n```json\n" + json.dumps(extra, ensure_ascii=False, indent=2) + "\n```" if extra else ""
    )


def one_line(form: str, body: str, limit: int = 200) -> str:
    """The last turn's first words, for tables."""
    last = turns(form, body)[-1:] or [Turn("", "")]
    words = " ".join(last[0].content[: limit * 4].split())
    return words if len(words) <= limit else words[: limit - 1] + "…"
