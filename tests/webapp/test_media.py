"""Media: kept by hash, served with a fixed type to members of a project that shows them, and to nobody else."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.conf import settings
from django.test import Client

from annotation.feedback.templates import TEMPLATES
from annotation.models import Comparison, Completion, Import, Media, Project, Text
from annotation.services.projects import form_revise
from pipelines.imports.errors import FileRefused, RowRefused
from pipelines.imports.media import MediaReader, media_type_of
from pipelines.services.annotation_export import annotations_export
from pipelines.services.import_removal import import_remove
from pipelines.services.importing import ImportOptions, import_file
from pipelines.services.media import media_path
from tests import cast
from tests.webapp.lending import project_with


def png(shade: int, size: int = 8) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))

    rows = b"".join(b"\x00" + bytes([shade]) * size for _ in range(size))
    head = struct.pack("!IIBBBBB", size, size, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def wav(seconds: float = 1.0, level: int = 128) -> bytes:
    data = bytes([level]) * int(8000 * seconds)
    head = b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 8000, 1, 8) + b"data" + struct.pack("<I", len(data))
    return b"RIFF" + struct.pack("<I", len(head) + len(data)) + head + data


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "media").mkdir()
    for name, data in {"a.png": png(0), "b.png": png(9), "a.wav": wav(), "bad.png": b"<svg onload=alert(1)>"}.items():
        (tmp_path / "media" / name).write_bytes(data)
    (tmp_path / "secret.png").write_bytes(png(5))
    (tmp_path / "media" / "link.png").symlink_to(tmp_path / "secret.png")
    return tmp_path / "media"


def image(value: object, **more: object) -> dict[str, object]:
    return {"type": "image", "image": value, **more}


def row(*parts: object) -> dict[str, object]:
    return {
        "prompt": [{"role": "user", "content": [*parts, {"type": "text", "text": "What is it?"}]}],
        "chosen": [{"role": "assistant", "content": "A square."}],
        "rejected": [{"role": "assistant", "content": "A cat."}],
    }


REFUSED = {
    "https://e.example/a.png": "media_address",
    "//e.example/a.png": "media_address",
    "data:image/png;base64,AAAA": "media_address",
    "file:///etc/passwd": "media_address",
    "sha256:" + "0" * 64: "media_address",
    "../secret.png": "media_outside",
    "link.png": "media_outside",
    "/etc/passwd": "media_outside",
    "none.png": "media_missing",
    "bad.png": "media_type",
    "a.wav": "media_type",
    "": "media_missing",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_named(folder: Path, name: str) -> None:
    with pytest.raises(RowRefused) as refused:
        MediaReader(folder).read(row(image(name)))
    assert refused.value.cause == REFUSED[name]


def test_an_address_in_openai_form_is_refused(folder: Path) -> None:
    with pytest.raises(RowRefused, match="address"):
        MediaReader(folder).read(row({"type": "image_url", "image_url": {"url": "https://e.example"}}))


def test_too_large_is_refused(folder: Path) -> None:
    with pytest.raises(RowRefused) as refused:
        MediaReader(folder, most_bytes=10).read(row(image("a.png")))
    assert refused.value.cause == "media_too_large"


@pytest.mark.parametrize(
    ("data", "kind", "found"),
    [
        (png(1), "image", "image/png"), (b"\xff\xd8\xff\xe0", "image", "image/jpeg"), (b"RIFF\0\0\0\0WEBP", "image", "image/webp"),
        (b"GIF89a", "image", "image/gif"), (wav(), "audio", "audio/wav"), (b"ID3\x04", "audio", "audio/mpeg"),
        (b"fLaC", "audio", "audio/flac"), (b"OggS", "audio", "audio/ogg"), (b"\0\0\0\x18ftypisom", "video", "video/mp4"),
        (b"\x1a\x45\xdf\xa3\x01webm", "video", "video/webm"), (b"<svg>", "image", None), (b"<html>", "image", None),
        (b"%PDF", "image", None), (wav(), "image", None), (b"\x1a\x45\xdf\xa3matroska", "video", None),
    ],
)  # fmt: skip
def test_types_are_told_by_their_bytes(data: bytes, kind: str, found: str | None) -> None:
    assert media_type_of(data, kind) == found


def lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return path


@pytest.fixture
def place(db: None) -> Project:
    return cast.project("ours")


@pytest.fixture
def brought(place: Project, folder: Path, tmp_path: Path) -> Import:
    path = lines(tmp_path / "x.jsonl", row(image("a.png", text="A <b>grey</b> square")))
    return import_file(project=place, path=path, options=ImportOptions(media=str(folder)))


def test_it_is_kept_once_by_hash_and_left_out_of_what_reads_text(place: Project, brought: Import, folder: Path) -> None:
    medium = Media.objects.get()
    assert media_path(medium.pk).read_bytes() == (folder / "a.png").read_bytes() and medium.media_type == "image/png"
    assert not Comparison.objects.get().one_prompt
    body = Text.objects.get(body__contains="sha256:").body
    assert medium.pk in body and "a.png" not in body


def test_it_is_served_to_members_with_nothing_that_could_run(place: Project, brought: Import) -> None:
    sha256 = Media.objects.get().pk
    address = f"/p/ours/media/{sha256}"
    ben, eve = cast.person("Ben", place, "annotator"), cast.person("Eve", cast.project("theirs"), "annotator")
    client = Client()
    client.force_login(ben)
    reply = client.get(address)
    assert b"".join(reply.streaming_content) == media_path(sha256).read_bytes()
    assert reply["Content-Type"] == "image/png" and reply["X-Content-Type-Options"] == "nosniff"
    assert reply["Content-Security-Policy"] == "sandbox; default-src 'none'"
    for wrong in ("0" * 64, "x", "..%2fsecret_key", sha256.upper()):
        assert client.get(f"/p/ours/media/{wrong}").status_code == 404
    client.force_login(eve)
    assert client.get(address).status_code == 404
    assert client.get(f"/p/theirs/media/{sha256}").status_code == 404


@pytest.mark.parametrize(
    ("asked", "status", "first", "last"),
    [("bytes=0-3", 206, 0, 3), ("bytes=10-", 206, 10, None), ("bytes=-4", 206, -4, None), ("bytes=99999-", 416, 0, 0)],
)
def test_it_comes_in_ranges(place: Project, brought: Import, client: Client, asked: str, status: int, first: int, last: int | None) -> None:
    sha256 = Media.objects.get().pk
    client.force_login(cast.person("Ben", place, "annotator"))
    reply = client.get(f"/p/ours/media/{sha256}", headers={"Range": asked})
    assert reply.status_code == status
    if status == 206:
        data = media_path(sha256).read_bytes()
        assert reply.content == data[first : None if last is None else last + 1]
        assert reply["Content-Range"].endswith(f"/{len(data)}")


def test_an_import_that_is_removed_takes_its_media_along(
    place: Project, brought: Import, folder: Path, tmp_path: Path, django_capture_on_commit_callbacks
) -> None:
    sha256 = Media.objects.get().pk
    elsewhere = import_file(
        project=cast.project("theirs"),
        path=lines(tmp_path / "y.jsonl", row(image("a.png"))),
        options=ImportOptions(media=str(folder)),
    )
    with django_capture_on_commit_callbacks(execute=True):
        import_remove(record=brought)
    assert media_path(sha256).is_file()
    with django_capture_on_commit_callbacks(execute=True):
        import_remove(record=elsewhere)
    assert not media_path(sha256).exists() and not Media.objects.exists()


def test_a_refused_file_leaves_no_media(place: Project, folder: Path, tmp_path: Path, django_capture_on_commit_callbacks) -> None:
    (folder / "c.png").write_bytes(png(77))
    path = lines(tmp_path / "x.jsonl", row(image("c.png")), row(image("none.png")))
    with django_capture_on_commit_callbacks(execute=True), pytest.raises(FileRefused):
        import_file(project=place, path=path, options=ImportOptions(media=str(folder), strict=True))
    assert not [p for p in settings.MEDIA_DIR.rglob("*") if p.is_file() and p.read_bytes() == png(77)]


def test_structs_in_parquet(place: Project, tmp_path: Path) -> None:
    """Pictures as completions, and TRL's column `images` that fills the places of a prompt."""
    pictures = pa.table({
        "prompt": ["A red square"],
        "chosen": [{"bytes": png(1), "path": "1.png"}],
        "rejected": [{"bytes": png(2), "path": None}],
    })
    pq.write_table(pictures, tmp_path / "p.parquet")
    done = import_file(project=place, path=tmp_path / "p.parquet", options=ImportOptions())
    assert done.counts["comparisons"] == 1 and Media.objects.count() == 2
    seen = pa.table({
        "prompt": [[{"role": "user", "content": [{"type": "image", "text": None}, {"type": "text", "text": "What?"}]}]],
        "images": [[{"bytes": png(3), "path": "3.png"}]],
        "chosen": [[{"role": "assistant", "content": [{"type": "text", "text": "A square"}]}]],
        "rejected": [[{"role": "assistant", "content": [{"type": "text", "text": "A cat"}]}]],
    })
    pq.write_table(seen, tmp_path / "s.parquet")
    done = import_file(project=place, path=tmp_path / "s.parquet", options=ImportOptions())
    assert done.counts["comparisons"] == 1 and Media.objects.count() == 3


