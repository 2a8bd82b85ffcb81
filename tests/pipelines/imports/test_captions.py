"""Captions: plain words and times come through, all that could style or place something does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.imports.captions import captions_clean
from pipelines.imports.errors import RowRefused
from tests.webapp.hostile import strings

FULL = """\ufeffWEBVTT - made up
Kind: captions

STYLE
::cue { background: url(http://192.0.2.1/x) }

REGION
id:bob

NOTE nobody reads this

intro
00:01.000 --> 00:02.500 line:0 align:start
<v Ada><c.loud>Hello</c> &amp; <00:01.500>welcome</v> 3 &lt; 4

01:00:00.000 --> 01:00:01.000
مرحبا
two lines --&gt; here
"""
CLEAN = (
    "WEBVTT\n\n00:00:01.000 --> 00:00:02.500\nHello &amp; welcome 3 &lt; 4\n\n"
    "01:00:00.000 --> 01:00:01.000\nمرحبا\ntwo lines --&gt; here\n"
)


@pytest.mark.parametrize("text", [FULL, FULL.replace("\n", "\r\n"), CLEAN])
def test_only_times_and_plain_words_are_kept(text: str) -> None:
    assert captions_clean(text.encode(), "chosen").decode() == CLEAN


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", "media_type"),
        (b"1\n00:00:01,000 --> 00:00:02,000\nSubRip\n", "media_type"),
        (b"WEBVTTX\n\n00:01.000 --> 00:02.000\nx\n", "media_type"),
        (b"WEBVTT\n\nNOTE only\n", "media_type"),
        ("WEBVTT\n\n00:01.000 --> 00:02.000\nx\n".encode("utf-16"), "media_type"),
        (b"WEBVTT\n\n00:01,000 --> 00:02.000\nx\n", "captions_broken"),
        (b"WEBVTT\n\n00:02.000 --> 00:02.000\nx\n", "captions_broken"),
        (b"WEBVTT\n\n" + b"x" * 2_000_001, "media_too_large"),
    ],
)
def test_what_are_no_captions_is_refused(data: bytes, cause: str) -> None:
    with pytest.raises(RowRefused) as refused:
        captions_clean(data, "chosen")
    assert refused.value.cause == cause


@given(st.text(max_size=300) | st.sampled_from(strings()))
def test_whatever_a_cue_says_is_clean_and_stays_so(words: str) -> None:
    given_ = f"WEBVTT\n\n00:00.000 --> 00:01.000\nx{words}\n".encode(errors="replace")
    try:
        clean = captions_clean(given_, "chosen")
    except RowRefused:
        return
    assert captions_clean(clean, "chosen") == clean
    said = [line for line in clean.decode().split("\n")[2:] if " --> " not in line]
    assert not any(mark in line for line in said for mark in ("<", ">", "\x00"))
