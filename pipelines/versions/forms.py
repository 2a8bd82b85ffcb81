"""The two forms of a text, plain and a list of messages, and the way from one to the other. Pure.

A plain transcript (turns opened by Human: and Assistant:) has its turns as messages; another plain prompt is one user
message. The way back writes a transcript, or the bare text where there is one user message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from annotation.transcripts import ASSISTANT, HUMAN, transcript_turns
from pipelines.versions.errors import FormRefused

PLAIN, MESSAGES = "plain", "messages"
FORMS = (PLAIN, MESSAGES)
Content = str | list[dict[str, str]]
_MARKS = {"user": HUMAN, "assistant": ASSISTANT}


@dataclass(frozen=True, slots=True)
class PairTexts:
    """Prompt, chosen and rejected in one form."""

    prompt: Content
    chosen: Content
    rejected: Content


def content_of(form: str, body: str) -> Content:
    """A stored text as it goes into a row."""
    return body if form == PLAIN else orjson.loads(body)


def in_form(pair: PairTexts, form: str) -> PairTexts:
    """The pair in `form`; itself where it has it already.

    Raises:
        FormRefused: messages that plain text cannot hold.

    Example:
        >>> in_form(PairTexts("2+2=", "4", "5"), "messages").prompt
        [{'content': '2+2=', 'role': 'user'}]
    """
    if isinstance(pair.prompt, str):
        return pair if form == PLAIN else _as_messages(pair)
    return pair if form == MESSAGES else _as_plain(pair)


def completion_in_form(prompt: Content, completion: Content, form: str) -> tuple[Content, Content]:
    """A single completion in `form`, as one of a pair would be."""
    both = in_form(PairTexts(prompt, completion, completion), form)
    return both.prompt, both.chosen


def _as_messages(pair: PairTexts) -> PairTexts:
    turns = transcript_turns(str(pair.prompt))
    if turns is None:
        prompt = [_message("user", str(pair.prompt))]
        return PairTexts(
            prompt, *([_message("assistant", str(text))] for text in (pair.chosen, pair.rejected))
        )
    answers = ([_message("assistant", str(text).removeprefix(" "))] for text in (pair.chosen, pair.rejected))
    return PairTexts([_message(turn.role, turn.content) for turn in turns], *answers)


def _as_plain(pair: PairTexts) -> PairTexts:
    prompt = _checked(pair.prompt, _MARKS)
    chosen, rejected = (_checked(messages, {"assistant": ""}) for messages in (pair.chosen, pair.rejected))
    if len(chosen) != 1 or len(rejected) != 1:
        raise FormRefused("Plain text cannot hold a completion of several messages; use --form messages.")
    texts = chosen[0]["content"], rejected[0]["content"]
    if len(prompt) == 1 and prompt[0]["role"] == "user":
        return PairTexts(prompt[0]["content"], *texts)
    transcript = "".join(f"{_MARKS[message['role']]} {message['content']}" for message in prompt) + ASSISTANT
    return PairTexts(transcript, *(f" {text}" for text in texts))


def _checked(messages: Content, roles: Mapping[str, str]) -> Sequence[Mapping[str, Any]]:
    if isinstance(messages, str):
        raise FormRefused("Prompt, chosen and rejected must have one form.")
    for message in messages:
        if message["role"] not in roles:
            raise FormRefused(
                f"Plain text cannot hold a {message['role']} message here; use --form messages."
            )
    return messages


def _message(role: str, content: str) -> dict[str, str]:
    return {"content": content, "role": role}