def test_tool_calls_are_kept_and_shown(place: Project, tmp_path: Path) -> None:
    call = {"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "look", "arguments": "{}"}}]}
    given = {
        "prompt": [{"role": "user", "content": "Go"}],
        "chosen": [call, {"role": "tool", "name": "look", "content": "seen"}, {"role": "assistant", "content": "A"}],
        "rejected": [{"role": "assistant", "content": "B"}],
    }
    done = import_file(project=place, path=lines(tmp_path / "t.jsonl", given), options=ImportOptions())
    assert done.counts["comparisons"] == 1 and not Comparison.objects.get().one_prompt
    client = Client()
    client.force_login(cast.person("Ada", place, "curator"))
    html = client.get(f"/p/ours/comparisons/{Comparison.objects.get().pk}/").content.decode()
    assert "Calls <b" in html and "Tool result" in html


def answered(*parts: object, **prompt: object) -> dict[str, object]:
    """A row of the shape `annotated` whose first completion is made of parts."""
    completions = [
        {"id": "a", "messages": [{"role": "assistant", "content": list(parts)}], **prompt},
        {"id": "b", "messages": [{"role": "assistant", "content": "A cat."}]},
    ]
    return {
        "prompt": [{"role": "user", "content": "Draw a square."}],
        "completions": completions,
        "annotations": [{"rater": "r", "answers": cast.vote(-1)}],
    }


def test_media_of_completions_with_answers_are_kept_too(place: Project, folder: Path, tmp_path: Path) -> None:
    own = {"prompt": [{"role": "user", "content": [image("b.png")]}]}
    path = lines(tmp_path / "x.jsonl", answered(image("a.png")), answered(image("a.png"), **own))
    record = import_file(project=place, path=path, options=ImportOptions(media=str(folder)))
    assert (record.counts["annotations"], Media.objects.count()) == (2, 2)
    assert not Comparison.objects.filter(project=place, one_prompt=True).exists()


@pytest.mark.parametrize("own", [False, True])
def test_a_row_with_answers_cannot_name_media_by_hash(place: Project, folder: Path, tmp_path: Path, own: bool) -> None:
    named = image("sha256:" + "0" * 64)
    more = {"prompt": [{"role": "user", "content": [named]}]} if own else {}
    path = lines(tmp_path / "x.jsonl", answered({"type": "text", "text": "x"} if own else named, **more))
    with pytest.raises(FileRefused, match="media come as files or bytes"):
        import_file(project=place, path=path, options=ImportOptions(media=str(folder)))


def test_media_of_an_export_come_back_by_their_hash(place: Project, tmp_path: Path, folder: Path) -> None:
    """What segments say goes out and in again, with the sounds that it is about, and once more the same."""
    form_revise(project=place, questions=TEMPLATES["segments"].questions)
    (folder / "b.wav").write_bytes(wav(2, 140))
    said = [{"id": name, "messages": [{"role": "assistant", "content": [{"type": "audio", "audio": f"{name}.wav"}]}]} for name in "ab"]
    segment = {"start": 0.5, "end": 2.0, "outcome": "first", "vote": -2, "comment": "Clearer"}
    preference = {"outcome": "first", "vote": -1}
    record = {"prompt": [{"role": "user", "content": "Rain"}], "completions": said,
              "annotations": [{"rater": "r1", "answers": {"preference": preference, "segments": {"segments": [segment]}}}]}  # fmt: skip
    import_file(project=place, path=lines(tmp_path / "x.jsonl", record), options=ImportOptions(media=str(folder)))
    assert sorted(Media.objects.values_list("seconds", flat=True)) == [1.0, 2.0]
    annotations_export(project=place, out=tmp_path / "out.jsonl")
    other = project_with("segments", "again")
    with pytest.raises(FileRefused, match="address"):
        import_file(project=other, path=tmp_path / "out.jsonl", options=ImportOptions(media=str(folder)))
    import_file(project=other, path=tmp_path / "out.jsonl", options=ImportOptions(media=str(settings.MEDIA_DIR)))
    annotations_export(project=other, out=tmp_path / "out2.jsonl")
    first, second = (json.loads((tmp_path / name).read_text()) for name in ("out.jsonl", "out2.jsonl"))
    assert first["annotations"][0]["answers"] == second["annotations"][0]["answers"]
    assert first["completions"] == second["completions"]
    too_long = {**record, "annotations": [{"rater": "r2", "answers": {"preference": preference, "segments": {"segments": [segment | {"end": 2.5}]}}}]}
    with pytest.raises(FileRefused, match="what is judged lasts 2 s"):
        import_file(project=place, path=lines(tmp_path / "y.jsonl", too_long), options=ImportOptions(media=str(folder)))


def test_a_file_that_is_not_what_its_hash_says_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / ("0" * 64)).write_bytes(png(3))
    with pytest.raises(RowRefused, match="address"):
        MediaReader(tmp_path).read(row(image("sha256:" + "0" * 64)))


