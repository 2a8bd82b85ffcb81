"""Which commands get the services that they need."""

from __future__ import annotations

import pytest

import manage


@pytest.mark.parametrize("words", [[], ["help"], ["--version"], ["train", "--help"]])
def test_words_that_only_inform_need_no_services(words: list[str]) -> None:
    assert manage._needs_no_services(words)


@pytest.mark.parametrize("words", [["train", "--version", "v1", "--model", "base"], ["migrate"]])
def test_commands_that_work_get_them(words: list[str]) -> None:
    assert not manage._needs_no_services(words)
