"""What was played of a side, and what the gate makes of it."""

from __future__ import annotations

import json

import pytest

from annotation.played import Gate, played_media

SOUND = ("messages", json.dumps([{"role": "assistant", "content": [{"type": "audio", "audio": "sha256:ab"}]}]))
PICTURE = ("messages", json.dumps([{"role": "assistant", "content": [{"type": "image", "image": "sha256:cd"}]}]))
WORDS = ("plain", '[{"content": [{"type": "audio", "audio": "sha256:ab"}]}]')


def test_only_sounds_and_films_of_messages_are_played() -> None:
    both = json.dumps([
        {"role": "user", "content": "sha256:"},
        {"role": "assistant", "content": [{"type": "video", "video": "sha256:1"}, {"type": "text", "text": "x"}, {"type": "audio", "audio": "sha256:2"}]},
    ])  # fmt: skip
    assert played_media("messages", both) == ["1", "2"]
    assert played_media(*SOUND) == ["ab"] and played_media(*PICTURE) == [] == played_media(*WORDS)


@pytest.mark.parametrize(
    ("gate", "exposure", "unplayed"),
    [
        (Gate(5, 0), {}, ["A", "B"]),
        (Gate(5, 0), {"played_a": 4, "share_a": 0.1, "played_b": 3, "share_b": 0.2}, ["B"]),
        (Gate(5, 0), {"played_a": 2, "share_a": 1.0, "played_b": 5, "share_b": 0.2}, []),
        (Gate(0, 90), {"played_a": 50, "share_a": 0.9, "played_b": 50, "share_b": 0.8}, ["B"]),
        (Gate(5, 100), {"played_a": 50, "share_a": 1, "played_b": 50, "share_b": 0.99}, []),
        (Gate(0, 90), {"played_a": 50, "played_b": 50}, ["A", "B"]),
    ],
)
def test_the_gate_names_the_sides_that_lack_something(gate: Gate, exposure: dict, unplayed: list[str]) -> None:
    assert gate.unplayed([SOUND, SOUND], exposure, "AB") == unplayed


def test_a_gate_asks_nothing_of_pictures_and_words_or_when_it_is_off() -> None:
    assert Gate(5, 0).unplayed([PICTURE, WORDS], {}, "AB") == []
    assert Gate(5, 0).holds([SOUND, WORDS]) and Gate(0, 1).holds([SOUND])
    assert not Gate(5, 50).holds([PICTURE, WORDS]) and not Gate(0, 0).holds([SOUND])