WORDS = b"WEBVTT\n\n00:00.000 --> 00:01.000\n<b>Rain</b> begins\n"


def film(**more: object) -> dict[str, object]:
    return {"type": "audio", "audio": "a.wav", "text": "Rain", **more}


@pytest.fixture
def beside(folder: Path) -> dict[str, object]:
    """A poster, captions in two languages and a transcript."""
    (folder / "en.vtt").write_bytes(WORDS)
    (folder / "ar.vtt").write_bytes(WORDS.replace(b"begins", "مطر".encode()))
    tracks = [{"file": "en.vtt", "language": "en", "label": "English"}, {"file": "ar.vtt", "language": "ar"}]
    return {"poster": "a.png", "captions": tracks, "transcript": "Rain begins.\n<script>alert(1)</script>"}


def test_what_a_medium_brings_along_is_kept_cleaned_and_shown(
    place: Project, folder: Path, tmp_path: Path, beside: dict[str, object]
) -> None:
    (folder / "c.webm").write_bytes(b"\x1a\x45\xdf\xa3\x01webm")
    video = {"type": "video", "video": "c.webm", **beside}
    path = lines(tmp_path / "x.jsonl", answered(film(**beside), video))
    import_file(project=place, path=path, options=ImportOptions(media=str(folder)))
    assert sorted(Media.objects.values_list("media_type", flat=True)) == [
        "audio/wav", "image/png", "text/vtt", "text/vtt", "video/webm",
    ]  # fmt: skip
    client = Client()
    client.force_login(cast.person("Ben", place, "annotator"))
    page = client.get("/p/ours/annotate/").content.decode()
    poster, track = (Media.objects.filter(media_type=kind).first() for kind in ("image/png", "text/vtt"))
    assert f'poster="/p/ours/media/{poster.pk}"' in page and page.count("<track ") == 4
    assert f'src="/p/ours/media/{track.pk}"' in page and 'srclang="en" label="English" default' in page
    assert 'srclang="ar" label="ar">' in page and "&lt;script&gt;alert(1)" in page and "<script>alert" not in page
    reply = client.get(f"/p/ours/media/{track.pk}")
    body = b"".join(reply.streaming_content)
    assert reply["Content-Type"] == "text/vtt" and b"<b>" not in body and body.startswith(b"WEBVTT\n\n00:00:00.000")


