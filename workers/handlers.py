"""What does which kind of work. One line a kind; the functions are loaded on first use and take a `Leased`.

`queue` is where items of the kind are planned. A handler computes, then stores inside `with work_finishing(item):`; an
item that it leaves open is finished for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from pipelines.extra import ml_require
from pipelines.queue import DEFAULT, ML, TRAIN, Leased


@dataclass(frozen=True)
class Kind:
    queue: str
    path: str

    def load(self) -> Callable[[Leased], None]:
        """The function; raises `MissingExtra` for what needs models where the extra is not installed."""
        if self.queue == ML:
            ml_require()
        module, name = self.path.split(":")
        function: Callable[[Leased], None] = getattr(import_module(module), name)
        return function


HANDLERS: dict[str, Kind] = {
    "version.freeze": Kind(DEFAULT, "pipelines.services.versions:version_freeze_work"),
    "version.train": Kind(DEFAULT, "pipelines.services.versions:version_train_work"),
    "export.write": Kind(DEFAULT, "pipelines.services.exporting:export_work"),
    "import.commit": Kind(DEFAULT, "pipelines.services.importing:import_work"),
    "judge": Kind(ML, "pipelines.services.judging_work:judge_plan"),
    "judge.slice": Kind(ML, "pipelines.services.judging_work:judge_slice"),
    "score": Kind(ML, "pipelines.services.scoring_work:score_plan"),
    "score.slice": Kind(ML, "pipelines.services.scoring_work:score_slice"),
    "aggregate": Kind(DEFAULT, "pipelines.services.aggregation:aggregate_work"),
    "preference.refresh": Kind(DEFAULT, "pipelines.services.aggregation:preference_refresh_work"),
    "analyse": Kind(DEFAULT, "pipelines.services.analyses:analysis_work"),
    "queue.order": Kind(DEFAULT, "pipelines.services.ordering:order_work"),
    "queue.wanted": Kind(DEFAULT, "pipelines.services.ordering:wanted_work"),
    "train": Kind(TRAIN, "pipelines.services.training:training_launch"),
    "train.tick": Kind(TRAIN, "pipelines.services.training:training_tick"),
}
