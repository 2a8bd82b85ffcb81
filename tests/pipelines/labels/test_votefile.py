"""The command for files of votes: what it reads, refuses, writes and chooses."""

from __future__ import annotations

import base64
import gzip
import json
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.labels.votefile.answers import answer, offered
from pipelines.labels.votefile.choosing import choose, held_out_rows
from pipelines.labels.votefile.columns import column_map
from pipelines.labels.votefile.command import main
from pipelines.labels.votefile.lines import BadLines
from pipelines.labels.votefile.measures import gold_measures
from pipelines.labels.votefile.reading import ballot_read
from tests.pipelines.labels.graded_scene import world

ROOT = Path(__file__).parents[3]


def written(path: Path, rows: list) -> Path:
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def label_rows(seed: int = 0, items: int = 60) -> list[dict]:
    draw = random.Random(seed)
    rows = []
    for item in range(items):
        truth = draw.choice("xyz")
        for rater, right in (("ada", 0.95), ("ben", 0.85), ("cy", 0.7), ("dot", 0.35)):
            label = truth if draw.random() < right else draw.choice("xyz")
            rows.append({"item": f"i{item}", "rater": rater, "label": label})
    return rows


def graded_rows(seed: int = 0, *, raters: int = 12, each: int = 40) -> list[dict]:
    votes = world(seed, raters=raters, each=each, votes=4).votes
    rows = {
        (int(t), int(w)): {
            "item": int(t),
            "rater": f"r{w}",
            "vote": int(2 - y),
            "first_shown_first": bool(s > 0),
        }
        for t, w, y, s in zip(votes.item, votes.rater, votes.step, votes.side, strict=True)
    }
    return list(rows.values())


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def run(*words: object) -> int:
    return main([str(word) for word in words])


# Answers


def test_labels_come_out_with_probabilities_and_raters(tmp_path) -> None:
    votes = written(tmp_path / "votes.jsonl.gz", label_rows())
    gold = written(tmp_path / "gold.jsonl", [{"item": f"i{n}", "label": "x"} for n in range(5)])
    assert run(votes, "--method", "dawid-skene", "--gold", gold, "--out", tmp_path / "out") == 0
    items, raters = lines(tmp_path / "out/items.jsonl"), lines(tmp_path / "out/raters.jsonl")
    assert {row["item"] for row in items} == {f"i{n}" for n in range(60)}
    assert all(sum(row["probabilities"].values()) == pytest.approx(1) for row in items)
    assert all(row["label"] == max(row["probabilities"], key=row["probabilities"].get) for row in items)
    by_name = {row["rater"]: row for row in raters}
    assert by_name["ada"]["low"] < by_name["ada"]["reliability"] < by_name["ada"]["high"]
    assert by_name["dot"]["reliability"] < by_name["ada"]["reliability"]
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["method"] == "dawid_skene"
    assert {"accuracy", "log_loss", "calibration_error"} <= report["gold"]["methods"][0].keys()


def test_auto_says_what_it_tried_and_why(tmp_path) -> None:
    votes = written(tmp_path / "votes.jsonl", label_rows())
    assert run(votes, "--out", tmp_path / "out", "--splits", 2) == 0
    report = json.loads((tmp_path / "out/report.json").read_text())
    tried = {row["method"]: row["log_loss"] for row in report["held_out"]["methods"]}
    assert tried.keys() == {"majority", "dawid_skene", "dawid_skene_one_coin", "mace", "glad"}
    assert report["method"] == min(tried, key=tried.get)
    assert report["method"] in report["why"]
    assert report["held_out"]["votes"] == 120


def test_graded_votes_have_strength_direction_and_side_bias(tmp_path) -> None:
    votes = written(tmp_path / "votes.jsonl", graded_rows())
    assert run(votes, "--method", "graded", "--variant", "plain", "--out", tmp_path / "out") == 0
    for row in lines(tmp_path / "out/items.jsonl"):
        assert list(row["probabilities"]) == ["2", "1", "0", "-1", "-2"]
        assert row["p_first"] == pytest.approx(row["probabilities"]["-1"] + row["probabilities"]["-2"])
        assert row["p_first"] + row["p_second"] + row["p_tie"] == pytest.approx(1)
        assert sum(row["consensus"].values()) == pytest.approx(1)
        assert 0 <= row["flip_probability"] <= 0.5
        assert row["strength"] == pytest.approx(sum(int(k) * p for k, p in row["probabilities"].items()))
        assert row["strength_se"] > 0
        if abs(row["strength"]) > 0.5:
            assert (row["label"] == "first") == (row["strength"] < 0) or row["label"] == "tie"
    rater = lines(tmp_path / "out/raters.jsonl")[0]
    assert -0.5 <= rater["side_bias"] <= 0.5
    assert rater["low"] < rater["reliability"] < rater["high"]
    assert rater["spam_odds"] > 0