def test_what_a_medium_brings_along_comes_back_from_an_export(
    place: Project, folder: Path, tmp_path: Path, beside: dict[str, object]
) -> None:
    path = lines(tmp_path / "x.jsonl", answered(film(**beside)))
    import_file(project=place, path=path, options=ImportOptions(media=str(folder)))
    annotations_export(project=place, out=tmp_path / "out.jsonl")
    other = cast.project("again")
    import_file(project=other, path=tmp_path / "out.jsonl", options=ImportOptions(media=str(settings.MEDIA_DIR)))
    bodies = [set(Completion.objects.filter(prompt__project=one).values_list("text__body", flat=True)) for one in (place, other)]
    assert bodies[0] == bodies[1] and Media.objects.count() == 4


@pytest.mark.parametrize(
    ("more", "cause"),
    [
        ({"poster": "https://e.example/p.png"}, "media_address"),
        ({"poster": "a.wav"}, "media_type"),
        ({"captions": "//e.example/c.vtt"}, "media_address"),
        ({"captions": "a.png"}, "media_type"),
        ({"captions": [{"language": "en"}]}, "media_missing"),
        ({"captions": [{"file": "en.vtt", "language": "en\"x"}]}, "wrong_type"),
        ({"captions": [{"file": "en.vtt", "label": "x" * 81}]}, "wrong_type"),
        ({"captions": [7]}, "media_missing"),
        ({"transcript": ["a"]}, "wrong_type"),
    ],
)  # fmt: skip
def test_what_cannot_be_brought_along_is_refused(folder: Path, beside: dict[str, object], more: dict, cause: str) -> None:
    with pytest.raises(RowRefused) as refused:
        MediaReader(folder).read(row(film(**more)))
    assert refused.value.cause == cause
