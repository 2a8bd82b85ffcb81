"""What a model's folder must be, what its fingerprint covers, and that nothing unsafe is loaded."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from pipelines.engine.errors import (
    CodeNotTrusted,
    DeviceMissing,
    EngineError,
    ModelFolderMissing,
    ModelNotHere,
    ModelUnreadable,
    TokenizerHasNoEnd,
    WeightsMissing,
    WeightsNotSafe,
)
from pipelines.engine.folder import inspect_folder
from pipelines.engine.models import cached_model, hub_folder, load_model
from pipelines.engine.params import params_hash
from tests.tiny_model import save_tiny, tiny_tokenizer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_tiny(tmp_path / "tiny")


def edit_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_facts_agree_with_the_loaded_model(folder: Path) -> None:
    facts, loaded = inspect_folder(folder), load_model(folder)
    assert facts.parameters == sum(weight.numel() for weight in loaded.model.parameters())
    assert (facts.model_type, facts.end_token) == ("llama", loaded.tokenizer.eos_token)
    assert (facts.has_chat_template, facts.template_hash) == (False, "")
    assert loaded.dtype == "float32" or torch.cuda.is_available()


def test_a_copy_has_the_same_fingerprint_and_every_change_another(folder: Path, tmp_path: Path) -> None:
    facts = inspect_folder(folder)
    copy = shutil.copytree(folder, tmp_path / "elsewhere")
    (copy / "README.md").write_text("not part of the model")
    assert inspect_folder(copy) == facts
    (copy / "chat_template.jinja").write_text("{{ messages }}")
    with_template = inspect_folder(copy)
    assert with_template.has_chat_template and with_template.fingerprint != facts.fingerprint
    assert with_template.tokenizer_hash == facts.tokenizer_hash
    weights = copy / "model.safetensors"
    changed = bytearray(weights.read_bytes())
    changed[-1] ^= 1
    weights.write_bytes(changed)
    assert inspect_folder(copy).fingerprint != with_template.fingerprint


def test_a_chat_template_counts_wherever_it_is_kept(tmp_path: Path) -> None:
    facts = inspect_folder(save_tiny(tmp_path / "chat", chat=True))
    assert facts.has_chat_template and len(facts.template_hash) == 64


def test_pickled_weights_are_refused_by_name(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"x": torch.zeros(1)}, folder / "pytorch_model.bin")
    for look in (inspect_folder, load_model):
        with pytest.raises(WeightsNotSafe, match=r"pickles \(pytorch_model.bin\)"):
            look(folder)


def test_a_tokenizer_without_end_is_refused_by_name(folder: Path) -> None:
    tiny_tokenizer(end=None).save_pretrained(folder)
    for look in (inspect_folder, load_model):
        with pytest.raises(TokenizerHasNoEnd, match="no end-of-sequence token"):
            look(folder)


def test_code_of_its_own_is_never_run(folder: Path) -> None:
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    edit_json(folder / "config.json", auto_map={"AutoModelForCausalLM": "evil.Model"})
    for look in (inspect_folder, load_model):
        with pytest.raises(CodeNotTrusted):
            look(folder)


def test_broken_folders_are_refused_with_the_file_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFolderMissing):
        inspect_folder(tmp_path)
    (folder / "model.safetensors").write_bytes(b"short")
    for look in (inspect_folder, load_model):
        with pytest.raises(ModelUnreadable):
            look(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(WeightsMissing, match="lacks model.safetensors"):
        inspect_folder(folder)
    (folder / "config.json").write_text("{")
    with pytest.raises(ModelUnreadable, match="config.json is not JSON"):
        inspect_folder(folder)


def test_a_missing_shard_is_named(folder: Path) -> None:
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    with pytest.raises(WeightsMissing, match="model-00002-of-00002"):
        inspect_folder(folder)


def test_a_hub_model_that_is_not_here_is_not_fetched() -> None:
    with pytest.raises(ModelNotHere, match="Download it first"):
        hub_folder("nobody/nothing", "main")


@pytest.mark.skipif(torch.cuda.is_available(), reason="the machine has the accelerator")
def test_an_accelerator_that_is_missing_is_named(folder: Path) -> None:
    with pytest.raises(DeviceMissing, match="cuda"):
        load_model(folder, device="cuda")


def test_a_process_loads_a_model_once(folder: Path) -> None:
    fingerprint = inspect_folder(folder).fingerprint
    assert cached_model(folder, fingerprint) is cached_model(folder, fingerprint)


def test_inspecting_a_folder_needs_neither_torch_nor_transformers(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from pipelines.engine.folder import inspect_folder;"
        "inspect_folder(Path(sys.argv[1])); assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True, cwd=Path(__file__).parents[3])


def test_engine_errors_are_one_sentence_or_two_and_not_retryable(folder: Path) -> None:
    for kind in (ModelFolderMissing, CodeNotTrusted, TokenizerHasNoEnd):
        error = kind(folder)
        assert isinstance(error, EngineError) and not error.retryable and str(error).count(".") <= 5


def test_the_parameters_hash_follows_every_argument_and_no_order() -> None:
    assert params_hash({"a": 1, "b": None}) == params_hash({"b": None, "a": 1})
    assert params_hash({"a": 1}) != params_hash({"a": 2}) != params_hash({"a": "2"})
