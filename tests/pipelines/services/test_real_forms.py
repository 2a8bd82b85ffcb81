"""Six real forms: each is set up as the set-up page posts it, and the rows of its file are imported as annotations."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.test import Client

from annotation.models import Annotation, Comparison, Project, Rater, User
from pipelines.services.importing import ImportOptions, import_file
from tests import cast
from tests.pipelines.imports.real_forms import REAL_FORMS

pytestmark = pytest.mark.django_db


@dataclass(frozen=True)
class Expected:
    """`rows` of the shape, of which `refused` by cause; what is there afterwards; what no row could say."""

    rows: int
    comparisons: int
    annotations: int
    raters: int
    sizes: dict[int, int]
    outcomes: dict[str, int]
    refused: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)


EXPECTED: dict[str, Expected] = {
    # 23 rows compare a text with itself; three rows repeat an evaluator on a pair and stay as repeats.
    "tulu1-human-eval": Expected(
        rows=810, comparisons=644, annotations=787, raters=15, sizes={2: 644},
        outcomes={"first": 244, "second": 290, "tie": 253}, refused={"completions_equal": 23},
    ),
    "squality-human-eval": Expected(
        rows=60, comparisons=60, annotations=180, raters=4, sizes={3: 60}, outcomes={"": 180},
        left_out={"passages that are not in the summary": 4},
    ),
    # Two segments stand twice, so that 754 rows are 752 comparisons.
    "wmt23-sxs-mqm-zhen": Expected(
        rows=754, comparisons=752, annotations=2262, raters=8, sizes={5: 680, 4: 54, 3: 17, 2: 1}, outcomes={"": 2262},
        left_out={
            "planted attention checks": 452, "translations equal to another of their comparison": 94,
            "errors without a passage in the translation": 78,
        },
    ),
    "imageinwords-sxs": Expected(
        rows=200, comparisons=100, annotations=100, raters=1, sizes={2: 100},
        outcomes={"first": 46, "second": 42, "tie": 12}, refused={"text_not_in_file": 100},
    ),
    "ttcw": Expected(
        rows=20, comparisons=15, annotations=45, raters=9, sizes={1: 15}, outcomes={"": 45},
        refused={"text_not_in_file": 5},
    ),
    "ukpconvarg1": Expected(
        rows=10279, comparisons=10018, annotations=51235, raters=3714, sizes={2: 10018},
        outcomes={"first": 20146, "second": 20057, "tie": 11032}, refused={"completions_equal": 8},
    ),
}  # fmt: skip
NAMED = {
    "imageinwords-sxs": "completion 2 (GPT-4V) has no text in the file.",
    "ttcw": "_NewYorker) has no text in the file.",
}


def set_up(name: str, folder: Path) -> Project:
    """As the page posts it, through the address of the page."""
    site = cast.person("Site")
    User.objects.filter(pk=site.pk).update(is_site_admin=True)
    client = Client()
    client.force_login(site)
    posted = {"title": name, "slug": name, "wanted": "1", "lease_minutes": "15", "guidelines": ""}
    for place, fields in enumerate(REAL_FORMS[name].fields(folder)):
        posted |= {f"q.{place}.{key}": text for key, text in fields.items()}
    reply = client.post("/projects/new/", posted)
    assert reply.status_code == 302, reply.content.decode()
    return Project.objects.get(slug=name)


@pytest.mark.parametrize("name", REAL_FORMS)
def test_a_real_form_is_set_up_and_its_rows_come_in(name, reference_data, tmp_path):
    project, left_out = set_up(name, reference_data), Counter()
    path = tmp_path / f"{name}.jsonl"
    with path.open("w", encoding="utf-8") as stream:
        for row in REAL_FORMS[name].rows(reference_data, left_out):
            stream.write(json.dumps(row) + "\n")
    record = import_file(project=project, path=path, options=ImportOptions(source=name, accept_faults=True))
    refused = {k.removeprefix("refused_"): n for k, n in record.counts.items() if k.startswith("refused_")}
    found = Expected(
        rows=record.counts["rows_in"],
        comparisons=record.counts["comparisons"],
        annotations=record.counts["annotations"],
        raters=Rater.objects.filter(project=project, kind="source").count(),
        sizes=dict(Counter(Comparison.objects.filter(project=project).values_list("size", flat=True))),
        outcomes=dict(Counter(Annotation.objects.filter(project=project).values_list("outcome", flat=True))),
        refused=refused,
        left_out=dict(left_out),
    )
    assert found == EXPECTED[name]
    assert all(fault["message"].endswith(NAMED[name]) for fault in record.faults if name in NAMED)
