"""Images, sounds and films in a record: read, recognised by their bytes, and replaced by their hash.

They come as bytes (the Image and Audio structs of Hugging Face: `{bytes, path}`) or as files below one folder, by name
or, in an export, by hash. An address is refused: what it shows tomorrow is not what people judged today. Pure but for
the files that it reads.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipelines.imports.captions import captions_clean
from pipelines.imports.errors import RowRefused
from pipelines.imports.media_seconds import media_seconds
from pipelines.imports.rows import MEDIA_ADDRESS, MEDIA_KINDS, Medium, shown

MOST_BYTES = 50_000_000
# Fields of a record that may hold media; `images` and `image` fill the places that a prompt leaves.
FIELDS = ("prompt", "chosen", "rejected", "completions")
COLUMNS = ("images", "image")
# What of a completion may hold some, and whose words it is: its own prompt stands there in the shape `annotated`.
OF_COMPLETION = {"text": "assistant", "messages": "assistant", "prompt": "user"}
CAPTIONS, CAPTIONS_TYPE = "captions", "text/vtt"
MOST_LABEL = 80
_LANGUAGE = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ADDRESS = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:|//|\\\\")
# Begins with (`....` for any four bytes), the kinds it may stand for, and the type under which it is served.
SIGNATURES: tuple[tuple[re.Pattern[bytes], tuple[str, ...], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), kinds, media_type)
    for pattern, kinds, media_type in (
        (rb"\x89PNG\r\n\x1a\n", ("image",), "image/png"),
        (rb"\xff\xd8\xff", ("image",), "image/jpeg"),
        (rb"RIFF....WEBP", ("image",), "image/webp"),
        (rb"GIF8[79]a", ("image",), "image/gif"),
        (rb"RIFF....WAVE", ("audio",), "audio/wav"),
        (rb"ID3|\xff[\xe2\xe3\xf2\xf3\xfa\xfb]", ("audio",), "audio/mpeg"),
        (rb"fLaC", ("audio",), "audio/flac"),
        (rb"OggS", ("audio",), "audio/ogg"),
        (rb"....ftypM4A", ("audio",), "audio/mp4"),
        (rb"....ftyp", ("video", "audio"), "video/mp4"),
        (rb"\x1a\x45\xdf\xa3.{0,60}webm", ("video", "audio"), "video/webm"),
    )
)


def media_type_of(data: bytes, kind: str) -> str | None:
    """The type of these bytes if they are of that kind and on the list, else None.

    Example:
        >>> media_type_of(b"GIF89a...", "image"), media_type_of(b"<svg>", "image")
        ('image/gif', None)
    """
    return next((found for sign, kinds, found in SIGNATURES if kind in kinds and sign.match(data[:80])), None)


class MediaReader:
    """Replaces the media of records. `folder`: where files may lie; without one, only bytes are read."""

    def __init__(self, folder: Path | None = None, most_bytes: int = MOST_BYTES) -> None:
        self.folder = folder.resolve() if folder else None
        self.most_bytes = most_bytes

    def read(self, record: Mapping[str, Any]) -> tuple[Mapping[str, Any], tuple[Medium, ...]]:
        """The record with media as parts of messages that name a hash, and what was read.

        Raises:
            RowRefused: a medium that cannot be had, or is none of the types on the list.
        """
        if not _may_hold_media(record):
            return record, ()
        row = _RowMedia(self, record)
        return row.replaced(), tuple(row.found.values())

    def load(self, value: object, kind: str, field: str) -> Medium:
        """One medium from a struct, or from the name of a file."""
        if isinstance(value, Mapping):
            data = value.get("bytes")
            if isinstance(data, bytes):
                return self._recognised(data, kind, field)
            value = value.get("path")
        if not isinstance(value, str) or not value:
            raise RowRefused("media_missing", f"the {kind} of {field} has neither bytes nor the name of a file")
        return self._recognised(self._file(value, kind, field).read_bytes(), kind, field)

    def _file(self, name: str, kind: str, field: str) -> Path:
        if (kept := self._kept(name)) is not None:
            return kept
        if _ADDRESS.match(name):
            raise RowRefused(
                "media_address", f"{field} names the {kind} by its address ({shown(name)}); media come as files or bytes"
            )
        if self.folder is None:
            raise RowRefused(
                "media_missing", f"{field} names the file {shown(name)}; say with --media in which folder it lies"
            )
        if "\x00" in name or Path(name).is_absolute():
            raise RowRefused("media_outside", f"{field} names {shown(name)}, which is no place in the media folder")
        path = (self.folder / name).resolve()
        if not path.is_relative_to(self.folder):
            raise RowRefused("media_outside", f"{field} names {shown(name)}, which lies outside the media folder")
        if not path.is_file():
            raise RowRefused("media_missing", f"{field} names {shown(name)}, which is not in the media folder")
        if path.stat().st_size > self.most_bytes:
            raise self._too_large(path.stat().st_size, kind, field)
        return path

    def _kept(self, name: str) -> Path | None:
        """A medium by its hash, as an export names it, where the media folder is a home's own or has files so called."""
        sha256 = name.removeprefix(MEDIA_ADDRESS)
        if self.folder is None or sha256 == name or not _SHA256.fullmatch(sha256):
            return None
        found = next((p for p in (self.folder / sha256[:2] / sha256, self.folder / sha256) if p.is_file()), None)
        is_it = found is not None and hashlib.sha256(found.read_bytes()).hexdigest() == sha256
        return found if is_it else None

    def _recognised(self, data: bytes, kind: str, field: str) -> Medium:
        if kind == CAPTIONS:
            clean = captions_clean(data, field)
            return Medium(hashlib.sha256(clean).hexdigest(), CAPTIONS_TYPE, clean)
        if len(data) > self.most_bytes:
            raise self._too_large(len(data), kind, field)
        media_type = media_type_of(data, kind)
        if media_type is None:
            known = ", ".join(found.split("/")[1] for _, kinds, found in SIGNATURES if kind in kinds)
            raise RowRefused("media_type", f"the {kind} of {field} is none of {known}")
        return Medium(hashlib.sha256(data).hexdigest(), media_type, data, media_seconds(data, media_type))

    def _too_large(self, size: int, kind: str, field: str) -> RowRefused:
        return RowRefused("media_too_large", f"the {kind} of {field} has {size:,} bytes; at most {self.most_bytes:,} fit")


