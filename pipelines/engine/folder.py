"""What a model's folder holds, read without loading it: safety, fingerprint, facts. Standard library only."""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import Any

from pipelines.engine.errors import (
    CodeNotTrusted,
    ModelFolderMissing,
    ModelUnreadable,
    TokenizerHasNoEnd,
    WeightsMissing,
    WeightsNotSafe,
)

PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt")
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "spiece.model",
)
TEMPLATE_FILES = ("chat_template.jinja", "chat_template.json")
BLOCK_BYTES = 1 << 20
HEADER_BYTES_LIMIT = 100 << 20


@dataclass(frozen=True)
class FolderFacts:
    """Facts of a model's folder; hashes are SHA-256 in hex.

    Attributes:
        fingerprint: over weights, configuration, tokenizer and chat template: the same files give the same
            fingerprint anywhere, and any change that can change a number changes it.
        tokenizer_hash: over the tokenizer's files.
        template_hash: of the chat template's text, empty where there is none.
        parameters: stored numbers in the weights; tied ones count once.
        model_type: key of the architecture, for example `llama`.
        end_token: text of the end-of-sequence token.
        has_chat_template: whether prompts may be messages.
    """

    fingerprint: str
    tokenizer_hash: str
    template_hash: str
    parameters: int
    model_type: str
    end_token: str
    has_chat_template: bool


def inspect_folder(folder: Path) -> FolderFacts:
    """Facts of a folder that may be registered; reads every byte of it once.

    Raises:
        ModelFolderMissing, WeightsNotSafe, WeightsMissing, CodeNotTrusted, TokenizerHasNoEnd,
        ModelUnreadable.
    """
    config = check_folder(folder)
    template = _chat_template(folder)
    tokenizer_files = [folder / name for name in TOKENIZER_FILES if (folder / name).is_file()]
    template_files = [folder / name for name in TEMPLATE_FILES if (folder / name).is_file()]
    weights = _weight_files(folder)
    end_token = _end_token(folder)
    if end_token is None:
        raise TokenizerHasNoEnd(folder)
    return FolderFacts(
        fingerprint=_hash_files(
            folder, [folder / "config.json", *weights, *tokenizer_files, *template_files]
        ),
        tokenizer_hash=_hash_files(folder, tokenizer_files),
        template_hash=sha256(template.encode()).hexdigest() if template else "",
        parameters=sum(_stored_numbers(path) for path in weights),
        model_type=str(config.get("model_type", "")),
        end_token=end_token,
        has_chat_template=bool(template),
    )


def check_folder(folder: Path) -> dict[str, Any]:
    """The model's configuration, if its weights are complete, safe to load and need no code of their own.

    Raises:
        ModelFolderMissing, WeightsNotSafe, WeightsMissing, CodeNotTrusted, ModelUnreadable.
    """
    if not (folder / "config.json").is_file():
        raise ModelFolderMissing(folder)
    config = _read_json(folder, "config.json")
    _weight_files(folder)
    if config.get("auto_map"):
        raise CodeNotTrusted(folder)
    return config


def _weight_files(folder: Path) -> list[Path]:
    weights = sorted(folder.glob("*.safetensors"))
    if not weights:
        pickles = tuple(sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES))
        if pickles:
            raise WeightsNotSafe(folder, pickles)
        raise WeightsMissing(folder, "model.safetensors")
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        named = set(_read_json(folder, index.name).get("weight_map", {}).values())
        missing = sorted(named - {path.name for path in weights})
        if missing:
            raise WeightsMissing(folder, missing[0])
        # Files beside the sharded ones (an older, whole copy) are not what will be loaded.
        return sorted(folder / name for name in named) + [index]
    return [folder / "model.safetensors"] if (folder / "model.safetensors").is_file() else weights


def _stored_numbers(path: Path) -> int:
    """Numbers in one safetensors file, from its header."""
    if path.suffix != ".safetensors":
        return 0
    with path.open("rb") as file:
        head = file.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else HEADER_BYTES_LIMIT + 1
        if length > HEADER_BYTES_LIMIT:
            raise ModelUnreadable(path.parent, f"{path.name} has no safetensors header.")
        try:
            header = json.loads(file.read(length))
        except ValueError as error:
            raise ModelUnreadable(path.parent, f"{path.name} has a broken safetensors header.") from error
    return sum(prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")


def _hash_files(folder: Path, files: list[Path]) -> str:
    whole = sha256()
    for path in sorted(files):
        part = sha256()
        with path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                part.update(block)
        whole.update(f"{path.relative_to(folder).as_posix()}\0{part.hexdigest()}\n".encode())
    return whole.hexdigest()


def _chat_template(folder: Path) -> str:
    """Text of the default chat template, wherever it is kept; empty without one."""
    if (folder / "chat_template.jinja").is_file():
        return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    for name in ("chat_template.json", "tokenizer_config.json"):
        if not (folder / name).is_file():
            continue
        template = _read_json(folder, name).get("chat_template")
        if isinstance(template, list):
            template = next((entry["template"] for entry in template if entry.get("name") == "default"), None)
        if template:
            return str(template)
    return ""


def _end_token(folder: Path) -> str | None:
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if not (folder / name).is_file():
            continue
        token = _read_json(folder, name).get("eos_token")
        text = token.get("content") if isinstance(token, dict) else token
        if text:
            return str(text)
    return None


def _read_json(folder: Path, name: str) -> dict[str, Any]:
    try:
        found = json.loads((folder / name).read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise ModelUnreadable(folder, f"{name} is not JSON.") from error
    if not isinstance(found, dict):
        raise ModelUnreadable(folder, f"{name} holds no object.")
    return found
