"""Only complete, safe, known folders become models."""

from __future__ import annotations

import json
import shutil
from functools import partial

import pytest
from django.core.management import call_command

from annotation.models import LanguageModel
from pipelines.engine.errors import ModelFolderMissing, ModelNotHere, TokenizerHasNoEnd, WeightsNotSafe
from pipelines.errors import InputRefused
from pipelines.judges.errors import TemplateMalformed
from pipelines.models import DatasetVersion, TrainingRun
from pipelines.services.judging import judge_start
from pipelines.services.models import (
    _fingerprint_check,
    model_folder,
    model_get,
    model_get_for,
    model_register,
    model_register_hub,
)
from pipelines.services.scoring import score_start
from tests import cast

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("home")]


@pytest.fixture
def folder(tiny_folder, tmp_path):
    return shutil.copytree(tiny_folder, tmp_path / "given")


def test_a_folder_is_copied_and_known_by_its_fingerprint(folder, settings):
    (folder / "pytorch_model.bin").write_bytes(b"a pickle beside the safetensors")
    model = model_register(name="tiny", path=folder, licence="Apache-2.0")
    shutil.rmtree(folder)
    place = model_folder(model_get(name="tiny"))
    assert place.parent == settings.MODELS_DIR and not (place / "pytorch_model.bin").exists()
    assert len(model.fingerprint) == 64 and model.parameters > 0


def test_the_same_folder_again_is_the_same_model(folder):
    assert model_register(name="tiny", path=folder) == model_register(name="tiny", path=folder)


def test_a_name_stands_for_one_model(folder):
    model_register(name="tiny", path=folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "rms_norm_eps": 1e-3}))
    with pytest.raises(InputRefused, match="stands for another model"):
        model_register(name="tiny", path=folder)


def test_a_name_that_a_file_mentioned_becomes_the_model(folder):
    LanguageModel.objects.create(name="tiny", kind="named")
    with pytest.raises(InputRefused, match="only a name"):
        model_get(name="tiny")
    assert model_register(name="tiny", path=folder).kind == "local"


def test_a_checkpoint_is_unknown_to_other_projects(folder):
    project, other = cast.project("ours"), cast.project("theirs")
    base = model_register(name="tiny", path=folder)
    tuned = LanguageModel.objects.create(
        name="ours/r1", kind="checkpoint", location="x", fingerprint="c" * 64, parent=base
    )
    version = DatasetVersion.objects.create(project=project, name="v1", recipe={})
    TrainingRun.objects.create(project=project, name="r1", version=version, model=base, checkpoint=tuned)
    assert model_get_for(project=project, name="ours/r1") == tuned
    assert model_get_for(project=other, name="tiny") == base
    for start in (judge_start, partial(score_start, method="ches")):
        with pytest.raises(InputRefused, match="There is no model 'ours/r1'"):
            start(project=other, model="ours/r1")


def test_judge_settings_come_from_the_folder_or_a_file(folder):
    (folder / "winnow-judge.json").write_text(json.dumps({"labels": ["yes", "no"]}))
    assert model_register(name="tiny", path=folder).judge_settings == {"labels": ["yes", "no"]}
    given = {"template": "{prompt} {a} {b} which?", "labels": ["A", "B"]}
    assert model_register(name="tiny", path=folder, judge_settings=given).judge_settings == given


def test_malformed_judge_settings_are_refused(folder):
    with pytest.raises(TemplateMalformed):
        model_register(name="tiny", path=folder, judge_settings={"template": "no fields"})
    assert not LanguageModel.objects.exists()


def test_a_folder_of_pickles_is_refused(folder, settings):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(WeightsNotSafe, match="only as pickles"):
        model_register(name="tiny", path=folder)
    assert not LanguageModel.objects.exists() and not settings.MODELS_DIR.exists()


def test_a_tokenizer_without_an_end_is_refused(folder):
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(
        json.dumps({k: v for k, v in config.items() if k != "eos_token"})
    )
    (folder / "special_tokens_map.json").unlink(missing_ok=True)
    with pytest.raises(TokenizerHasNoEnd, match="end-of-sequence"):
        model_register(name="tiny", path=folder)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ModelFolderMissing):
        model_register(name="tiny", path=tmp_path)


def test_an_odd_name_is_refused(folder):
    with pytest.raises(InputRefused, match="begins with a letter"):
        model_register(name="../tiny", path=folder)


def test_changed_files_are_noticed(folder):
    model = model_register(name="tiny", path=folder)
    place = model_folder(model)
    (place / "tokenizer.json").write_text("{}")
    _fingerprint_check.cache_clear()
    with pytest.raises(InputRefused, match="not those that were registered"):
        model_folder(model)


def test_a_hub_model_that_is_not_here_is_refused():
    with pytest.raises(ModelNotHere):
        model_register_hub(name="hub", hub="nobody/nothing", revision="main")


def test_the_command_refuses_with_exit_code_2(tmp_path, capsys):
    with pytest.raises(SystemExit) as exit_:
        call_command("register_model", "tiny", path=tmp_path, as_json=True)
    assert exit_.value.code == 2
    assert json.loads(capsys.readouterr().out)["error"].startswith(tmp_path.name)
