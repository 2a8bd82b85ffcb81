"""Contrast of the settled colours, recomputed from the style sheet by the WCAG 2 formula."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TOKENS = Path("webapp/static/css/tokens.css").read_text()
LIGHT_TEXT, DARK_TEXT = TOKENS.split("@media")
TEXT = [
    ("ink", ("surface", "bg", "mark", "raised")), ("ink-2", ("surface", "bg", "sunken")),
    ("ink-3", ("surface", "bg", "sunken")), ("dim", ("surface", "sunken")), ("accent-text", ("surface", "accent-soft")),
    ("accent-ink", ("accent",)), ("ok", ("surface", "bg")), ("warn", ("surface", "warn-soft")),
    ("bad", ("surface", "bad-soft")), ("info", ("surface", "bg")),
    *((f"code-{role}", ("sunken", "surface")) for role in ("keyword", "string", "number", "name")),
]  # fmt: skip
GRAPHICS = ["line-strong", "focus", "mark-line", "c1", "c2", "c3", "c4", "c-mute"]


def colours(text: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", text))


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_graphics_stand_out(scheme: str) -> None:
    tokens = colours(LIGHT_TEXT) | (colours(DARK_TEXT) if scheme == "dark" else {})
    weak = [
        (front, back)
        for front, backs in TEXT
        for back in backs
        if contrast(tokens[front], tokens[back]) < 4.5
    ]
    weak += [(name, "surface") for name in GRAPHICS if contrast(tokens[name], tokens["surface"]) < 3.0]
    assert weak == []


def test_both_themes_have_the_same_colours() -> None:
    assert set(colours(LIGHT_TEXT)) == set(colours(DARK_TEXT))


def test_no_colour_is_written_outside_the_tokens() -> None:
    for path in Path("webapp/static/css").glob("*.css"):
        if path.name != "tokens.css":
            rest = re.sub(r"@media print \{.*", "", path.read_text(), flags=re.S)
            found = set(re.findall(r"#[0-9a-fA-F]{3,8}\b", rest))
            assert found <= {"#fff"}, (path.name, found)
