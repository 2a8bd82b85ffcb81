"""Real annotation forms rebuilt, and their files turned into rows of the shape `annotated`. One form and one function each.

A converter yields every row, also one whose compared text the file does not hold: refusing it is the importer's work.
`left_out` counts what the source says and no row can.
"""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Record = dict[str, Any]
CATEGORIES_MQM = [
    "Accuracy", "Fluency", "Locale convention", "Non-translation!", "Other", "Source issue", "Style", "Terminology",
]  # fmt: skip


@dataclass(frozen=True)
class RealForm:
    """`fields`: of each question, as the editor posts them; `rows`: from the data folder to rows, counting what is left out."""

    fields: Callable[[Path], list[dict[str, str]]]
    rows: Callable[[Path, Counter[str]], Iterator[Record]]


def lines(path: Path) -> list[Record]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def question(key: str, type_key: str, title: str, subject: str, **fields: str) -> dict[str, str]:
    return {"key": key, "type": type_key, "title": title, "subject": subject, **fields}


def choice(step: int) -> Record:
    return {"outcome": "tie" if step == 0 else "first" if step < 0 else "second", "vote": step}


# tulu1-human-eval: a preference in five steps, and whether each completion is acceptable

TULU_STEPS = {
    "a-is-better": -2, "a-is-slightly-better": -1, "tie": 0, "b-is-slightly-better": 1, "b-is-better": 2,
}  # fmt: skip


def tulu_fields(folder: Path) -> list[dict[str, str]]:
    return [
        question(
            "preference", "pairwise", "Which completion is better?", "comparison", steps="5", required="1",
            words="slightly better\nbetter",
        ),
        question("acceptable", "binary", "Is it acceptable?", "completion", words="yes_no", required="1"),
    ]  # fmt: skip


def tulu_rows(folder: Path, left_out: Counter[str]) -> Iterator[Record]:
    for record in lines(folder / "tulu1-human-eval" / "annotations.jsonl.gz"):
        labels = [{"label": record[f"completion_{side}_is_acceptable"]} for side in "ab"]
        yield {
            "prompt": record["prompt"],
            "completions": [
                {"id": side, "text": record[f"completion_{side}"], "model": record[f"model_{side}"]} for side in "ab"
            ],
            "annotations": [{
                "rater": record["evaluator"], "at": f"{record['timestamp']}Z", "shown_order": ["a", "b"],
                "answers": {
                    "preference": choice(TULU_STEPS[record["preference"]]), "acceptable": {"completions": labels}
                },
            }],
        }  # fmt: skip


# squality-human-eval: three rankings, three ratings of 0 to 100, passages with comments

SQUALITY = {"correctness": "Correctness", "selection": "Coverage", "overall": "Overall"}


def squality_fields(folder: Path) -> list[dict[str, str]]:
    rankings = [
        question(f"{key}_rank", "listwise", f"{label}: order the summaries", "comparison", method="rank", required="1")
        for key, label in SQUALITY.items()
    ]
    aspects = "\n".join(f"{key} = {label}" for key, label in SQUALITY.items())
    return [
        *rankings,
        question(
            "rating", "rating", "Rate this summary", "completion", low="0", high="100", slider="1", aspects=aspects,
            required="1",
        ),
        question("passages", "spans", "Mark passages and say why", "completion"),
    ]  # fmt: skip


def squality_rows(folder: Path, left_out: Counter[str]) -> Iterator[Record]:
    for story in lines(folder / "squality-human-eval" / "all-responses-part1.jsonl.gz"):
        for number, systems in story["questions"].items():
            by_rater: dict[str, dict[str, Record]] = defaultdict(dict)
            for system, said in systems.items():
                for review in said["reviews"]:
                    by_rater[review["worker_id"]][system] = review
            yield {
                "prompt": {"name": f"story {story['passage-id']}, question {number}"},
                "completions": [
                    {"id": system, "text": said["response"], "model": system} for system, said in systems.items()
                ],
                "annotations": [
                    {"rater": rater, "answers": squality_answers(systems, reviews, left_out)}
                    for rater, reviews in by_rater.items()
                ],
            }


