"""The one function that turns a pair of texts into the token ids that training will see.

Scorer, export check and trainer all call it. It follows TRL 1.16's DPOTrainer: for plain text the end token
is appended where it is missing; for messages the chat template ends the turn; the completion starts where
prompt and whole text part; sequences are cut at the end. A test compares it with the trainer's own data set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from pipelines.engine.errors import ChatTemplateMissing, PromptTooLong, PromptWithoutToken, TruncationUnknown

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Message = Mapping[str, Any]
TextOrMessages = str | Sequence[Message]

VERSION = "1"


@dataclass(frozen=True)
class TokenConfig:
    """How sequences are cut; part of every score's key.

    Attributes:
        max_length: tokens of prompt and completion together; None cuts nothing.
        truncation: `keep_start` only (the trainer's rule).
    """

    max_length: int | None = 1024
    truncation: str = "keep_start"

    def __post_init__(self) -> None:
        if self.truncation != "keep_start":
            raise TruncationUnknown(self.truncation)

    def params(self) -> dict[str, Any]:
        """What goes into a parameters hash."""
        return {**asdict(self), "tokens_version": VERSION}


@dataclass(frozen=True)
class PairTokens:
    """Token ids of a pair. Training sees prompt_ids + first_ids and prompt_ids + second_ids.

    Attributes:
        prompt_ids, first_ids, second_ids: cut to the longest sequence; no completion is empty.
        first_cut, second_cut: whether that completion lost its end (and with it its end token).
        boundary_moved: the prompt alone is tokenised otherwise than at the start of the whole text; the
            completion then starts where they part.
    """

    prompt_ids: list[int]
    first_ids: list[int]
    second_ids: list[int]
    first_cut: bool = False
    second_cut: bool = False
    boundary_moved: bool = False


def pair_tokens(
    tokenizer: PreTrainedTokenizerBase,
    prompt: TextOrMessages,
    first: TextOrMessages,
    second: TextOrMessages,
    config: TokenConfig,
) -> PairTokens:
    """Token ids of prompt and two completions, as the trainer makes them.

    Args:
        tokenizer: with an end-of-sequence token.
        prompt, first, second: all texts, or all lists of messages (role and content).
        config: how sequences are cut.

    Raises:
        PromptTooLong: the prompt alone fills the longest sequence (the trainer drops such a row).
        PromptWithoutToken: nothing stands before the completions, so nothing predicts their first token.
        ChatTemplateMissing: messages without a chat template.
    """
    prompt_ids = _prompt_ids(tokenizer, prompt)
    wholes = [_whole_ids(tokenizer, prompt, completion) for completion in (first, second)]
    start = min(_common_prefix(prompt_ids, whole) for whole in wholes)
    if start == 0:
        raise PromptWithoutToken()
    limit = config.max_length
    if limit is not None and start >= limit:
        raise PromptTooLong(start, limit)
    return PairTokens(
        prompt_ids=prompt_ids[:start],
        first_ids=wholes[0][start:limit],
        second_ids=wholes[1][start:limit],
        first_cut=limit is not None and len(wholes[0]) > limit,
        second_cut=limit is not None and len(wholes[1]) > limit,
        boundary_moved=start < len(prompt_ids),
    )


def prompt_tokens(tokenizer: PreTrainedTokenizerBase, prompt: TextOrMessages) -> list[int]:
    """Token ids of a prompt that the model is to continue, without an end token."""
    ids = _prompt_ids(tokenizer, prompt)
    return ids[:-1] if ids and ids[-1] == tokenizer.eos_token_id else ids


def is_messages(text: TextOrMessages) -> bool:
    """Whether a prompt or completion is a list of messages rather than a text."""
    return not isinstance(text, str)


def _prompt_ids(tokenizer: PreTrainedTokenizerBase, prompt: TextOrMessages) -> list[int]:
    if isinstance(prompt, str):
        return _ids(tokenizer(text=prompt))
    return _template_ids(tokenizer, prompt, add_generation_prompt=True)


def _whole_ids(
    tokenizer: PreTrainedTokenizerBase, prompt: TextOrMessages, completion: TextOrMessages
) -> list[int]:
    if isinstance(prompt, str) and isinstance(completion, str):
        end = str(tokenizer.eos_token)
        return _ids(tokenizer(text=prompt + (completion if completion.endswith(end) else completion + end)))
    return _template_ids(tokenizer, [*prompt, *completion], add_generation_prompt=False)


def _template_ids(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Any], *, add_generation_prompt: bool
) -> list[int]:
    if not tokenizer.chat_template:
        raise ChatTemplateMissing()
    plain = [dict(message) for message in messages]
    return _ids(
        tokenizer.apply_chat_template(
            plain, tokenize=True, return_dict=True, add_generation_prompt=add_generation_prompt
        )
    )


def _ids(encoding: Any) -> list[int]:
    found: list[int] = encoding["input_ids"]
    return found


def _common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    for position, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return position
    return min(len(left), len(right))
