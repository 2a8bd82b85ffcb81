"""What the demo reads back from the product's database: read-only queries, each shown or told of in the report."""

from dataclasses import dataclass
from typing import Any, LiteralString, Self

import numpy as np
import psycopg
from numpy.typing import NDArray

from launcher.demo.world.grammar import kind_of, true_reward

COMPARISONS: LiteralString = """
SELECT c.id, prompt.body, first.body, second.body, decision.destination, prediction.p_first,
       r.origin, r.p_first, r.p_second
FROM annotation_comparison c
JOIN annotation_project project ON project.id = c.project_id AND project.slug = %(slug)s
JOIN annotation_prompt p ON p.id = c.prompt_id
JOIN annotation_text prompt ON prompt.sha256 = p.text_sha256
JOIN annotation_comparisoncompletion place0 ON place0.comparison_id = c.id AND place0.position = 0
JOIN annotation_completion completion0 ON completion0.id = place0.completion_id
JOIN annotation_text first ON first.sha256 = completion0.text_sha256
JOIN annotation_comparisoncompletion place1 ON place1.comparison_id = c.id AND place1.position = 1
JOIN annotation_completion completion1 ON completion1.id = place1.completion_id
JOIN annotation_text second ON second.sha256 = completion1.text_sha256
LEFT JOIN pipelines_routingplan plan ON plan.project_id = c.project_id AND plan.state <> 'replaced'
LEFT JOIN pipelines_routingdecision decision ON decision.plan_id = plan.id AND decision.comparison_id = c.id
LEFT JOIN pipelines_prediction prediction ON prediction.comparison_id = c.id
LEFT JOIN pipelines_preference preference ON preference.comparison_id = c.id
LEFT JOIN pipelines_preferencerevision r ON r.id = preference.current_id
ORDER BY c.key
"""

RELIABILITY: LiteralString = """
SELECT person.email, estimate.reliability, estimate.low, estimate.high, estimate.votes
FROM pipelines_raterestimate estimate
JOIN pipelines_aggregationrun run ON run.id = estimate.run_id
JOIN annotation_project project ON project.id = run.project_id AND project.slug = %(slug)s
JOIN annotation_rater rater ON rater.id = estimate.rater_id
JOIN annotation_participation participation ON participation.id = rater.participation_id
JOIN annotation_user person ON person.id = participation.annotator_id
WHERE run.number = (SELECT max(number) FROM pipelines_aggregationrun WHERE project_id = project.id)
ORDER BY estimate.reliability DESC
"""

AGREEMENT: LiteralString = """
SELECT run.metrics->'agreement' FROM pipelines_aggregationrun run
JOIN annotation_project project ON project.id = run.project_id AND project.slug = %(slug)s
ORDER BY run.number DESC LIMIT 1
"""

ASSIGNED_TO_NOBODY: LiteralString = """
SELECT count(*) AS routed_to_the_model, count(assignment.id) AS assignments_of_theirs
FROM pipelines_routingdecision decision
JOIN pipelines_routingplan plan ON plan.id = decision.plan_id AND plan.state <> 'replaced'
JOIN annotation_project project ON project.id = plan.project_id AND project.slug = %(slug)s
LEFT JOIN annotation_assignment assignment ON assignment.comparison_id = decision.comparison_id
WHERE decision.destination = 'model'
"""

TRACE: LiteralString = """
SELECT row.position, revision.origin, preference.comparison_id,
       (SELECT count(*) FROM annotation_annotation vote
        WHERE vote.comparison_id = preference.comparison_id AND vote.state = 'current') AS votes,
       (SELECT count(*) FROM pipelines_prediction prediction
        WHERE prediction.comparison_id = preference.comparison_id) AS predictions
FROM pipelines_versionrow row
JOIN pipelines_datasetversion version ON version.id = row.version_id AND version.name = %(version)s
JOIN annotation_project project ON project.id = version.project_id AND project.slug = %(slug)s
JOIN pipelines_preferencerevision revision ON revision.id = row.revision_id
JOIN pipelines_preference preference ON preference.id = revision.preference_id
ORDER BY row.position
"""

CURVES: LiteralString = """
SELECT metric.step, metric.values FROM pipelines_trainingmetric metric
JOIN pipelines_trainingrun run ON run.id = metric.run_id AND run.name = %(run)s
JOIN annotation_project project ON project.id = run.project_id AND project.slug = %(slug)s
WHERE metric.attempt = run.attempt ORDER BY metric.step
"""

