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


def mp3(frames: int, head: int = 0xFFFB9000, told: bytes = b"", tells_at: int = 36) -> bytes:
    """MPEG 1, layer III, 128 kbit/s, 44.1 kHz, stereo, unless the head says otherwise: 417 bytes, 1152 samples a frame."""
    plain = struct.pack(">I", head) + bytes(413)
    first = plain[:tells_at] + told + plain[tells_at + len(told) :]
    return first + plain * (frames - 1)


def element(name: str, body: bytes, size: bytes | None = None) -> bytes:
    return bytes.fromhex(name) + (size or struct.pack(">Q", 1 << 56 | len(body))) + body


def webm(*info: bytes, size: bytes | None = None) -> bytes:
    head = element("1a45dfa3", element("4282", b"webm"))
    return head + element("18538067", element("ec", bytes(40)) + element("1549a966", b"".join(info)), size)


DURATION = element("4489", struct.pack(">d", 12_500))
UNKNOWN = b"\x01" + b"\xff" * 7
FRAME = 1152 / 44_100
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
    (mp3(100), "audio/mpeg", round(100 * FRAME, 2)),
    (b"ID3\x04\x00\x00\x00\x00\x02\x01" + b"\xff\xfb" * 128 + b"\x00" + mp3(100), "audio/mpeg", round(100 * FRAME, 2)),
    (mp3(100) + b"TAG" + bytes(125), "audio/mpeg", round(100 * FRAME, 2)),
    (mp3(2, told=b"Xing" + struct.pack(">II", 1, 5_000)), "audio/mpeg", round(5_000 * FRAME, 2)),
    (mp3(2, told=b"Info" + struct.pack(">II", 2, 5_000)), "audio/mpeg", round(2 * FRAME, 2)),
    (mp3(2, told=b"VBRI" + bytes(10) + struct.pack(">I", 700)), "audio/mpeg", round(700 * FRAME, 2)),
    (mp3(2, 0xFFFB90C0, b"Xing" + struct.pack(">II", 1, 5_000), tells_at=21), "audio/mpeg", round(5_000 * FRAME, 2)),
    (mp3(1, 0xFFFD9000), "audio/mpeg", None),
    (webm(DURATION), "video/webm", 12.5),
    (webm(element("2ad7b1", b"\x07\xa1\x20"), element("4489", struct.pack(">f", 12_500))), "video/webm", 6.25),
    (webm(DURATION, size=UNKNOWN), "video/webm", 12.5),
    (webm(), "video/webm", None),
    (b"\x1a\x45\xdf\xa3\x01webm", "video/webm", None),
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
