"""What the demo promises, and when it says that a promise is broken."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from launcher.demo.findings import Reliability, Run, report_build
from launcher.demo.records import TRACE, Labels, query_shown
from launcher.demo.report import report_html, report_text
from launcher.demo.stages import Stage
from launcher.demo.world.evaluation import Interval, Measured, Ranking
from launcher.demo.world.grammar import KINDS

COUNT = 320


def labels(share_right: float, judge_right: float = 0.9, planted_right: float = 0.6) -> Labels:
    """Comparisons of all kinds in turn; `share_right` of the labels and the given shares of the judge's are right."""
    kinds = np.array([KINDS[index % len(KINDS)] for index in range(COUNT)])
    gap = np.where(np.arange(COUNT) % 2 == 0, 1.0, -1.0)
    luck = (np.arange(COUNT) * 7919 % COUNT) / COUNT
    planted = np.isin(kinds, ("reverse", "owner", "repeat", "pick"))

    def side(share: Any) -> Any:
        return np.where((luck < share) == (gap > 0), 0.9, 0.1)

    people = np.arange(COUNT) < COUNT * 3 // 4
    return Labels(
        kinds, gap, people, people, side(np.where(planted, planted_right, judge_right)), side(share_right)
    )


def measured(reward: float, ok: float) -> Measured:
    spread = np.linspace(-0.3, 0.3, 80)
    means = {
        "reward": reward + spread,
        "ok": ok + spread / 3,
        "words": 8 + spread,
        "manner": 0.1 + spread / 9,
    }
    return Measured(tuple(KINDS[index % len(KINDS)] for index in range(80)), means)


def rater(habit: str, estimate: float) -> Reliability:
    return Reliability(f"{habit}-1", habit, estimate, estimate - 0.1, estimate + 0.05, 30)


@pytest.fixture
def run() -> Run:
    return Run(
        slug="demo",
        version="first",
        beta=0.3,
        majority=labels(0.8),
        weighted=labels(0.85),
        reliability=[rater("good", 0.9), rater("spammer", 0.5)],
        agreement={"alpha": 0.4, "low": 0.3, "high": 0.5},
        routing={
            "budget": 720,
            "counts": {"person": 240, "model": 80},
            "calibration": {"before": {"log_loss": 1.2}, "after": {"log_loss": 0.6, "n": 32}},
        },
        routed_to_model=80,
        assigned_of_those=0,
        drops=[("ties", 3, 317)],
        before_ches=[
            ("larger 20 or 9 ?", "20 .", "it is 9 .", True),
            ("larger 20 or 9 ?", "9 .", "20 .", False),
        ],
        traced=[(0, "person", 1, 3, 1), (1, "model", 2, 0, 1)],
        exported=2,
        curves=[(step, {"rewards/chosen": -0.15, "rewards/rejected": -0.6}) for step in (1, 2)],
        before=measured(0.1, 0.40),
        after=measured(0.5, 0.45),
        ranking=Ranking(*[Interval(0.6, 0.5, 0.7)] * 3, pairs=100),
        left_open=12,
        stages=[Stage("import", 1.5, 300.0)],
    )


def broken(run: Run) -> list[str]:
    return [check.name for check in report_build(run).checks if not check.passed]


def test_a_good_run_keeps_every_promise(run: Run) -> None:
    assert broken(run) == []


@pytest.mark.parametrize(
    ("change", "promise"),
    [
        ({"weighted": labels(0.85, judge_right=0.5, planted_right=0.45)}, "The judge beats chance"),
        ({"weighted": labels(0.85, planted_right=0.95)}, "worse where it was taught wrongly"),
        ({"weighted": labels(0.6)}, "less accurate than the majority"),
        ({"after": measured(0.05, 0.45)}, "true reward rises"),
        ({"after": measured(0.5, 0.2)}, "not wholly below 0"),
        ({"assigned_of_those": 1}, "routed to the model"),
        ({"routed_to_model": 0}, "routed to the model"),
        ({"exported": 3}, "traced"),
        ({"traced": [(0, "person", 1, 0, 0), (1, "model", 2, 0, 1)]}, "traced"),
        ({"reliability": [rater("spammer", 0.9), rater("good", 0.6)]}, "spammer"),
    ],
)  # fmt: skip
def test_each_promise_can_be_broken(run: Run, change: dict[str, Any], promise: str) -> None:
    assert any(promise in name for name in broken(replace(run, **change)))


def test_a_tie_counts_as_half_right() -> None:
    found = labels(1.0)
    assert found.right(np.full(COUNT, 0.5)).mean() == 0.5
    assert found.right(np.full(COUNT, np.nan)).mean() == 0.5
    assert found.right(np.where(found.gap > 0, 0.9, 0.1)).mean() == 1.0


def test_the_report_says_so_when_most_of_the_gain_is_style(run: Run) -> None:
    after = measured(0.5, 0.45)
    after.means["manner"] += 0.4
    assert "Most of the gain is style and refusals" in report_text(report_build(replace(run, after=after)))
    assert "Most of the gain" not in report_text(report_build(run))


def test_both_forms_show_the_numbers_and_the_query(run: Run) -> None:
    report = report_build(run)
    for shown in (report_html(report), report_text(report)):
        assert "rose from 0.10 to 0.50" in shown and "version.name = &#x27;first&#x27;" in shown.replace(
            "'", "&#x27;"
        )
    assert "−0.50 nats" in report_text(report)


def test_a_query_is_shown_as_it_can_be_typed() -> None:
    shown = query_shown(TRACE, slug="demo", version="first")
    assert "project.slug = 'demo'" in shown and "%(" not in shown