def test_every_offered_method_answers(tmp_path) -> None:
    rows = graded_rows(3)
    for row in rows:
        row |= {"first": f"m{row['item'] % 5}", "second": f"m{5 + row['item'] % 7}"}
    ballot = ballot_read(written(tmp_path / "votes.jsonl", rows), {}, None, lambda size: None)
    methods = offered(ballot)
    assert {"davidson", "rao_kupper", "crowd_bt", "majority", "graded"} <= {method for method, _ in methods}
    for method, variant in methods:
        found = answer(ballot, method, variant)
        assert found.probabilities.sum(axis=1) == pytest.approx(np.ones(len(ballot.items))), method
        assert found.outcomes is not None
        assert ((found.predict(ballot) > 0) & (found.predict(ballot) <= 1)).all(), method


def test_the_page_is_one_file_that_loads_nothing(tmp_path) -> None:
    rows = [row | {"rater": f"<b>{row['rater']}</b>"} for row in label_rows()]
    gold = written(tmp_path / "gold.jsonl", [{"item": "i0", "label": "x"}])
    assert (
        run(written(tmp_path / "v.jsonl", rows), "--gold", gold, "--splits", 1, "--out", tmp_path / "out")
        == 0
    )
    page = (tmp_path / "out/report.html").read_text()
    assert "<svg" in page
    assert "&lt;b&gt;ada" in page
    assert "<b>ada" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert "<script" not in page


def tables_of(page: Path) -> dict[str, list[list[str]]]:
    found = re.findall(r'download="([^"]+)" href="data:[^,]+base64,([^"]+)"', page.read_text())
    return {
        name: [row.split("\t") for row in base64.b64decode(data).decode().split("\n")] for name, data in found
    }


def test_the_page_shows_the_model_and_every_drawing_has_its_data(tmp_path) -> None:
    rows = graded_rows(3)
    for row in rows:
        row |= {"first": f"m{row['item'] % 5}", "second": f"m{5 + row['item'] % 7}"}
    answers(tmp_path, "pairs", rows, "--method", "davidson")
    items, _, report = answers(tmp_path, "graded", rows, "--method", "graded", "--variant", "completions")
    pairs, graded = (tables_of(tmp_path / name / "report.html") for name in ("pairs", "graded"))
    head, *best = pairs["value-of-each-completion-or-system-with-95-interval.tsv"]
    assert head == ["completion", "value", "standard error", "part"] and len(best) == 12
    assert float(best[0][1]) > float(best[-1][1]) and float(best[0][2]) > 0
    assert len(graded["value-of-each-completion-or-system.tsv"]) == 13
    numbers = dict(graded["graded-model.tsv"][1:])
    assert [float(numbers[f"cut {n}"]) for n in (1, 2, 3, 4)] == pytest.approx(
        report["model"]["cuts"], abs=1e-4
    )
    assert "spam odds" in graded["reliability-with-95-interval.tsv"][0]
    points = {row[0]: row[1:] for row in graded["entropy-in-nats-one-point-a-comparison.tsv"][1:]}
    assert points.keys() == {str(row["item"]) for row in items}
    assert float(points["3"][0]) == pytest.approx(
        items[[r["item"] for r in items].index(3)]["ambiguity"], abs=1e-4
    )
    assert {"least-certain-items.tsv", "agreement.tsv"} <= graded.keys() & pairs.keys()


def test_no_name_is_a_formula_in_the_tables_to_download(tmp_path) -> None:
    bad = ["=cmd|' /C calc'!A0", "\r=1+1", "  @SUM(A1)", "+1", "a\tb\nc"]
    rows = [choice(f"i{n}", name, "xy"[(n + len(name)) % 2]) for n in range(6) for name in bad]
    assert run(written(tmp_path / "v.jsonl", rows), "--method", "majority", "--out", tmp_path / "out") == 0
    page = (tmp_path / "out/report.html").read_text()
    tables = [base64.b64decode(data).decode() for data in re.findall(r"base64,([^\"]+)", page)]
    cells = [cell for table in tables for line in table.split("\n") for cell in line.split("\t")]
    assert "'=cmd|' /C calc'!A0" in cells and "a b c" in cells
    assert not [cell for cell in cells if cell.lstrip()[:1] in ("=", "+", "@") or "\r" in cell]


def test_a_file_whose_name_is_no_text_is_read(tmp_path) -> None:
    votes = tmp_path / os.fsdecode(b"sur\xff.jsonl")
    assert run(written(votes, label_rows()), "--method", "majority", "--out", tmp_path / "out") == 0
    assert json.loads((tmp_path / "out/report.json").read_text())["file"] == "sur\ufffd.jsonl"