def squality_answers(systems: Record, reviews: dict[str, Record], left_out: Counter[str]) -> Record:
    ordered = [reviews[system] for system in systems]
    rankings = {f"{key}_rank": {"ranks": [review[f"{key}-rank"] for review in ordered]} for key in SQUALITY}
    ratings = [{"values": {key: review[f"{key}-rating"] for key in SQUALITY}} for review in ordered]
    passages = [
        {"spans": [span for mark in review["annotations"] if (span := passage(systems[s]["response"], mark, left_out))]}
        for s, review in zip(systems, ordered, strict=True)
    ]
    return {**rankings, "rating": {"completions": ratings}, "passages": {"completions": passages}}


def passage(text: str, mark: Record, left_out: Counter[str]) -> Record | None:
    """Where a marked passage stands, spaces apart; the first place where it stands more than once."""
    words = mark["selection"].split()
    found = re.search(r"\s+".join(map(re.escape, words)), text) if words else None
    if found is None:
        left_out["passages that are not in the summary"] += 1
        return None
    return {"start": found.start(), "end": found.end(), "comment": "; ".join(mark["annotation"])[:2000]}


# wmt23-sxs-mqm-zhen: error passages with category and severity; ten systems, so two comparisons of five a segment


def wmt_fields(folder: Path) -> list[dict[str, str]]:
    return [
        question(
            "errors", "spans", "Mark every error", "completion", categories="\n".join(CATEGORIES_MQM),
            severities="Minor\nMajor", required="1",
        )
    ]  # fmt: skip


