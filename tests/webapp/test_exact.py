"""The source to the letter: code stands in its own type, and no character is lost, doubled or moved."""

from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webapp.templatetags.annotate import code_parted, exact

BLOCK = "Say:\n```python\nx = `1`\n```\nthen `run it` and wait.\n"


def test_blocks_and_words_in_backticks_are_code() -> None:
    assert code_parted(BLOCK) == [
        ("Say:\n", False), ("```python\nx = `1`\n```\n", True), ("then ", False), ("`run it`", True), (" and wait.\n", False),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", "plain", "`", "``", "a `b\nc` d", "\n```\nopen", BLOCK.replace("\n", "\r\n")])
def test_joined_they_are_the_text(text: str) -> None:
    assert "".join(piece for piece, _ in code_parted(text)) == text


@given(st.text(alphabet="ab `\n\r~\u200b<&", max_size=60))
def test_a_browser_counts_the_same_characters(text: str) -> None:
    shown = str(exact(text)).split(">\n", 1)[1].removesuffix("</pre>")
    boxed = re.sub(r'<span class="ctl" title="([^"]*)">[^<]*</span>', lambda m: "\r" if "carriage" in m[1] else "\u200b", shown)
    assert html.unescape(re.sub(r"</?code>", "", boxed)) == text