def test_a_folder_in_the_place_of_a_file_leaves_all_files_as_they_were(tmp_path, capsys) -> None:
    (tmp_path / "out/report.html").mkdir(parents=True)
    votes = written(tmp_path / "v.jsonl", label_rows())
    assert run(votes, "--method", "majority", "--out", tmp_path / "out") == 2
    assert "is a folder" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["report.html"]


def test_a_rater_without_a_known_side_has_no_side_bias(tmp_path) -> None:
    rows = graded_rows()
    for row in rows:
        if row["rater"] == "r3":
            del row["first_shown_first"]
    _, raters, _ = answers(tmp_path, "v", rows, "--method", "graded", "--variant", "plain")
    assert [row["rater"] for row in raters if row["side_bias"] is None] == ["r3"]


def test_order_of_lines_changes_nothing(tmp_path) -> None:
    rows = graded_rows(5)
    shuffled = rows[:]
    random.Random(1).shuffle(shuffled)
    for name, some in (("one", rows), ("two", shuffled)):
        assert run(written(tmp_path / f"{name}.jsonl", some), "--splits", 1, "--out", tmp_path / name) == 0
    one, two = (lines(tmp_path / name / "items.jsonl") for name in ("one", "two"))
    assert [row["item"] for row in one] == [row["item"] for row in two]
    assert [row["strength"] for row in one] == pytest.approx([row["strength"] for row in two], abs=1e-9)
    losses = [
        [
            row["log_loss"]
            for row in json.loads((tmp_path / name / "report.json").read_text())["held_out"]["methods"]
        ]
        for name in ("one", "two")
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-9)


def test_swapping_first_and_second_changes_signs_only(tmp_path) -> None:
    rows = graded_rows(6)
    swapped = [
        row | {"vote": -row["vote"], "first_shown_first": not row["first_shown_first"]} for row in rows
    ]
    for name, some in (("one", rows), ("two", swapped)):
        path = written(tmp_path / f"{name}.jsonl", some)
        assert run(path, "--method", "graded", "--variant", "plain", "--out", tmp_path / name) == 0
    for here, there in zip(*(lines(tmp_path / name / "items.jsonl") for name in ("one", "two")), strict=True):
        assert there["strength"] == pytest.approx(-here["strength"], abs=1e-9)
        assert there["p_first"] == pytest.approx(here["p_second"], abs=1e-9)
        assert there["flip_probability"] == pytest.approx(here["flip_probability"], abs=1e-9)


def chosen_of(path: Path, rows: list[dict]):
    ballot = ballot_read(written(path, rows), {}, None, lambda size: None)
    methods = [
        pair
        for pair in offered(ballot)
        if pair[0] in ("majority", "dawid_skene", "mace") or pair[1] == "plain"
    ]
    return choose(ballot, methods, seed=3, splits=2, progress=lambda name: None)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_names_of_raters_and_order_of_lines_change_no_held_out_loss(tmp_path_factory, seed, graded) -> None:
    draw = random.Random(seed)
    rows = [
        {"item": item, "rater": f"r{rater}"}
        | (
            {"vote": draw.choice((-2, -1, 0, 1, 2)), "first_shown_first": draw.random() < 0.5}
            if graded
            else {"label": draw.choice("abc")}
        )
        for item in range(10)
        for rater in draw.sample(range(6), 3)
    ]
    names = draw.sample(range(6), 6)
    renamed = [row | {"rater": f"r{names[int(row['rater'][1:])]}"} for row in draw.sample(rows, len(rows))]
    path = tmp_path_factory.mktemp("votes") / "v.jsonl"
    one, two = chosen_of(path, rows), chosen_of(path, renamed)
    assert [trial.losses for trial in two.trials] == [trial.losses for trial in one.trials]
    assert (two.method, two.variant) == (one.method, one.variant)


def test_swapped_sides_keep_the_same_votes_back(tmp_path) -> None:
    rows = graded_rows(8)
    swapped = [
        row | {"vote": -row["vote"], "first_shown_first": not row["first_shown_first"]} for row in rows
    ]
    here, there = (
        ballot_read(written(tmp_path / name, some), {}, None, lambda size: None)
        for name, some in (("one", rows), ("two", swapped))
    )
    assert np.array_equal(held_out_rows(here, 3, 0), held_out_rows(there, 3, 0))
    one, two = chosen_of(tmp_path / "v.jsonl", rows), chosen_of(tmp_path / "v.jsonl", swapped)
    # Rounding may end a fit a round earlier; MACE starts from random shares of each label, which a swap does not swap.
    for before, after in zip(one.trials, two.trials, strict=True):
        assert after.losses == pytest.approx(before.losses, abs=0.01 if after.method == "mace" else 5e-4)
    assert (two.method, two.variant) == (one.method, one.variant)


