"""Lengths told by headers: what each format says, and nothing where it does not."""

from __future__ import annotations

import struct

import pytest

from pipelines.imports.media_seconds import media_seconds
from tests.webapp.test_media import wav


def flac(rate: int, samples: int) -> bytes:
    packed = rate << 44 | 1 << 41 | 15 << 36 | samples
    return b"fLaC" + b"\x00\x00\x00\x22" + struct.pack(">HH3s3sQ", 4096, 4096, b"", b"", packed) + bytes(16)


def ogg(head: bytes, samples: int) -> bytes:
    page = lambda place: b"OggS\x00\x02" + struct.pack("<q", place) + bytes(13)  # noqa: E731 - two of a kind
    return page(0) + head + page(samples)


def mp4(scale: int, length: int, version: int = 0) -> bytes:
    times = struct.pack(">QQIQ", 0, 0, scale, length) if version else struct.pack(">IIII", 0, 0, scale, length)
    header = bytes([version, 0, 0, 0]) + times + bytes(80)
    box = lambda name, body: struct.pack(">I4s", 8 + len(body), name) + body  # noqa: E731 - three of a kind
    return box(b"ftyp", b"isom\x00\x00\x00\x00") + box(b"free", b"....") + box(b"moov", box(b"mvhd", header))


OPUS = b"OpusHead\x01\x02" + struct.pack("<H", 312)
VORBIS = b"\x01vorbis" + struct.pack("<IBI", 0, 2, 44_100)
CASES = [
    (wav(2.5), "audio/wav", 2.5),
    (wav(2.5)[:30], "audio/wav", None),
    (wav(1)[:12] + b"LIST\x03\x00\x00\x00abc\x00" + wav(1)[12:], "audio/wav", 1.0),
    (flac(44_100, 441_000), "audio/flac", 10.0),
    (flac(0, 441_000), "audio/flac", None),
    (flac(44_100, 0), "audio/flac", None),
    (ogg(OPUS, 48_312), "audio/ogg", 1.0),
    (ogg(VORBIS, 88_200), "audio/ogg", 2.0),
    (ogg(VORBIS, -1), "audio/ogg", None),
    (ogg(b"theora", 99), "audio/ogg", None),
    (mp4(600, 7_500), "video/mp4", 12.5),
    (mp4(600, 7_500, version=1), "audio/mp4", 12.5),
    (mp4(0, 7_500), "video/mp4", None),
    (b"\x00\x00\x00\x18ftypisom", "video/mp4", None),
    (b"\x00" * 400, "video/mp4", None),
    (b"ID3\x04" + bytes(200), "audio/mpeg", None),
    (b"\x89PNG", "image/png", None),
    (b"", "audio/wav", None),
]


@pytest.mark.parametrize(("data", "media_type", "seconds"), CASES)
def test_a_length_is_told_or_unknown(data: bytes, media_type: str, seconds: float | None) -> None:
    assert media_seconds(data, media_type) == seconds


def test_no_beginning_of_a_file_raises() -> None:
    for data, media_type, _ in CASES:
        for size in range(len(data)):
            media_seconds(data[:size], media_type)
