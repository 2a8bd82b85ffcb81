"""The report as one document and as text."""

import re
from xml.etree import ElementTree

import pytest

from launcher.demo.report import (
    Check,
    Code,
    Dot,
    DotChart,
    Line,
    LineChart,
    Report,
    Section,
    Table,
    report_html,
    report_text,
)


@pytest.fixture
def report() -> Report:
    dots = DotChart(
        "Who is reliable?", "accuracy", "One is not.", [Dot("ada", 0.9, 0.8, 0.95)], 0.0, 1.0, 0.5
    )
    lines = LineChart(
        "Do they fall?", "nats", "step", "Both fall.",
        [Line("chosen", [(0, 0), (9, -1)]), Line("rejected", [(0, 0), (9, -1.1)])],
    )  # fmt: skip
    table = Table(("kind", "before"), [("larger <b>", "0.10")])
    section = Section("Finding", ["A sentence & more.", table, dots, lines, Code("SELECT 1 < 2")])
    return Report("The demo", "It worked.", [Check("spammer is last", True, "0.5 < 0.9")], [section])


def test_the_document_needs_nothing_else(report: Report) -> None:
    html = report_html(report)
    assert not re.search(r"https?:|<script|<link|<img|url\(|@import| style=", html)
    assert "prefers-color-scheme: dark" in html


def test_the_document_is_well_formed_and_escaped(report: Report) -> None:
    html = report_html(report)
    assert "larger &lt;b&gt;" in html and "A sentence &amp; more." in html
    for svg in re.findall(r"<svg.*?</svg>", html):
        ElementTree.fromstring(svg)  # noqa: S314 - text that this test's own code wrote
    assert len(re.findall(r'role="img" aria-label="[^"]+"', html)) == 2
    assert html.count("Show as table") == 2


def test_the_text_holds_the_same_numbers(report: Report) -> None:
    text = report_text(report)
    for words in ("kept    spammer is last: 0.5 < 0.9", "ada", "0.95", "−1.10", "SELECT 1 < 2"):
        assert words in text


def test_one_broken_promise_fails_the_report() -> None:
    checks = [Check("a", True, ""), Check("b", False, "")]
    assert not Report("t", "l", checks).passed and "BROKEN" in report_text(Report("t", "l", checks))


def test_a_curve_that_never_moves_is_drawn() -> None:
    flat = LineChart("q", "u", "step", "Flat.", [Line("loss", [(0, 0.0), (1, 0.0)])])
    assert "polyline" in report_html(Report("t", "l", [], [Section("s", [flat])]))