def test_maps_name_the_columns_of_votes_and_gold(tmp_path) -> None:
    rows = [
        {"orig_id": r["item"], "!w": r["rater"], "response": r["label"], "vote": "not ours"}
        for r in label_rows()
    ]
    gold = written(tmp_path / "gold.jsonl", [{"orig_id": f"i{n}", "truth": "y"} for n in range(9)])
    columns = "item=orig_id,rater=!w,label=response,gold.item=orig_id,gold.label=truth"
    votes = written(tmp_path / "votes.jsonl", rows)
    assert (
        run(votes, "--method", "majority", "--gold", gold, "--map", columns, "--out", tmp_path / "out") == 0
    )
    assert json.loads((tmp_path / "out/report.json").read_text())["gold"]["items"] == 9


def test_a_draw_is_marked_and_counts_half_against_gold(tmp_path) -> None:
    rows = [{"item": "a", "rater": r, "label": label} for r, label in (("p", 0), ("q", 1))]
    gold = written(tmp_path / "gold.jsonl", [{"item": "a", "label": "1"}])
    votes = written(tmp_path / "votes.jsonl", rows)
    assert run(votes, "--method", "majority", "--gold", gold, "--out", tmp_path / "out") == 0
    drawn = lines(tmp_path / "out/items.jsonl")[0]
    assert (drawn["label"], drawn["drawn"], drawn["drawn_labels"]) == (None, True, [0, 1])
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["gold"]["methods"][0]["accuracy"] == 0.5


def test_gold_measures_by_hand() -> None:
    found = gold_measures(np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([0, 1]))
    assert found.accuracy == 0.5
    assert found.log_loss == pytest.approx(-(np.log(0.9) + np.log(0.4)) / 2)
    assert found.calibration_error == pytest.approx((0.1 + 0.6) / 2)


def test_held_out_votes_are_one_an_item_with_enough_votes(tmp_path) -> None:
    rows = label_rows() + [{"item": "lone", "rater": "ada", "label": "x"}]
    ballot = ballot_read(written(tmp_path / "v.jsonl", rows), {}, None, lambda size: None)
    out = held_out_rows(ballot, 0, 0)
    assert np.unique(ballot.votes.item[out]).size == out.size == 60
    assert not np.array_equal(out, held_out_rows(ballot, 0, 1))
    assert np.array_equal(out, held_out_rows(ballot, 0, 0))


def test_without_votes_to_hold_out_it_says_so(tmp_path) -> None:
    rows = [row for row in graded_rows() if row["rater"] == "r1"]
    seen: set[int] = set()
    lone = [row for row in rows if row["item"] not in seen and not seen.add(row["item"])]
    assert run(written(tmp_path / "v.jsonl", lone), "--out", tmp_path / "out") == 0
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["method"] == "graded"
    assert "none could be held out" in report["why"]
    assert any("one rater" in note for note in report["notes"])


def test_with_one_vote_an_item_recurring_systems_are_told_from_each_other(tmp_path) -> None:
    draw = random.Random(2)
    rows = []
    for number in range(400):
        first, second = draw.sample(range(8), 2)
        won = draw.random() < 1 / (1 + np.exp(second - first))
        rows.append(
            {
                "item": number,
                "rater": f"r{number % 7}",
                "vote": -1 if won else 1,
                "first": f"m{first}",
                "second": f"m{second}",
            }
        )
    assert run(written(tmp_path / "v.jsonl", rows), "--splits", 2, "--out", tmp_path / "out") == 0
    report = json.loads((tmp_path / "out/report.json").read_text())
    assert report["held_out"]["votes"] > 100
    value = report["model"]["completion_values"]
    assert value["m7"] > value["m0"] + 1
    tried = {row["name"]: row["log_loss"] for row in report["held_out"]["methods"]}
    assert min(tried["graded (completions)"], tried["bradley_terry"]) < tried["majority"] - 0.1


@pytest.mark.parametrize("method", ["davidson", "rao-kupper", "crowd-bt", "auto"])
@pytest.mark.parametrize("votes", [(0,), (-1, 0)])
def test_ties_alone_and_a_system_that_never_loses_are_answered_and_told(tmp_path, method, votes) -> None:
    rows = [
        {"item": n, "rater": f"r{r}", "vote": votes[(n + r) % len(votes)], "first": "a", "second": "b"}
        for n in range(20)
        for r in range(2)
    ]
    path = written(tmp_path / "v.jsonl", rows)
    assert run(path, "--steps", 3, "--splits", 1, "--method", method, "--out", tmp_path / "out") == 0
    report = json.loads((tmp_path / "out/report.json").read_text())
    if method in ("davidson", "rao-kupper") or (method == "crowd-bt" and votes == (0,)):
        assert any("would be infinite" in note for note in report["notes"])
        assert max(map(abs, report["model"]["completion_values"].values())) < 8