def wmt_rows(folder: Path, left_out: Counter[str]) -> Iterator[Record]:
    segments: dict[str, dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in lines(folder / "wmt23-sxs-mqm-zhen" / "ratings.jsonl.gz"):
        segments[record["globalSegId"]][record["system"]].append(record)
    for systems in segments.values():
        names = sorted(systems)
        for half in (names[:5], names[5:]):
            yield wmt_row({name: systems[name] for name in half}, left_out)


def wmt_row(systems: dict[str, list[Record]], left_out: Counter[str]) -> Record:
    texts: dict[str, str] = {}
    for system, records in systems.items():
        text = Counter(bare(record["target"]) for record in records).most_common(1)[0][0]
        if text in texts.values():
            left_out["translations equal to another of their comparison"] += 1
        else:
            texts[system] = text
    raters = sorted({record["rater"] for records in systems.values() for record in records})
    source = bare(next(iter(systems.values()))[0]["source"])
    return {
        "prompt": source,
        "completions": [{"id": system, "text": text, "model": system} for system, text in texts.items()],
        "annotations": [
            {
                "rater": rater,
                "answers": {"errors": {"completions": [
                    {"spans": [s for r in systems[system] if r["rater"] == rater and (s := error(r, text, left_out))]}
                    for system, text in texts.items()
                ]}},
            }
            for rater in raters
        ],
    }  # fmt: skip


def bare(text: str) -> str:
    return text.replace("<v>", "").replace("</v>", "")


def error(record: Record, text: str, left_out: Counter[str]) -> Record | None:
    """A marked error; an omission, which is marked in the source, is one of the whole translation."""
    if record["severity"] not in {"Minor", "Major"}:
        if record["severity"] != "No-error":
            left_out["planted attention checks"] += 1
        return None
    start, end = record["target"].find("<v>"), record["target"].find("</v>") - 3
    if bare(record["target"]) != text or start >= end > -1:
        left_out["errors without a passage in the translation"] += 1
        return None
    comment = "" if start >= 0 else record["source"]
    if start < 0:
        start, end = 0, len(text)
    category = record["category"].partition("/")[0]
    return {
        "start": start, "end": end, "category": category, "severity": record["severity"],
        "comment": (record["category"] + (f": {comment}" if comment else ""))[:2000],
    }  # fmt: skip


# imageinwords-sxs: five criteria in five steps

CRITERIA = {
    "comprehensiveness": "Comprehensiveness", "specificity": "Specificity", "hallucination": "Hallucination",
    "tldr": "First few line(s) as tldr", "human_like": "Human Like",
}  # fmt: skip
SIDES_OF = {"iiw-human-sxs-iiw-p5b": "IIW-P5B", "iiw-human-sxs-gpt4v": "GPT-4V"}


def images_fields(folder: Path) -> list[dict[str, str]]:
    return [
        question(
            key, "pairwise", label, "comparison", steps="5", words="marginally better\nsubstantially better", required="1"
        )
        for key, label in CRITERIA.items()
    ]


def images_rows(folder: Path, left_out: Counter[str]) -> Iterator[Record]:
    for record in lines(folder / "imageinwords-sxs" / "iiw400.jsonl.gz"):
        for field, other in SIDES_OF.items():
            if field not in record:
                continue
            answers = {key: choice(images_step(record[field][f"metrics/{label}"])) for key, label in CRITERIA.items()}
            yield {
                "prompt": {"name": f"image {record['image/key']}"},
                "completions": [
                    {"id": "IIW-Human", "text": record["IIW"], "model": "IIW-Human"},
                    {"id": other, "text": record.get(other), "model": other},
                ],
                "annotations": [{"answers": answers}],
            }


def images_step(words: str) -> int:
    if words == "Neutral":
        return 0
    step = 2 if "substantially" in words else 1
    return -step if words.startswith("IIW-Human") else step


# ttcw: fourteen yes/no tests of one story, each with an explanation


def ttcw_fields(folder: Path) -> list[dict[str, str]]:
    return [
        question(
            f"test_{test['ttcw_idx']}", "binary", test["question"], "completion", words="yes_no", required="1",
            sentence="1", help=test["category"],
        )
        for test in lines(folder / "ttcw" / "tests.jsonl.gz")
    ]  # fmt: skip


def ttcw_rows(folder: Path, left_out: Counter[str]) -> Iterator[Record]:
    verdicts: dict[str, dict[int, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for verdict in lines(folder / "ttcw" / "expert_annotations.jsonl.gz"):
        verdicts[verdict["story_id"]][verdict["expert_idx"]].append(verdict)
    for story in lines(folder / "ttcw" / "stories.jsonl.gz"):
        is_link = re.fullmatch(r"https?://\S+", story["content"].strip())
        yield {
            "prompt": f"{story['story_name']}\n\n{story['plot']}",
            "completions": [
                {"id": story["story_id"], "text": None if is_link else story["content"], "model": story["story_id"][2:]}
            ],
            "annotations": [
                {
                    "rater": f"expert {expert}",
                    "answers": {
                        f"test_{one['ttcw_idx']}": {
                            "completions": [{"label": one["binary_verdict"].lower(), "sentence": one["explanation"]}]
                        }
                        for one in said
                    },
                }
                for expert, said in verdicts[story["story_id"]].items()
            ],
        }


# ukpconvarg1: the more convincing of two arguments, with a written reason

ARGUMENTS = {"a1": -1, "equal": 0, "a2": 1}


def arguments_fields(folder: Path) -> list[dict[str, str]]:
    return [
        question("convincing", "pairwise", "Which argument is more convincing?", "comparison", steps="3", required="1", sentence="1")
    ]


def arguments_rows(folder: Path, left_out: Counter[str]) -> Iterator[Record]:
    for pair in lines(folder / "ukpconvarg1" / "pairs.jsonl.gz"):
        yield {
            "prompt": f"{pair['title']}: {pair['arg1']['stance']}",
            "completions": [{"id": pair[side]["id"], "text": pair[side]["text"]} for side in ("arg1", "arg2")],
            "annotations": [
                {
                    "rater": vote["turkID"],
                    "at": vote["assignmentSubmitTime"].replace(" UTC", "").replace(" ", "T") + "Z",
                    "answers": {"convincing": {**choice(ARGUMENTS[vote["value"]]), "sentence": vote["reason"]}},
                }
                for vote in pair["mTurkAssignments"]
            ],
        }


REAL_FORMS: dict[str, RealForm] = {
    "tulu1-human-eval": RealForm(tulu_fields, tulu_rows),
    "squality-human-eval": RealForm(squality_fields, squality_rows),
    "wmt23-sxs-mqm-zhen": RealForm(wmt_fields, wmt_rows),
    "imageinwords-sxs": RealForm(images_fields, images_rows),
    "ttcw": RealForm(ttcw_fields, ttcw_rows),
    "ukpconvarg1": RealForm(arguments_fields, arguments_rows),
}
