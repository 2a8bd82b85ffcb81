"""What judging and scoring share: the model in this process, and slices of about a minute. Needs the extra."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from annotation.models import LanguageModel
from pipelines.engine.models import LoadedModel, cached_model, stay_offline
from pipelines.queue import Leased, Slice
from pipelines.services.models import model_folder, model_get

# A slice is about a minute: two operations a parameter and token, at what a device does at the least.
SLICE_SECONDS = 60.0
OPERATIONS_PER_SECOND = {"cpu": 2e10, "cuda": 2e13}
CHARACTERS_PER_TOKEN = 3.0
SLICE_PAIRS = 500


def model_load(name: str, fingerprint: str) -> tuple[LanguageModel, LoadedModel]:
    """The registered model, loaded once a process."""
    stay_offline()
    model = model_get(name=name)
    return model, cached_model(model_folder(model), fingerprint)


def slices_of(
    lengths: Sequence[tuple[int, int]], *, key: str, params: dict[str, object], parameters: int, device: str
) -> Iterator[Slice]:
    """Cut (comparison, characters) into slices; neighbours in length stand together, so that few pads are computed."""
    most_tokens = SLICE_SECONDS * OPERATIONS_PER_SECOND.get(device, 2e10) / (2.0 * max(parameters, 1))
    ids: list[int] = []
    tokens = 0.0
    for comparison_id, characters in sorted(lengths, key=lambda pair: (pair[1], pair[0])):
        own = characters / CHARACTERS_PER_TOKEN
        if ids and (tokens + own > most_tokens or len(ids) == SLICE_PAIRS):
            yield _slice(ids, key, params)
            ids, tokens = [], 0.0
        ids.append(comparison_id)
        tokens += own
    if ids:
        yield _slice(ids, key, params)


def _slice(ids: list[int], key: str, params: dict[str, object]) -> Slice:
    return Slice(f"{key}/{ids[0]}-{len(ids)}", {**params, "ids": ids}, len(ids))


def follow(item: Leased, done: int) -> None:
    """Progress of a pass: the number of subjects done so far."""
    item.advance(done - item.progress)
