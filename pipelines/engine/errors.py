"""Errors of the engines that run language models."""

from __future__ import annotations

from pathlib import Path

from pipelines.errors import PipelineError


class EngineError(PipelineError):
    """Base of what the engines raise."""


class ModelFolderMissing(EngineError):
    """No folder, or one without a model's configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(
            f"{folder.name} is not a model's folder: it has no config.json. Give the folder that has it."
        )


class WeightsNotSafe(EngineError):
    """Weights that are pickles, which run code when loaded."""

    def __init__(self, folder: Path, files: tuple[str, ...]) -> None:
        self.folder, self.files = folder, files
        super().__init__(
            f"{folder.name} has its weights only as pickles ({', '.join(files)}), which can run code when "
            "loaded. Convert them to safetensors and register that folder."
        )


class WeightsMissing(EngineError):
    """No weights at all, or a shard that the index names and the folder lacks."""

    def __init__(self, folder: Path, missing: str) -> None:
        self.folder, self.missing = folder, missing
        super().__init__(f"{folder.name} lacks {missing}. Copy the complete folder and register it again.")


class CodeNotTrusted(EngineError):
    """A model that brings code of its own, which is never run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(
            f"{folder.name} needs code of its own (auto_map in config.json), which Winnow never runs. "
            "Choose a model whose architecture the installed transformers knows."
        )


class TokenizerHasNoEnd(EngineError):
    """A tokenizer without an end-of-sequence token: completions would never end in training."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(
            f"The tokenizer of {folder.name} has no end-of-sequence token, so no completion could end. "
            "Set eos_token in tokenizer_config.json and register the folder again."
        )


class ModelUnreadable(EngineError):
    """A folder that looks like a model's and cannot be read as one."""

    def __init__(self, folder: Path, detail: str) -> None:
        self.folder, self.detail = folder, detail
        super().__init__(f"{folder.name} cannot be read as a causal language model: {detail}")


class ModelNotHere(EngineError):
    """A hub model that is not in the local cache; nothing is downloaded on the way."""

    def __init__(self, name: str, revision: str) -> None:
        self.name, self.revision = name, revision
        super().__init__(
            f"{name} at revision {revision} is not on this machine. Download it first or register a folder."
        )


class DeviceMissing(EngineError):
    """An accelerator that this machine lacks."""

    def __init__(self, device: str) -> None:
        self.device = device
        super().__init__(f"The device {device} was asked for and is not on this machine. Use cpu or auto.")


class ChatTemplateMissing(EngineError):
    """Messages for a model whose tokenizer has no chat template."""

    def __init__(self) -> None:
        super().__init__(
            "The prompt is a list of messages and this model's tokenizer has no chat template. "
            "Use a model with one, or export in plain form."
        )


class PromptTooLong(EngineError):
    """A prompt that fills the whole length, so that no token of a completion is left."""

    def __init__(self, tokens: int, max_length: int) -> None:
        self.tokens, self.max_length = tokens, max_length
        super().__init__(
            f"The prompt has {tokens} tokens and the longest sequence {max_length}; "
            "no completion token would be left."
        )


class PromptWithoutToken(EngineError):
    """A prompt that leaves no token in front of the completions."""

    def __init__(self) -> None:
        super().__init__(
            "The prompt is empty for this tokenizer, so nothing predicts a completion's first token."
        )


class CompletionsAlike(EngineError):
    """Chosen and rejected are the same once cut to the longest sequence."""

    def __init__(self) -> None:
        super().__init__(
            "Both completions are the same tokens after truncation; such a pair teaches nothing."
        )


class TruncationUnknown(EngineError):
    """A truncation rule that training does not use."""

    def __init__(self, truncation: str) -> None:
        self.truncation = truncation
        super().__init__(f"Truncation must be keep_start, the rule that training uses; got {truncation}.")
