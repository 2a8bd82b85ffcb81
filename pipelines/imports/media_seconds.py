"""How long a sound or film lasts, told by its headers; None where they do not tell. Pure.

WAV, FLAC, Ogg (Vorbis, Opus) and MP4 say it where it can be read without decoding. Of MP3 the count of frames in the first
one is read (Xing, Info, VBRI), else its frames are counted; of WebM the duration, which some recorders leave out.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

OPUS_RATE = 48_000
MOST_BOXES = 1_000
# MPEG audio, layer III: kilobits and hertz by the header's index, of version 1 and of versions 2 and 2.5.
MP3_KILOBITS = (
    (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
)
MP3_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
MP3_SEARCHED = 65_536  # bytes between the tags and the first frame
EBML_SEGMENT, EBML_INFO, EBML_SCALE, EBML_DURATION = 0x18538067, 0x1549A966, 0x2AD7B1, 0x4489


def media_seconds(data: bytes, media_type: str) -> float | None:
    """Seconds, to the hundredth.

    Example:
        >>> head = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8)
        >>> media_seconds(b"RIFF...." + head + b"data" + struct.pack("<I", 12_000), "audio/wav")
        1.5
    """
    read = READERS.get(media_type)
    try:
        seconds = read(data) if read else None
    except (struct.error, IndexError):  # it ends where it should go on
        return None
    return round(seconds, 2) if seconds is not None and 0 < seconds < 1e6 else None


def _of_wav(data: bytes) -> float | None:
    at, rate = 12, 0
    for _ in range(MOST_BOXES):
        name, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        if name == b"fmt ":
            rate = struct.unpack_from("<I", data, at + 16)[0]
        if name == b"data":
            return size / rate if rate else None
        at += 8 + size + size % 2
    return None


def _of_flac(data: bytes) -> float | None:
    """The 20 bits of the rate and the 36 of the sample count in the first block."""
    packed = struct.unpack_from(">Q", data, 18)[0]
    rate, samples = packed >> 44, packed & (1 << 36) - 1
    return samples / rate if rate else None


def _of_ogg(data: bytes) -> float | None:
    """The place of the last page, which counts samples."""
    last = data.rfind(b"OggS")
    samples: int = struct.unpack_from("<q", data, last + 6)[0]
    head = data[:400]
    if (at := head.find(b"\x01vorbis")) >= 0:
        rate = struct.unpack_from("<I", head, at + 12)[0]
        return samples / rate if rate and samples > 0 else None
    if (at := head.find(b"OpusHead")) >= 0:
        before: int = struct.unpack_from("<H", head, at + 10)[0]
        return (samples - before) / OPUS_RATE
    return None


def _of_mp4(data: bytes) -> float | None:
    """The movie header inside the movie box."""
    movie = next((span for name, *span in _boxes(data, 0, len(data)) if name == b"moov"), None)
    header = next((at for name, at, _ in _boxes(data, *movie) if name == b"mvhd"), None) if movie else None
    if header is None:
        return None
    scale, length = struct.unpack_from(">IQ" if data[header] else ">II", data, header + (20 if data[header] else 12))
    return length / scale if scale else None


@dataclass(frozen=True)
class _Frame:
    """One frame of MP3: bytes, samples, hertz, and where a first frame tells of the others."""

    size: int
    samples: int
    rate: int
    tells_at: int


def _of_mp3(data: bytes) -> float | None:
    at = _after_id3(data)
    first = next((at for at in range(at, min(len(data), at + MP3_SEARCHED)) if _begins_frames(data, at)), None)
    frame = None if first is None else _mp3_frame(data, first)
    if first is None or frame is None:
        return None
    if told := _frames_told(data, first, frame):
        return told * frame.samples / frame.rate
    seconds, at = 0.0, first
    while found := _mp3_frame(data, at):
        seconds += found.samples / found.rate
        at += found.size
    return seconds


def _after_id3(data: bytes) -> int:
    """Where the tags before the sound end; their size has seven bits a byte."""
    at = 0
    while data[at : at + 3] == b"ID3" and len(data) >= at + 10:
        size = sum((byte & 0x7F) << shift for byte, shift in zip(data[at + 6 : at + 10], (21, 14, 7, 0), strict=True))
        at += 10 + size + (10 if data[at + 5] & 0x10 else 0)
    return at


def _begins_frames(data: bytes, at: int) -> bool:
    """Whether a frame begins here, and another after it or the end: eleven bits alone are found anywhere."""
    frame = _mp3_frame(data, at)
    return frame is not None and (at + frame.size >= len(data) or _mp3_frame(data, at + frame.size) is not None)


def _mp3_frame(data: bytes, at: int) -> _Frame | None:
    if at + 4 > len(data):
        return None
    head = int(struct.unpack_from(">I", data, at)[0])
    version, layer, kilobits_at, rate_at = head >> 19 & 3, head >> 17 & 3, head >> 12 & 15, head >> 10 & 3
    if head >> 21 != 0x7FF or version == 1 or layer != 1 or kilobits_at in {0, 15} or rate_at == 3:
        return None
    is_first, is_mono = version == 3, head >> 6 & 3 == 3
    rate, kilobits = MP3_RATES[version][rate_at], MP3_KILOBITS[not is_first][kilobits_at]
    samples = 1152 if is_first else 576
    beside = {(True, False): 32, (True, True): 17, (False, False): 17, (False, True): 9}[is_first, is_mono]
    return _Frame(samples // 8 * kilobits * 1000 // rate + (head >> 9 & 1), samples, rate, at + 4 + beside)


def _frames_told(data: bytes, at: int, frame: _Frame) -> int:
    """How many frames the first one says that there are; 0 where it says nothing."""
    if data[frame.tells_at : frame.tells_at + 4] in {b"Xing", b"Info"}:
        flags, count = struct.unpack_from(">II", data, frame.tells_at + 4)
        return int(count) if flags & 1 else 0
    if data[at + 36 : at + 40] == b"VBRI":
        return int(struct.unpack_from(">I", data, at + 50)[0])
    return 0


def _of_webm(data: bytes) -> float | None:
    """Duration in units of the scale, which is nanoseconds and a million of them unless it is given."""
    segment = next((span for name, *span in _elements(data, 0, len(data)) if name == EBML_SEGMENT), None)
    info = next((span for name, *span in _elements(data, *segment) if name == EBML_INFO), None) if segment else None
    found = {name: data[at:end] for name, at, end in _elements(data, *info)} if info else {}
    scale, length = found.get(EBML_SCALE, b"\x0f\x42\x40"), found.get(EBML_DURATION, b"")
    if len(length) not in {4, 8}:
        return None
    units = float(struct.unpack(">f" if len(length) == 4 else ">d", length)[0])
    return units * int.from_bytes(scale) / 1e9


def _elements(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Name, begin and end of the content of each element; one of unknown size goes on to the end."""
    for _ in range(MOST_BOXES):
        if at >= end:
            return
        name, at = _ebml_number(data, at, keeps_marker=True)
        size, at = _ebml_number(data, at, keeps_marker=False)
        after = end if size is None else min(end, at + size)
        yield name or 0, at, after
        at = after