@pytest.mark.parametrize("method", ["crowd-bt", "davidson", "graded --variant completions"])
def test_systems_that_never_met_are_told_apart(tmp_path, method) -> None:
    draw = random.Random(4)
    rows = [
        {"item": n, "rater": f"r{r}", "vote": draw.choice((-1, 0, 1)), "first": pair[0], "second": pair[1]}
        for n, pair in enumerate(["ab", "cd", "de", "ce"] * 5)
        for r in range(3)
    ]
    path = written(tmp_path / "v.jsonl", rows)
    assert run(path, "--method", *method.split(), "--out", tmp_path / "out") == 0
    report = json.loads((tmp_path / "out/report.json").read_text())
    part = report["model"]["completion_components"]
    assert report["model"]["components_of_completions"] == 2
    assert part["a"] == part["b"] != part["c"] == part["d"] == part["e"]
    assert any("2 parts that were never compared" in note for note in report["notes"])
    for row in lines(tmp_path / "out/raters.jsonl"):
        assert row["low"] < row["reliability"] < row["high"]


def test_kinds_and_families_are_read(tmp_path) -> None:
    rows = graded_rows(7)
    for row in rows:
        judge = int(row["rater"][1:]) >= 8
        row |= {"kind": "judge" if judge else "person"} | ({"family": "base"} if judge else {})
    ballot = ballot_read(written(tmp_path / "v.jsonl", rows), {}, None, lambda size: None)
    assert ballot.graded is not None
    people = {name for name, kind in zip(ballot.raters, ballot.graded.populations, strict=True) if kind == 0}
    assert people == {f"r{n}" for n in range(8)}
    assert ballot.graded.weights.min() < 1
    assert (
        run(tmp_path / "v.jsonl", "--method", "graded", "--variant", "plain", "--out", tmp_path / "out") == 0
    )
    assert len(json.loads((tmp_path / "out/report.json").read_text())["model"]["kinds"]) == 2


# Repeats


def answers(
    tmp_path: Path, name: str, rows: list[dict], *words: object
) -> tuple[list[dict], list[dict], dict]:
    assert run(written(tmp_path / f"{name}.jsonl", rows), *words, "--out", tmp_path / name) == 0
    report = json.loads((tmp_path / name / "report.json").read_text())
    return lines(tmp_path / name / "items.jsonl"), lines(tmp_path / name / "raters.jsonl"), report


@pytest.mark.parametrize("rows", [graded_rows(), label_rows()])
def test_a_file_written_twice_is_the_file_and_says_so(tmp_path, rows) -> None:
    once = answers(tmp_path, "once", rows, "--splits", 1)
    twice = answers(tmp_path, "twice", rows + rows, "--splits", 1)
    assert twice[:2] == once[:2]
    assert twice[2]["method"] == once[2]["method"]
    assert f"{len(rows)} votes are repeats" in twice[2]["notes"][0]
    assert twice[2]["agreement"]["self"] == {"pairs": len(rows), "equal": 1.0}
    assert twice[2]["agreement"]["alpha"] == once[2]["agreement"]["alpha"]


def vote(item: str, rater: str, value: int, **more: object) -> dict:
    return {"item": item, "rater": rater, "vote": value} | more


@pytest.mark.parametrize(
    ("repeats", "counted"),
    [
        ([vote("a", "p", -2, at="2026-01-02"), vote("a", "p", 1, at="2026-01-01T23:00:00Z")], [1]),
        ([vote("a", "p", -2, at=5), vote("a", "p", 1, at=3.5)], [1]),
        ([vote("a", "p", -2), vote("a", "p", 1, at=3)], []),
        ([vote("a", "p", -2), vote("a", "p", -2), vote("a", "p", 1)], [-2]),
        ([vote("a", "p", -2), vote("a", "p", 2)], []),
        ([vote("a", "p", -2, first_shown_first=True), vote("a", "p", 1, first_shown_first=False)], [-2, 1]),
        ([vote("a", "p", -2, first_shown_first=True), vote("a", "p", 1)], []),
        ([vote("a", "p", -2, first_shown_first=s, kind="person") for s in (True, False)], [-2]),
    ],
)
def test_the_first_of_repeats_counts_or_the_most_frequent_in_any_order_of_lines(
    tmp_path, repeats, counted
) -> None:
    for number, some in enumerate((repeats, repeats[::-1])):
        rows = [
            *some,
            vote("a", "q", 0),
            vote("b", "p", 2, **({"kind": "person"} if "kind" in some[0] else {})),
        ]
        ballot = ballot_read(written(tmp_path / f"{number}.jsonl", rows), {}, 5, lambda size: None)
        mine = (ballot.votes.item == 0) & (ballot.votes.rater == 0)
        assert sorted(2 - ballot.votes.label[mine]) == counted
        assert ballot.repeats.left_out == len(repeats) - len(counted)
        assert ballot.repeats.contradictory == (not counted)


