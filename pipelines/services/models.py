"""The registry of language models: folders are inspected, copied below the home, and known by their fingerprint."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from annotation.models import LanguageModel, Project
from pipelines.engine.folder import TEMPLATE_FILES, TOKENIZER_FILES, FolderFacts, inspect_folder
from pipelines.errors import InputRefused
from pipelines.extra import ml_require
from pipelines.judges.template import template_from_settings

JUDGE_FILE = "winnow-judge.json"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,199}")
# What a model needs to be loaded; anything else in its folder, pickles above all, stays where it is.
COPIED = (
    "config.json",
    "generation_config.json",
    "model.safetensors.index.json",
    *TOKENIZER_FILES,
    *TEMPLATE_FILES,
)


def model_register(
    *,
    name: str,
    path: Path,
    judge_settings: Mapping[str, Any] | None = None,
    licence: str = "",
) -> LanguageModel:
    """Register a folder: inspect it, copy what is needed below the home's models folder, and name it.

    `judge_settings`: as in `pipelines.judges.template`; by default those of the folder's `winnow-judge.json`. The same
    folder under the same name again changes nothing but these settings.
    """
    _name_check(name)
    facts = inspect_folder(path)
    chosen = _judge_settings(path, facts) if judge_settings is None else dict(judge_settings)
    template_from_settings(chosen, has_chat_template=facts.has_chat_template)
    location = _place(name, path, facts)
    return _save(
        name=name,
        kind=LanguageModel.Kind.LOCAL,
        location=location,
        facts=facts,
        judge_settings=chosen,
        licence=licence,
    )


def model_register_hub(
    *, name: str, hub: str, revision: str, judge_settings: Mapping[str, Any] | None = None, licence: str = ""
) -> LanguageModel:
    """Register a hub model by id and revision, if this machine has it; nothing is downloaded."""
    _name_check(name)
    folder = _hub_folder(hub, revision)
    facts = inspect_folder(folder)
    chosen = dict(judge_settings or {})
    template_from_settings(chosen, has_chat_template=facts.has_chat_template)
    return _save(
        name=name,
        kind=LanguageModel.Kind.HUB,
        location=hub,
        facts=facts,
        judge_settings=chosen,
        licence=licence,
        revision=folder.name,
    )


def checkpoint_register(*, name: str, path: Path, parent: LanguageModel) -> LanguageModel:
    """Register what a training run left as a model whose parent is the one it was trained from."""
    facts = inspect_folder(path)
    return _save(
        name=name,
        kind=LanguageModel.Kind.CHECKPOINT,
        location=_place(name, path, facts),
        facts=facts,
        judge_settings={},
        licence=parent.licence,
        parent=parent,
    )


def model_get(*, name: str) -> LanguageModel:
    """A registered model by name; raises `InputRefused` for an unknown one, or for a name that a file mentioned."""
    model = LanguageModel.objects.filter(name=name).first()
    if model is None:
        raise _unknown(name)
    if model.kind == LanguageModel.Kind.NAMED:
        raise InputRefused(
            f"{name!r} is only a name that a file mentioned. Register the model itself to use it."
        )
    return model


def model_get_for(*, project: Project, name: str) -> LanguageModel:
    """A model that this project may use: a checkpoint of another project is as unknown here as no model."""
    model = LanguageModel.objects.filter(name=name, kind=LanguageModel.Kind.CHECKPOINT).first()
    if model is not None and not project.training_runs.filter(checkpoint=model).exists():
        raise _unknown(name)
    return model or model_get(name=name)


def _unknown(name: str) -> InputRefused:
    return InputRefused(
        f"There is no model {name!r}. Register it with: ./manage.py register_model {name} --path DIR"
    )


def model_folder(model: LanguageModel) -> Path:
    """Where a model's files are on this machine; checks once a process that they are still the registered ones."""
    if model.kind == LanguageModel.Kind.HUB:
        folder = _hub_folder(model.location, model.revision)
    else:
        folder = settings.MODELS_DIR / model.location
    _fingerprint_check(folder, model.fingerprint, model.name)
    return folder


@lru_cache(maxsize=32)
def _fingerprint_check(folder: Path, fingerprint: str, name: str) -> None:
    if inspect_folder(folder).fingerprint != fingerprint:
        raise InputRefused(
            f"The files of {name} are not those that were registered. Register them under another name."
        )


def _hub_folder(hub: str, revision: str) -> Path:
    """Loaded by name: the web side, which imports this module, must not bring the extra with it."""
    ml_require()
    folder: Path = import_module("pipelines.engine.models").hub_folder(hub, revision)
    return folder


def _name_check(name: str) -> None:
    if not NAME.fullmatch(name) or ".." in name:
        raise InputRefused(
            f"A model's name has letters, digits and . _ - /, and begins with a letter or digit; got {name!r}."
        )


def _judge_settings(path: Path, facts: FolderFacts) -> dict[str, Any]:
    file = path / JUDGE_FILE
    return judge_settings_read(file) if file.is_file() else {}


def judge_settings_read(file: Path) -> dict[str, Any]:
    """The settings in a JSON file."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputRefused(f"{file.name} cannot be read as JSON: {error}") from None
    if not isinstance(found, dict):
        raise InputRefused(
            f"{file.name} must hold one object with the judge's settings; got {type(found).__name__}."
        )
    return found


def _place(name: str, path: Path, facts: FolderFacts) -> str:
    """Copy a folder below the home's models, whole or not at all; returns its place there."""
    place = f"{name.replace('/', '--')}-{facts.fingerprint[:12]}"
    target = settings.MODELS_DIR / place
    if target.is_dir():
        return place
    settings.MODELS_DIR.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".new-", dir=settings.MODELS_DIR))
    try:
        for file in sorted(path.iterdir()):
            if file.name in COPIED or file.suffix == ".safetensors":
                shutil.copyfile(file, draft / file.name)
        if inspect_folder(draft).fingerprint != facts.fingerprint:
            raise InputRefused(
                f"{path.name} changed while it was copied. Register it again when nothing writes there."
            )
        draft.chmod(0o755)
        draft.rename(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return place


@transaction.atomic
def _save(
    *,
    name: str,
    kind: str,
    location: str,
    facts: FolderFacts,
    judge_settings: dict[str, Any],
    licence: str,
    revision: str = "",
    parent: LanguageModel | None = None,
) -> LanguageModel:
    known = LanguageModel.objects.select_for_update().filter(name=name).first()
    if (
        known is not None
        and known.kind != LanguageModel.Kind.NAMED
        and known.fingerprint != facts.fingerprint
    ):
        raise InputRefused(f"The name {name!r} stands for another model already. Choose another name.")
    model = known or LanguageModel(name=name)
    model.kind, model.location, model.revision = kind, location, revision
    model.fingerprint, model.tokenizer_hash, model.template_hash = (
        facts.fingerprint,
        facts.tokenizer_hash,
        facts.template_hash,
    )
    model.parameters, model.judge_settings, model.parent = facts.parameters, judge_settings, parent
    model.licence = licence or model.licence
    model.save()
    return model