def _ebml_number(data: bytes, at: int, *, keeps_marker: bool) -> tuple[int | None, int]:
    """A number whose leading zero bits say how many bytes it has, and where it ends; None: all ones, an unknown size."""
    length = 9 - data[at].bit_length()
    if length > 8 or at + length > len(data):
        raise IndexError("An element ends in its head.")
    value, ones = int.from_bytes(data[at : at + length]), (1 << 7 * length) - 1
    if keeps_marker:
        return value, at + length
    return (None if value & ones == ones else value & ones), at + length


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, begin and end of the content of each box."""
    for _ in range(MOST_BOXES):
        if at + 8 > end:
            return
        size, name = struct.unpack_from(">I4s", data, at)
        head = 8
        if size == 1:
            size, head = struct.unpack_from(">Q", data, at + 8)[0], 16
        after = end if size == 0 else min(end, at + size)
        if after < at + head:
            return
        yield name, at + head, after
        at = after


READERS: dict[str, Callable[[bytes], float | None]] = {
    "audio/wav": _of_wav,
    "audio/mpeg": _of_mp3,
    "audio/flac": _of_flac,
    "audio/ogg": _of_ogg,
    "audio/mp4": _of_mp4,
    "video/mp4": _of_mp4,
    "video/webm": _of_webm,
}
