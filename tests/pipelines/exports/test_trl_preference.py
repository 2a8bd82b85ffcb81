"""The export as other programs take it: `datasets` reads both folders, TRL trains on it as it is."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from annotation.services.projects import project_create
from pipelines.models import DatasetVersion
from pipelines.services.exporting import version_export
from pipelines.services.importing import ImportOptions, import_file
from pipelines.services.versions import version_freeze

pytestmark = pytest.mark.django_db(transaction=True)
pytest.importorskip("datasets", reason="the ml extra is not installed")


def exported(folder: Path, rows, form: str | None = None, **percent: int) -> Path:
    project = project_create(slug="birds")
    for name, value in percent.items():
        setattr(project, name, value)
    project.save()
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    import_file(project=project, path=path, options=ImportOptions())
    version = version_freeze(project=project, name="v1", form=form)
    version_export(version=version, format="trl-preference", out=folder / "out")
    return folder / "out"


def plain(count: int):
    return [
        {"prompt": f"Count to {n}.", "chosen": f" good {n}", "rejected": f" bad {n}"} for n in range(count)
    ]


def loaded(out: Path, folder: Path):
    from datasets import load_dataset

    return load_dataset(str(out), cache_dir=str(folder / "cache"))


@pytest.mark.parametrize("form", ["plain", "messages"])
def test_both_folders_are_read_with_the_same_rows(tmp_path, form):
    out = exported(tmp_path, plain(300), form)
    counts = {p.stem: p.read_bytes().count(b"\n") for p in (out / "jsonl").glob("*.jsonl")}
    parquet, lines = (loaded(place, tmp_path) for place in (out, out / "jsonl"))
    assert {split: len(rows) for split, rows in parquet.items()} == counts
    assert sum(counts.values()) == 300 and set(counts) == {"train", "validation", "test"}
    for split in counts:
        assert parquet[split].to_list() == lines[split].to_list()
        assert parquet[split].features == lines[split].features
    row = parquet["train"][0]
    assert isinstance(row["prompt"], str if form == "plain" else list)


def test_files_are_listed_with_their_hashes(tmp_path):
    out = exported(tmp_path, plain(50))
    listed = json.loads((out / "winnow.json").read_text())
    assert listed["version"]["counts"]["rows_out"] == 50
    for file in listed["files"]:
        assert hashlib.sha256((out / file["path"]).read_bytes()).hexdigest() == file["sha256"]


def test_a_split_without_rows_has_no_file_and_the_card_says_so(tmp_path):
    out = exported(tmp_path, plain(20), split_train_percent=100, split_validation_percent=0)
    assert set(loaded(out, tmp_path)) == set(loaded(out / "jsonl", tmp_path)) == {"train"}
    assert "Without rows, and therefore without a file: validation, test." in (out / "README.md").read_text()


def test_odd_characters_come_out_as_they_went_in(tmp_path):
    text = ' a\u202eb\u2028c \u00e9\u0301 \U0001f426\r\n\t"\\ end'
    out = exported(
        tmp_path,
        [{"prompt": "p", "chosen": text, "rejected": " b"}],
        split_train_percent=100,
        split_validation_percent=0,
    )
    for place in (out, out / "jsonl"):
        assert loaded(place, tmp_path)["train"][0]["chosen"] == text


@pytest.mark.slow
def test_trl_trains_on_it_as_it_is(tmp_path):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    splits = loaded(exported(tmp_path, plain(60)), tmp_path)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(["<eos>", *alphabet])}
    words = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    words.pre_tokenizer, words.decoder = (
        pre_tokenizers.ByteLevel(add_prefix_space=False),
        decoders.ByteLevel(),
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<eos>", pad_token="<eos>")
    config = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        bos_token_id=0, eos_token_id=0, pad_token_id=0,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(tmp_path / "model")
    trainer = DPOTrainer(
        model=str(tmp_path / "model"),
        args=DPOConfig(
            output_dir=str(tmp_path / "run"),
            max_steps=2,
            per_device_train_batch_size=2,
            bf16=False,
            use_cpu=True,
            gradient_checkpointing=False,
            report_to="none",
            save_strategy="no",
        ),  # fmt: skip
        train_dataset=splits["train"],
        eval_dataset=splits.get("validation"),
        processing_class=tokenizer,
    )
    assert trainer.train().global_step == 2


def test_the_unpaired_rows_are_read_as_kto_takes_them(tmp_path):
    exported(tmp_path, plain(60))
    version = DatasetVersion.objects.get()
    version_export(version=version, format="trl-unpaired", out=tmp_path / "unpaired")
    found = loaded(tmp_path / "unpaired", tmp_path)["train"]
    assert set(found["label"]) == {True, False} and {"prompt", "completion", "label"} <= set(found.column_names)
    row = found[0]
    assert isinstance(row["completion"], str) and row["label"] is True