def test_a_rater_who_only_contradicts_themselves_is_named_and_spoils_nothing(tmp_path) -> None:
    rows = graded_rows()
    both = [vote(item, "contra", value) for item in {row["item"] for row in rows} for value in (-2, 2)]
    items, _, _ = answers(tmp_path, "without", rows, "--method", "graded", "--variant", "plain")
    beside, raters, report = answers(
        tmp_path, "with", rows + both, "--method", "graded", "--variant", "plain"
    )
    assert beside == items
    assert any('Of "contra" no vote counts' in note for note in report["notes"])
    assert next(row for row in raters if row["rater"] == "contra")["votes"] == 0


def test_agreement_does_not_depend_on_lines_where_judges_saw_both_orders(tmp_path) -> None:
    draw = random.Random(3)
    rows = [
        vote(f"i{n}", f"r{r}", draw.choice((-1, 1)), first_shown_first=side)
        for n in range(30)
        for r in range(3)
        for side in (True, False)
    ]
    one = answers(tmp_path, "one", rows, "--method", "majority")[2]
    two = answers(tmp_path, "two", draw.sample(rows, len(rows)), "--method", "majority")[2]
    assert two["agreement"] == one["agreement"]
    assert "both orders" in one["notes"][-1] and one["agreement"]["self"]["pairs"] == 90


# Choices without strength, as `export_votes` writes them


def choice(item: object, rater: str, label: str, **more: object) -> dict:
    return {"item": item, "rater": rater, "label": label} | more


def test_choices_among_graded_votes_are_directions_on_a_scale_of_their_own(tmp_path) -> None:
    rows = graded_rows()
    source = [choice(item, "file", "first", kind="source") for item in range(20)]
    source += [choice(item, "file", "second", kind="source") for item in range(20, 30)]
    source += [
        choice("lone", "file", "first", kind="source"),
        choice(31, "r1", "both_bad"),
        choice(32, "eve", "cannot_judge"),
    ]
    without, _, _ = answers(tmp_path, "without", rows, "--method", "graded", "--variant", "plain")
    items, raters, report = answers(
        tmp_path, "with", source + rows, "--method", "graded", "--variant", "plain"
    )
    assert report["choices_without_strength"] + report["votes"] >= len(rows) + len(source) - 2
    assert any("votes have no strength" in note for note in report["notes"])
    assert any("1 lines say cannot_judge" in note for note in report["notes"])
    before, after = ({row["item"]: row for row in some} for some in (without, items))
    assert set(after) == {*before, "lone"}
    assert after["lone"]["label"] == "first" and after["lone"]["votes"] == 1
    assert np.mean([after[n]["strength"] - before[n]["strength"] for n in range(20)]) < 0
    assert next(row for row in raters if row["rater"] == "file")["votes"] == 31
    assert "eve" not in {row["rater"] for row in raters}


def test_choices_count_for_no_other_method_and_change_no_held_out_vote(tmp_path) -> None:
    rows = graded_rows()
    source = [choice(item, "file", "tie" if item % 3 else "first") for item in range(40)]
    path = tmp_path / "v.jsonl"
    one, two = chosen_of(path, rows), chosen_of(path, random.Random(0).sample(rows + source, len(rows) + 40))
    assert two.held_out == one.held_out
    assert two.trials[0].name == "majority"
    with_choices = ballot_read(path, {}, None, lambda size: None)
    told = answer(with_choices, "majority").probabilities
    assert told == pytest.approx(
        answer(ballot_read(written(path, rows), {}, None, lambda size: None), "majority").probabilities
    )
    renamed = [row | {"rater": f"x{99 - len(row['rater'])}{row['rater']}"} for row in (source + rows)[::-1]]
    assert [trial.losses for trial in chosen_of(path, renamed).trials] == [
        trial.losses for trial in two.trials
    ]


def test_who_cannot_judge_gives_no_category(tmp_path) -> None:
    rows = [*label_rows(), *(choice(f"i{n}", "eve", "cannot_judge") for n in range(5))]
    items, raters, report = answers(tmp_path, "v", rows, "--method", "majority")
    assert set(items[0]["probabilities"]) == set("xyz") and report["categories"] == ["x", "y", "z"]
    assert "eve" not in {row["rater"] for row in raters}
    assert "5 lines say cannot_judge, which is no vote." in report["notes"]


