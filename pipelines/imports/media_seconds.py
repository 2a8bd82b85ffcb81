"""How long a sound or film lasts, told by its first or last bytes; None where they do not tell. Pure.

WAV, FLAC, Ogg (Vorbis, Opus) and MP4 say it where it can be read without decoding. MP3 and WebM need not, and are not
asked.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

OPUS_RATE = 48_000
MOST_BOXES = 1_000


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
    "audio/flac": _of_flac,
    "audio/ogg": _of_ogg,
    "audio/mp4": _of_mp4,
    "video/mp4": _of_mp4,
}
