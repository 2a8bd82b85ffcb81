"""Characters that cannot be seen, as boxed names; and the spaces at the ends of lines, for whoever asks. Pure."""

from __future__ import annotations

import unicodedata
from html import escape

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
JOINERS = {"\u200c", "\u200d"}
_PLAIN_SPACE = dict.fromkeys(map(ord, "\t\n\r"))


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
    if text.translate(_PLAIN_SPACE).isprintable():
        return escape(text)
    parts: list[str] = []
    for at, character in enumerate(text):
        if _is_hidden(text, at):
            name = unicodedata.name(character, "control character").lower()
            parts.append(f'<span class="ctl" title="{escape(name)}">{_short_name(character)}</span>')
        else:
            parts.append(escape(character))
    return "".join(parts)


def visible_to_the_end(text: str) -> str:
    """`visible`, with the spaces at the ends of lines in a span: the style sheet marks them where a page asks for it."""
    lines = []
    for line in text.split("\n"):
        kept = line.rstrip(" \t")
        spaces = f'<span class="trail">{line[len(kept) :]}</span>' if kept != line else ""
        lines.append(visible(kept) + spaces)
    return "\n".join(lines)
