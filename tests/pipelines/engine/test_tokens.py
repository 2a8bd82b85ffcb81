"""Our token ids are those of TRL's DPOTrainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines.engine.errors import ChatTemplateMissing, PromptTooLong, PromptWithoutToken, TruncationUnknown
from pipelines.engine.tokens import TokenConfig, pair_tokens, prompt_tokens
from tests.tiny_model import tiny_model, tiny_tokenizer

PLAIN = [
    {"prompt": "pick sun or rock ?", "chosen": " it is sun .", "rejected": " rock ."},
    {"prompt": "write hat ", "chosen": "hat hat hat", "rejected": "hat </s>"},
    {"prompt": "which ring is red ?", "chosen": "the old ring .", "rejected": "no " * 12},
    {"prompt": "sort " + "sun wind " * 6, "chosen": "sun", "rejected": "wind"},
]


def messages(row: dict[str, str]) -> dict[str, Any]:
    return {
        "prompt": [{"role": "user", "content": row["prompt"]}],
        "chosen": [{"role": "assistant", "content": row["chosen"]}],
        "rejected": [{"role": "assistant", "content": row["rejected"]}],
    }


def byte_pair_tokenizer() -> Any:
    """A byte-level tokenizer whose merges cross the border between prompt and completion."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    text = ["pick sun or rock?Yes it is", "write hat hathat sunny", "which ring is red?no"] * 5
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=["<pad>", "</s>"], show_progress=False)
    inner.train_from_iterator(text, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="<pad>", eos_token="</s>")


def trainer_rows(tokenizer: Any, rows: list[Any], folder: Path, max_length: int) -> tuple[list[Any], Any]:
    """The rows of the trainer's own data set and what its collator makes of them."""
    from copy import deepcopy

    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    model = tiny_model(len(tokenizer))
    trainer = DPOTrainer(
        model=model,
        ref_model=deepcopy(model),
        args=DPOConfig(
            output_dir=str(folder), max_length=max_length, bf16=False, use_cpu=True, report_to="none",
            gradient_checkpointing=False,
        ),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )  # fmt: skip
    found = list(trainer.train_dataset)
    return found, trainer.data_collator(found)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["plain", "messages", "byte_pairs"])
def test_ids_equal_those_of_the_trainer_and_its_collator(form: str, tmp_path: Path) -> None:
    tokenizer = byte_pair_tokenizer() if form == "byte_pairs" else tiny_tokenizer(chat=form == "messages")
    rows = [messages(row) if form == "messages" else dict(row) for row in PLAIN]
    limit = 40 if form == "byte_pairs" else 14
    trained, batch = trainer_rows(tokenizer, rows, tmp_path, limit)
    ours = []
    for row in rows:
        try:
            ours.append(
                pair_tokens(tokenizer, row["prompt"], row["chosen"], row["rejected"], TokenConfig(limit))
            )
        except PromptTooLong:
            continue
    assert len(ours) == len(trained) > 1
    for place, (mine, theirs) in enumerate(zip(ours, trained, strict=True)):
        assert mine.prompt_ids == theirs["prompt_ids"]
        for side, ids in ((0, mine.first_ids), (len(ours), mine.second_ids)):
            width = len(mine.prompt_ids) + len(ids)
            assert batch["input_ids"][side + place, :width].tolist() == mine.prompt_ids + ids
            assert int(batch["attention_mask"][side + place].sum()) == width
            assert int(batch["completion_mask"][side + place].sum()) == len(ids)


def test_merges_across_the_border_move_it_and_are_flagged() -> None:
    tokenizer = byte_pair_tokenizer()
    found = pair_tokens(tokenizer, "write hat hat", "hat sun", "red", TokenConfig())
    assert found.boundary_moved
    assert tokenizer.decode(found.prompt_ids + found.first_ids) == "write hat hathat sun</s>"


def test_plain_completions_end_with_one_end_token() -> None:
    tokenizer = tiny_tokenizer()
    found = pair_tokens(tokenizer, "pick sun ?", "sun", "rock </s>", TokenConfig())
    assert found.first_ids == tokenizer.convert_tokens_to_ids(["sun", "</s>"])
    assert found.second_ids == tokenizer.convert_tokens_to_ids(["rock", "</s>"])
    assert not (found.first_cut or found.second_cut or found.boundary_moved)


def test_a_template_ends_the_turn_and_no_second_end_is_added() -> None:
    tokenizer = tiny_tokenizer(chat=True)
    row = messages(PLAIN[0])
    found = pair_tokens(tokenizer, row["prompt"], row["chosen"], row["rejected"], TokenConfig())
    end = tokenizer.eos_token_id
    assert found.first_ids.count(end) == 1 and found.first_ids[-1] == end


def test_a_cut_completion_is_flagged_and_a_cut_prompt_refused() -> None:
    tokenizer = tiny_tokenizer()
    found = pair_tokens(tokenizer, "pick sun ?", "sun sun sun sun", "rock", TokenConfig(max_length=7))
    assert (found.first_cut, found.second_cut, len(found.first_ids)) == (True, False, 3)
    with pytest.raises(PromptTooLong, match="4 tokens and the longest sequence 4"):
        pair_tokens(tokenizer, "pick sun ?", "sun", "rock", TokenConfig(max_length=4))


def test_what_training_could_not_use_is_refused() -> None:
    with pytest.raises(TruncationUnknown, match="keep_end"):
        TokenConfig(truncation="keep_end")
    row = messages(PLAIN[0])
    with pytest.raises(ChatTemplateMissing):
        pair_tokens(tiny_tokenizer(), row["prompt"], row["chosen"], row["rejected"], TokenConfig())
    with pytest.raises(PromptWithoutToken):
        pair_tokens(byte_pair_tokenizer(), "", "sun", "rock", TokenConfig())


def test_a_prompt_to_be_continued_has_no_end_token() -> None:
    tokenizer = tiny_tokenizer(chat=True)
    ids = prompt_tokens(tokenizer, [{"role": "user", "content": "pick sun ?"}])
    assert tokenizer.decode(ids).endswith("assistant :")