@pytest.mark.parametrize("at_end", [True, False])
@pytest.mark.parametrize(
    ("line", "words"),
    [
        (choice("a", "r", "x"), 'has the label "x" in a file of graded votes'),
        (choice("a", "r", "first", first_shown_first=1), "`first_shown_first` must be"),
        (choice("a", "r", "first", first="m"), "`first` and `second` must both be"),
    ],
)
def test_what_is_no_choice_is_a_bad_line_wherever_it_stands(tmp_path, capsys, line, words, at_end) -> None:
    rows = [GOOD, GOOD | {"rater": "s"}]
    votes = written(tmp_path / "v.jsonl", [*rows, line] if at_end else [line, *rows])
    assert run(votes, "--steps", 5, "--out", tmp_path / "out") == 2
    assert capsys.readouterr().err.startswith(f"Line {3 if at_end else 1}: {words}")


# Refusals


def free_texts(categories: int, raters: int) -> list[dict]:
    return [choice(f"i{n}", f"r{n % raters}", f"text {n}") for n in range(categories)]


GOOD = {"item": "a", "rater": "r", "vote": 1}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "is not JSON"),
        ("[1]", "must be an object"),
        ({"rater": "r", "vote": 1}, "`item` must be"),
        ({"item": "a", "rater": None, "vote": 1}, "`rater` must be"),
        ({"item": "a", "rater": "r"}, "it has neither"),
        ({"item": "a", "rater": "r", "vote": 1, "label": "x"}, "one of them"),
        ({"item": "a", "rater": "r", "label": "x"}, 'has the label "x" in a file of graded votes'),
        ({"item": "a", "rater": "r", "vote": 1.5}, "must be a whole number"),
        ({"item": "a", "rater": "r", "vote": True}, "must be a whole number"),
        ({"item": "a", "rater": "r", "vote": 3}, "must lie in -2..2"),
        ('{"item": "a", "rater": "r", "vote": NaN}', "is not JSON"),
        (GOOD | {"first_shown_first": "yes"}, "`first_shown_first` must be"),
        (GOOD | {"first": "m"}, "must both be"),
        (GOOD | {"first": "m", "second": "m"}, "are the same"),
        (GOOD | {"kind": 3}, "`kind` must be"),
        (GOOD | {"at": "soon"}, "`at` must be a time"),
        (GOOD | {"family": {"a": 1}}, "`family` must be"),
        (GOOD | {"item": 123456789012345678901234}, "`item` is a number too large"),
        (GOOD | {"rater": 9007199254740993.0}, "`rater` is a number too large"),
        (GOOD | {"first": -(10**30), "second": "m"}, "`first` is a number too large"),
    ],
)
def test_a_bad_line_is_one_sentence_and_nothing_is_written(tmp_path, capsys, line, words) -> None:
    votes = written(tmp_path / "votes.jsonl", [GOOD, line, GOOD | {"rater": "s"}])
    assert run(votes, "--steps", 5, "--out", tmp_path / "out") == 2
    told = capsys.readouterr().err.strip()
    assert told.startswith("Line 2: ") and words in told
    assert told.count("\n") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["votes.jsonl"]


def test_a_number_is_one_name_however_it_is_written(tmp_path) -> None:
    rows = [
        choice(item, rater, label)
        for item, rater, label in ((3, 1, 0), (3.0, "1", "1"), ("3", 2, 1), (4, 2, 0.0))
    ]
    ballot = ballot_read(written(tmp_path / "v.jsonl", rows), {}, None, lambda size: None)
    assert (len(ballot.items), len(ballot.raters), len(ballot.categories)) == (2, 2, 2)
    big = [choice(2**63 + n, n, n % 2) for n in range(4)]
    assert ballot_read(written(tmp_path / "v.jsonl", big), {}, None, lambda size: None).votes.n_items == 4


def test_every_bad_line_is_named_up_to_a_limit(tmp_path) -> None:
    votes = written(tmp_path / "votes.jsonl", [GOOD] + ["{"] * 30)
    with pytest.raises(BadLines) as caught:
        ballot_read(votes, {}, None, lambda size: None)
    assert caught.value.count == 30
    assert str(caught.value).splitlines()[-1] == "... and 10 more bad lines."


