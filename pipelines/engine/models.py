"""Loading causal language models: safetensors only, offline, never code of their own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase
from transformers.utils.logging import disable_progress_bar

from pipelines.engine.errors import DeviceMissing, ModelNotHere, ModelUnreadable, TokenizerHasNoEnd
from pipelines.engine.folder import check_folder

CACHED_MODELS = 2
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class LoadedModel:
    """A model in evaluation mode with its tokenizer, on one device."""

    model: Any  # transformers types its models only in part
    tokenizer: PreTrainedTokenizerBase
    device: torch.device
    dtype: str
    folder: Path

    @property
    def vocabulary(self) -> int:
        """Rows of the unembedding matrix."""
        return int(self.model.get_output_embeddings().weight.shape[0])

    @property
    def max_positions(self) -> int | None:
        """Longest sequence that the model was made for; None where its configuration does not say."""
        found = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        return int(found) if found else None


def load_model(folder: Path, *, device: str = "auto", dtype: str = "auto") -> LoadedModel:
    """A causal language model from a folder.

    Args:
        folder: with config.json, safetensors weights and a tokenizer.
        device: `auto` (an accelerator if there is one), `cpu`, `cuda` or `cuda:N`.
        dtype: `float32`, `bfloat16`, or `auto` (bfloat16 on an accelerator, else float32).

    Raises:
        The errors of `check_folder`; TokenizerHasNoEnd, ModelUnreadable, DeviceMissing.
    """
    check_folder(folder)
    chosen = choose_device(device)
    name = dtype if dtype != "auto" else ("bfloat16" if chosen.type == "cuda" else "float32")
    tokenizer = load_tokenizer(folder)
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=DTYPES[name],
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelUnreadable(folder, _first_line(error)) from error
    model.to(chosen)
    model.eval()
    return LoadedModel(model, tokenizer, chosen, name, folder)


@lru_cache(maxsize=CACHED_MODELS)
def cached_model(folder: Path, fingerprint: str, device: str = "auto", dtype: str = "auto") -> LoadedModel:
    """`load_model`, kept for the life of the process under the folder's fingerprint."""
    return load_model(folder, device=device, dtype=dtype)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder.

    Raises:
        TokenizerHasNoEnd, ModelUnreadable.
    """
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
    except (OSError, ValueError, KeyError) as error:
        raise ModelUnreadable(folder, _first_line(error)) from error
    if tokenizer.eos_token is None or tokenizer.eos_token_id is None:
        raise TokenizerHasNoEnd(folder)
    return tokenizer


def hub_folder(name: str, revision: str, *, download: bool = False) -> Path:
    """Folder of a hub model's snapshot.

    Args:
        name: `owner/model`.
        revision: a commit, tag or branch; the snapshot's folder is that of the commit it meant.
        download: fetch it (an administrator's explicit wish); otherwise only what is on this machine is used.

    Raises:
        ModelNotHere: not on this machine, or not to be had.
    """
    from huggingface_hub import snapshot_download

    patterns = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]
    try:
        found = snapshot_download(
            name, revision=revision, allow_patterns=patterns, local_files_only=not download
        )
    except Exception as error:  # the client raises many kinds; each means that the model cannot be had
        raise ModelNotHere(name, revision) from error
    return Path(found)


def choose_device(device: str) -> torch.device:
    """The torch device of a name.

    Raises:
        DeviceMissing: an accelerator that is not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise DeviceMissing(device)
    return torch.device(device)


def stay_offline() -> None:
    """Tells the libraries, before or after their import, that nothing is to be fetched in this process."""
    os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
    # Commands draw a bar of their own.
    disable_progress_bar()


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__