DROPS: LiteralString = """
SELECT drop.cause, drop.dropped, drop.left FROM pipelines_versiondrop drop
JOIN pipelines_datasetversion version ON version.id = drop.version_id AND version.name = %(version)s
JOIN annotation_project project ON project.id = version.project_id AND project.slug = %(slug)s
ORDER BY drop.step
"""

BEFORE_CHES: LiteralString = """
SELECT prompt.body, chosen.body, rejected.body, row.id IS NOT NULL AS kept
FROM pipelines_preference preference
JOIN annotation_project project ON project.id = preference.project_id AND project.slug = %(slug)s
JOIN pipelines_datasetversion version ON version.project_id = project.id AND version.name = %(version)s
JOIN pipelines_preferencerevision r ON r.id = preference.current_id
JOIN annotation_completion c ON c.id = r.chosen_id
JOIN annotation_text chosen ON chosen.sha256 = c.text_sha256
JOIN annotation_completion d ON d.id = r.rejected_id
JOIN annotation_text rejected ON rejected.sha256 = d.text_sha256
JOIN annotation_prompt p ON p.id = c.prompt_id
JOIN annotation_text prompt ON prompt.sha256 = p.text_sha256
LEFT JOIN pipelines_versionrow row ON row.version_id = version.id AND row.revision_id = r.id
WHERE r.origin <> 'model' OR r.confidence >= %(least)s
"""

CHECKPOINT: LiteralString = """
SELECT model.location FROM pipelines_trainingrun run
JOIN annotation_languagemodel model ON model.id = run.checkpoint_id
JOIN annotation_project project ON project.id = run.project_id AND project.slug = %(slug)s
WHERE run.name = %(run)s
"""


@dataclass(frozen=True)
class Labels:
    """All comparisons of the demo beside the truth, in an order that does not depend on ids.

    `gap`: true reward of the first completion minus the second's. `p_judge`: the judge's own P(first better), NaN
    without one. `p_label`: P(first better) / (P(first) + P(second)) of the current preference, NaN without one.
    """

    kinds: NDArray[np.str_]
    gap: NDArray[np.float64]
    to_people: NDArray[np.bool_]
    by_people: NDArray[np.bool_]
    p_judge: NDArray[np.float64]
    p_label: NDArray[np.float64]

    def right(self, probability: NDArray[np.float64]) -> NDArray[np.float64]:
        """1 where a probability is on the true side, 0 where not, a half where it takes none."""
        side = np.sign(np.nan_to_num(probability, nan=0.5) - 0.5)
        return np.where(side == 0, 0.5, side == np.sign(self.gap)).astype(np.float64)

    @property
    def decided(self) -> NDArray[np.bool_]:
        """Where the truth has a side."""
        return np.not_equal(self.gap, 0.0)


class Records:
    """The database of a running product, read as an inspector would."""

    def __init__(self, url: str, slug: str) -> None:
        self._connection = psycopg.connect(
            url, autocommit=True, options="-c default_transaction_read_only=on"
        )
        self._slug = slug

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def rows(self, query: LiteralString, **names: str | float) -> list[tuple[Any, ...]]:
        return self._connection.execute(query, {"slug": self._slug, **names}).fetchall()

    def labels(self) -> Labels:
        """Every comparison with what the judge and the preference say of it, beside the truth."""
        rows = self.rows(COMPARISONS)
        judged = [np.nan if row[5] is None else row[5] for row in rows]
        label = [
            np.nan if row[7] is None or row[7] + row[8] == 0 else row[7] / (row[7] + row[8]) for row in rows
        ]
        return Labels(
            kinds=np.array([kind_of(row[1]) for row in rows]),
            gap=np.array([true_reward(row[1], row[2]) - true_reward(row[1], row[3]) for row in rows]),
            to_people=np.array([row[4] == "person" for row in rows]),
            by_people=np.array([row[6] == "person" for row in rows]),
            p_judge=np.array(judged, dtype=np.float64),
            p_label=np.array(label, dtype=np.float64),
        )


def query_shown(query: str, **names: str) -> str:
    """A query as it can be typed in, with its names put in."""
    for name, value in names.items():
        query = query.replace(f"%({name})s", f"'{value}'")
    return query.strip()