@pytest.mark.parametrize(
    ("rows", "words", "told"),
    [
        ([], [], "holds no votes"),
        ([GOOD | {"vote": 0}], [], "give it with --steps"),
        ([{"item": "a", "rater": "r", "label": "x"}], [], "at least two categories"),
        (label_rows(), ["--method", "graded"], "takes graded votes"),
        (label_rows(), ["--method", "davidson"], "needs `first` and `second`"),
        (label_rows(), ["--method", "best"], "There is no method"),
        (label_rows(), ["--method", "majority", "--variant", "plain"], "--variant is of the graded model"),
        (graded_rows(), ["--method", "graded", "--variant", "completions"], "needs the first and second"),
        (label_rows(), ["--map", "thing=x"], "--map knows the columns"),
        (label_rows(), ["--map", "item"], "--map takes"),
        (label_rows(), ["--map", "item=item,item=rater"], "--map gives item twice"),
        (label_rows(), ["--map", "item=rater"], "reads both item and rater from 'rater'"),
        (label_rows(), ["--map", "kind=nada,family=label"], "reads both label and family from 'label'"),
        (label_rows(), ["--map", "first_shown_first=nope,kind=nada"], "kind from 'nada', which no line has"),
        (free_texts(1_001, 1), [], "'label' the right column?"),
        (
            free_texts(900, 30),
            ["--method", "dawid-skene"],
            "dawid_skene keeps a number for each of 30 raters",
        ),
        (label_rows(), ["--steps", 1], "--steps must lie"),
        (label_rows(), ["--gold", "/nowhere"], "There is no file"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(tmp_path, capsys, rows, words, told) -> None:
    votes = written(tmp_path / "votes.jsonl", rows)
    assert run(votes, *words, "--out", tmp_path / "out") == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_broken_gzip_and_bad_gold_are_refused(tmp_path, capsys) -> None:
    broken = tmp_path / "votes.jsonl.gz"
    broken.write_bytes(gzip.compress(b'{"item": 1}' * 500)[:40])
    assert run(broken, "--out", tmp_path / "out") == 2
    assert "cannot be read" in capsys.readouterr().err
    votes = written(tmp_path / "votes.jsonl", graded_rows())
    gold = written(tmp_path / "gold.jsonl", [{"item": 1, "label": "left"}])
    assert run(votes, "--gold", gold, "--out", tmp_path / "out") == 2
    assert capsys.readouterr().err.startswith("Gold line 1: `label` must be first, tie or second")


@pytest.mark.parametrize("rows", [graded_rows(), label_rows()])
@pytest.mark.parametrize("label", [[], {}, [1], ""])
def test_a_gold_label_that_is_no_label_is_a_bad_line(tmp_path, capsys, rows, label) -> None:
    votes = written(tmp_path / "votes.jsonl", rows)
    gold = written(tmp_path / "gold.jsonl", [{"item": rows[0]["item"], "label": label}])
    assert run(votes, "--gold", gold, "--out", tmp_path / "out") == 2
    assert capsys.readouterr().err.startswith("Gold line 1: `label` must be a text, a number")


@pytest.mark.parametrize("option", ["votes", "--gold"])
def test_an_answer_never_replaces_what_it_is_made_of(tmp_path, capsys, option) -> None:
    votes = written(tmp_path / ("items.jsonl" if option == "votes" else "votes.jsonl"), label_rows())
    gold = written(
        tmp_path / ("gold.jsonl" if option == "votes" else "items.jsonl"), [{"item": "i0", "label": "x"}]
    )
    before = votes.read_bytes(), gold.read_bytes()
    out = tmp_path / "link"
    out.symlink_to(tmp_path)
    assert run(votes, "--gold", gold, "--method", "majority", "--out", out) == 2
    assert "name another --out" in capsys.readouterr().err
    assert (votes.read_bytes(), gold.read_bytes()) == before
    assert not (tmp_path / "report.json").exists()


def test_a_second_run_replaces_the_files_and_nothing_else(tmp_path) -> None:
    votes = written(tmp_path / "votes.jsonl", label_rows())
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("kept")
    assert run(votes, "--method", "majority", "--out", out) == 0
    assert run(votes, "--method", "glad", "--out", out) == 0
    assert json.loads((out / "report.json").read_text())["method"] == "glad"
    assert (out / "mine.txt").read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "votes.jsonl"]


def test_column_maps() -> None:
    assert column_map("label=vote") == {"label": "vote"}
    assert column_map("item=id,gold.item=id") == {"item": "id", "gold.item": "id"}
    assert column_map("item=a, gold.label=b=c") == {"item": "a", "gold.label": "b=c"}


def test_it_starts_as_a_module_without_django_or_torch(tmp_path) -> None:
    votes = written(tmp_path / "votes.jsonl", label_rows())
    code = (
        "import runpy, sys; sys.argv[1:] = sys.argv[1:]\n"
        "try: runpy.run_module('pipelines.labels', run_name='__main__', alter_sys=True)\n"
        "except SystemExit as end: code = end.code\n"
        "print(code, [name for name in ('django', 'torch', 'psycopg', 'celery') if name in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(votes), "--method", "majority", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 []"
