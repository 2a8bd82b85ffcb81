"""The shapes of the API's JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ninja import Schema
from pydantic import ConfigDict, Field


class Body(Schema):
    """What comes in: an unknown field is a mistake and is refused."""

    model_config = ConfigDict(extra="forbid")


class ProjectOut(Schema):
    slug: str
    title: str
    wanted: int
    roles: list[str]
    archived: bool


class ProgressOut(Schema):
    comparisons: int
    wanted: int
    judged: int
    votes: int
    held_back: int
    lent: int


class BatchOut(Schema):
    import_id: int | None
    name: str
    place: int
    comparisons: int
    complete: int
    places: int
    done: int
    leased: int
    offered: int
    left: int
    held_back: int


class WantedIn(Body):
    wanted: int
    import_id: int | None = Field(None, description="a batch; without one, the whole project")
    now: bool = Field(False, description="take leases above it back at once")


class ComparisonOut(Schema):
    id: int
    prompt: list[dict[str, str]]
    wanted: int | None
    done: int | None
    outcome: str | None
    origin: str | None
    flip_probability: float | None
    votes: list[int]
    judge: str | None
    ches: float | None
    warnings: list[str]


class ComparisonPage(Schema):
    comparisons: list[ComparisonOut]
    after: str = Field(description="pass as `after` for the next page; empty on the last")
    total: int | None = Field(description="exact up to 10,000, else null")


class VersionOut(Schema):
    name: str
    state: str
    root_hash: str
    rows_in: int
    rows_out: int
    frozen_at: datetime | None


class VersionDetail(VersionOut):
    recipe: dict[str, Any]
    manifest: dict[str, Any]


class RowOut(Schema):
    position: int
    split: str
    row_hash: str
    row: dict[str, Any]


class RowPage(Schema):
    rows: list[RowOut]
    after: int | None


class RunOut(Schema):
    name: str
    version: str
    model: str
    state: str
    step: int
    total_steps: int | None
    error: str
    evaluations: dict[str, Any]


class JobOut(Schema):
    id: int
    kind: str
    state: str
    done: int
    total: int
    error: str
    result: dict[str, Any]


class JudgeIn(Body):
    model: str


class ScoreIn(Body):
    model: str
    method: str = "ches"


class AggregateIn(Body):
    method: str
    aspects: list[str] = Field([], description="ASPECT=WEIGHT, where ratings become pairs")
    gap: float | None = Field(None, description="least difference of two ratings, as a share of their scale")


class VersionIn(Body):
    name: str
    filters: list[str] = []
    form: str | None = None
    unit: str = Field("pairs", description="what a row is: pairs, or completions with a yes or no")
    group: str = Field("", description="a group of raters, like 2-B, whose labels alone to take")
    train: str = Field("", description="a model to train on the version; takes the right to start runs")
    run: str = Field("", description="the name of that run")


class RunIn(Body):
    version: str
    model: str
    name: str = ""
    arguments: dict[str, Any] = Field(
        {}, description="objective, beta, learning_rate, epochs, batch_size, seed, flip_rate (rdpo), ..."
    )


class ExportIn(Body):
    format: str
    form: str | None = None
