"""Tables of the pipelines package, one module a subject."""

from pipelines.models.analyses import Analysis, GroupMember, RaterGroup
from pipelines.models.judging import Calibration, Prediction, RoutingDecision, RoutingPlan
from pipelines.models.labels import (
    AggregationRun,
    Derivation,
    Preference,
    PreferenceRevision,
    RaterEstimate,
    RaterStep,
)
from pipelines.models.scores import Score
from pipelines.models.training import Evaluation, TrainingMetric, TrainingRun
from pipelines.models.versions import DatasetVersion, Export, VersionDrop, VersionRow
from pipelines.models.work import Job, WorkerHeartbeat, WorkItem

__all__ = [
    "AggregationRun",
    "Analysis",
    "Calibration",
    "DatasetVersion",
    "Derivation",
    "Evaluation",
    "Export",
    "GroupMember",
    "Job",
    "Prediction",
    "Preference",
    "PreferenceRevision",
    "RaterEstimate",
    "RaterGroup",
    "RaterStep",
    "RoutingDecision",
    "RoutingPlan",
    "Score",
    "TrainingMetric",
    "TrainingRun",
    "VersionDrop",
    "VersionRow",
    "WorkItem",
    "WorkerHeartbeat",
]