def _may_hold_media(record: Mapping[str, Any]) -> bool:
    """Cheap, since it is asked of every row: a plain text or messages of texts hold none."""
    if any(record.get(column) for column in COLUMNS):
        return True
    values: list[Any] = [record.get(field) for field in FIELDS[:3]]
    completions = record.get("completions")
    if isinstance(completions, list):
        for item in completions:
            values += [item.get(field) for field in OF_COMPLETION] if isinstance(item, dict) else []
            values.append(item)
    return any(
        _is_struct(value)
        or (isinstance(value, list) and any(isinstance(m, dict) and isinstance(m.get("content"), list) for m in value))
        for value in values
    )


def _is_struct(value: object) -> bool:
    return isinstance(value, Mapping) and len(value) > 0 and value.keys() <= {"bytes", "path"}


class _RowMedia:
    """The media of one record on their way."""

    def __init__(self, reader: MediaReader, record: Mapping[str, Any]) -> None:
        self.reader, self.record = reader, record
        self.found: dict[str, Medium] = {}
        given = [item for column in COLUMNS for item in _listed(record.get(column))]
        self.waiting: Iterator[object] = iter(given)

    def replaced(self) -> dict[str, Any]:
        record = {key: value for key, value in self.record.items() if key not in COLUMNS}
        record["prompt"] = self._value(record.get("prompt"), "user", "prompt")
        for field in ("chosen", "rejected"):
            if field in record:
                record[field] = self._value(record[field], "assistant", field)
        if isinstance(record.get("completions"), list):
            record["completions"] = [
                {**item, **self._completion(item, f"completion {number}")}
                if isinstance(item, dict) and not _is_struct(item)
                else self._value(item, "assistant", f"completion {number}")
                for number, item in enumerate(record["completions"], start=1)
            ]
        left = [self._part({"type": "image", "image": item}, "images") for item in self.waiting]
        if left:
            record["prompt"] = _with_images(record["prompt"], left)
        return record if not self.found else _all_messages(record)

    def _completion(self, item: Mapping[str, Any], field: str) -> dict[str, Any]:
        return {name: self._value(item[name], role, field) for name, role in OF_COMPLETION.items() if name in item}

    def _value(self, value: Any, role: str, field: str) -> Any:
        if _is_struct(value):
            return [{"role": role, "content": [self._part(self._own_part(value), field)]}]
        if not isinstance(value, list):
            return value
        return [
            {**message, "content": [self._part(part, field) for part in message["content"]]}
            if isinstance(message, dict) and isinstance(message.get("content"), list)
            else message
            for message in value
        ]

    def _own_part(self, struct: Mapping[str, Any]) -> dict[str, Any]:
        """A struct without a word about its kind as a part; its bytes tell."""
        data = struct.get("bytes")
        kinds = MEDIA_KINDS if isinstance(data, bytes) else ()
        kind = next((kind for kind in kinds if media_type_of(data or b"", kind)), "image")
        return {"type": kind, kind: struct}

    def _part(self, part: Any, field: str) -> Any:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in {"image_url", "audio_url", "video_url", "input_audio"}:
            raise RowRefused("media_address", f"{field} holds {kind}, an address; media come as files or bytes")
        if kind not in MEDIA_KINDS:
            return part
        value = part.get(kind)
        medium = self.reader.load(next(self.waiting, None) if value is None else value, kind, field)
        self.found[medium.sha256] = medium
        words = next((part[name] for name in ("text", "description", "alt") if isinstance(part.get(name), str)), "")
        read = {"type": kind, kind: MEDIA_ADDRESS + medium.sha256} | ({"text": words} if words else {})
        return read if kind == "image" else read | self._beside(part, field)

    def _beside(self, part: Mapping[str, Any], field: str) -> dict[str, Any]:
        """What a sound or film brings along: a poster, captions, and its words as a text."""
        beside: dict[str, Any] = {}
        if part.get("poster") is not None:
            beside["poster"] = self._kept(self.reader.load(part["poster"], "image", f"the poster of {field}"))
        if tracks := [self._track(one, field) for one in _listed(part.get("captions"))]:
            beside["captions"] = tracks
        if part.get("transcript"):
            if not isinstance(part["transcript"], str):
                raise RowRefused("wrong_type", f"the transcript of {field} must be a text")
            beside["transcript"] = part["transcript"]
        return beside

    def _track(self, given: object, field: str) -> dict[str, str]:
        """Captions from the name of a file, a struct, or `{"file", "language", "label"}`."""
        track: Mapping[str, Any] = given if isinstance(given, Mapping) and not _is_struct(given) else {"file": given}
        words = {name: track.get(name) or "" for name in ("language", "label")}
        if not all(isinstance(word, str) and len(word) <= MOST_LABEL for word in words.values()):
            raise RowRefused("wrong_type", f"language and label of captions of {field} are texts of up to {MOST_LABEL}")
        if words["language"] and not _LANGUAGE.fullmatch(words["language"]):
            raise RowRefused("wrong_type", f"the language of captions of {field} is a tag like en or pt-BR")
        medium = self.reader.load(track.get("file"), CAPTIONS, field)
        return {"file": self._kept(medium), **{name: word for name, word in words.items() if word}}

    def _kept(self, medium: Medium) -> str:
        self.found[medium.sha256] = medium
        return MEDIA_ADDRESS + medium.sha256


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _with_images(prompt: Any, parts: list[Any]) -> Any:
    """Images for which the prompt leaves no place stand before its first words."""
    messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt or [])
    at = next((at for at, m in enumerate(messages) if isinstance(m, dict) and m.get("role") == "user"), None)
    if at is None:
        raise RowRefused("wrong_type", "images stand beside a prompt in which no user speaks")
    content = messages[at].get("content") or ""
    words = [{"type": "text", "text": content}] if isinstance(content, str) else content
    messages[at] = {**messages[at], "content": [*parts, *words]}
    return messages


def _all_messages(record: dict[str, Any]) -> dict[str, Any]:
    """Media make messages of a text; then the row's other texts are messages too."""

    def spoken(value: Any, role: str) -> Any:
        return [{"role": role, "content": value}] if isinstance(value, str) else value

    record["prompt"] = spoken(record.get("prompt"), "user")
    for field in ("chosen", "rejected"):
        if field in record:
            record[field] = spoken(record[field], "assistant")
    return record
