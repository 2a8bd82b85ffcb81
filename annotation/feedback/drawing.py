"""How a form is drawn: blocks (a question, asked of the comparison or of one completion) of rows (one thing to answer).

Every type's `form.py` says which rows its question has; the page, the keys, the correction of an answer and the words of
the history know rows only. Rows are radios of one field unless `look` says otherwise. Fixed words go through gettext,
the words of a project's form do not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from annotation.feedback import FEEDBACK_TYPES, SIDES, answer_module, answers_to_form
from annotation.feedback.shared import CANNOT_JUDGE

# Keys of reasons, least those that the page or the form uses for something else.
REASON_KEYS = "qwertyiabc"


@dataclass(frozen=True)
class Choice:
    """One option of a row. `keys` pick it while the row has the cursor; `asks`: reasons are asked for after it."""

    value: str
    keys: str
    word: str
    side: str = ""
    pips: int = -1
    asks: bool = False
    chosen: bool = False
    cap: str = ""

    @property
    def dots(self) -> range:
        return range(max(0, self.pips))


@dataclass(frozen=True)
class Row:
    """`name`: the form's field. `group`: rows of which one answer settles all. `jump`: the key that goes to this row.

    `look`: `scale` (steps side by side), `choices` (words), `place` (a select), `slider`, `spans`, `segments`, `edit`.
    `text`: the step of a completion that is judged, shown in the completion and not in the panel; `is_message`: it is a
    message of a chat, as JSON.
    """

    name: str
    label: str
    look: str
    choices: Sequence[Choice] = ()
    needed: bool = True
    group: str = ""
    jump: str = ""
    text: str | None = None
    is_message: bool = False
    value: str = ""
    ends: Sequence[str] = ()
    low: int = 0
    high: int = 0

    @property
    def said(self) -> str:
        """The row's answer in words; empty for none."""
        if self.look in {"slider", "spans", "segments", "edit"}:
            return self.value
        return ", ".join(choice.word for choice in self.choices if choice.chosen)


@dataclass(frozen=True)
class Chip:
    value: str
    key: str
    chosen: bool


@dataclass(frozen=True)
class Drawn:
    """What a type's `form.py` returns. `outcomes` answer the whole question instead of its rows."""

    rows: Sequence[Row]
    outcomes: Sequence[Choice] = ()
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Block:
    """One question of one subject, ready to be drawn. `side`: the completion's letter; empty for the comparison.

    `inline`: its rows stand in the completion, at the steps that they speak of.
    """

    question: Mapping[str, Any]
    name: str
    side: str
    rows: Sequence[Row]
    outcomes: Sequence[Choice]
    chips: Sequence[Chip]
    has_sentence: bool
    sentence: str
    script: str
    template: str
    data: Mapping[str, Any]
    inline: bool = False

    @property
    def asks_always(self) -> bool:
        """Whether reasons may be given whatever was chosen: no choice asks for them in particular."""
        return not any(choice.asks for row in self.rows for choice in row.choices)

    @property
    def outcomes_in_row(self) -> bool:
        """Whether the outcomes stand beside the words of a row that has the question's own field."""
        return any(row.name == self.name and row.look == "choices" for row in self.rows)

    @property
    def outcome_look(self) -> str:
        """Outcomes that share the field of a row are its radios; alone, one that can be taken back."""
        return "radio" if any(row.name == self.name for row in self.rows) else "checkbox"


@dataclass(frozen=True)
class Shown:
    """What drawing needs of a comparison, in the order shown. `texts`: form and body of each completion."""

    texts: Sequence[tuple[str, str]]

    @property
    def sides(self) -> str:
        return SIDES[: len(self.texts)]


class FormModule(Protocol):
    def question_drawn(
        self, question: Mapping[str, Any], name: str, side: str, shown: Shown, fields: Mapping[str, str]
    ) -> Drawn: ...


@dataclass(frozen=True)
class Form:
    """A whole form. `goes_on_key`: one row and nothing more, so that a key is the whole answer."""

    blocks: Sequence[Block]
    goes_on_key: bool
    in_dock: bool

    @property
    def in_panel(self) -> bool:
        """Whether any question stands beside the completions: neither in the dock nor inside them."""
        return not self.in_dock and not all(block.inline for block in self.blocks)

    @property
    def names_completions(self) -> bool:
        """Whether letters that name a completion are keys of this form; tools of the same letter then take Shift."""
        rows = [row for block in self.blocks for row in block.rows]
        return any(row.look == "place" or any(c.keys[:1].isalpha() for c in row.choices) for row in rows)


def form_drawn(questions: Sequence[Mapping[str, Any]], shown: Shown, fields: Mapping[str, str]) -> Form:
    """The blocks of a form in the order in which they are answered: what is asked of one completion stays together.

    `fields` are those that a correction or a draft begins with, as `answers_to_form` gives them.
    """
    asked = [
        (question, side)
        for run in _runs(questions)
        for side in (shown.sides if run[0]["subject"] == "completion" else [""])
        for question in run
    ]
    drawn = [_question_drawn(question, side, shown, fields) for question, side in asked]
    rows = [row for one in drawn for row in one.rows]
    taken = {row.jump for row in rows} | {choice.keys[:1] for row in rows for choice in row.choices}
    keys = [key for key in REASON_KEYS if key not in taken]
    blocks = [_block(question, side, one, fields, keys) for (question, side), one in zip(asked, drawn, strict=True)]
    alone = len(rows) == 1 and rows[0].look in {"scale", "choices"} and not blocks[0].has_sentence
    in_dock = len(blocks) == 1 and [row.look for row in rows] == ["scale"]
    return Form(blocks, alone or in_dock, in_dock)


def _runs(questions: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    """Questions in order; neighbours that are both asked of each completion in one run."""
    runs: list[list[Mapping[str, Any]]] = []
    for question in questions:
        if runs and question["subject"] == "completion" and runs[-1][0]["subject"] == "completion":
            runs[-1].append(question)
        else:
            runs.append([question])
    return runs


def _name(question: Mapping[str, Any], side: str) -> str:
    return f"{question['key']}.{side}" if side else str(question["key"])


def _question_drawn(question: Mapping[str, Any], side: str, shown: Shown, fields: Mapping[str, str]) -> Drawn:
    module: FormModule = import_module(f"{FEEDBACK_TYPES[question['type']].path}.form")
    return module.question_drawn(question, _name(question, side), side, shown, fields)


def _block(
    question: Mapping[str, Any], side: str, drawn: Drawn, fields: Mapping[str, str], keys: Sequence[str]
) -> Block:
    name = _name(question, side)
    reasons = [str(reason) for reason in question.get("reasons") or []]
    given = fields.get(f"{name}.reasons", "").split("\n")
    return Block(
        question=question,
        name=name,
        side=side,
        rows=drawn.rows,
        outcomes=drawn.outcomes,
        chips=[
            Chip(reason, keys[place] if place < len(keys) else "", reason in given)
            for place, reason in enumerate(reasons)
        ],
        has_sentence=bool(reasons or question.get("sentence")),
        sentence=fields.get(f"{name}.sentence", ""),
        script=FEEDBACK_TYPES[question["type"]].script if drawn.data else "",
        template=f"{question['type']}/question.html",
        data=drawn.data,
    )


def cannot_judge(question: Mapping[str, Any], name: str, fields: Mapping[str, str]) -> list[Choice]:
    """The outcome that every type may offer."""
    if not question.get("cannot_judge"):
        return []
    return [Choice(CANNOT_JUDGE, "u", _("Cannot judge"), chosen=fields.get(name) == CANNOT_JUDGE)]


def answer_words(
    questions: Sequence[Mapping[str, Any]], answers: Mapping[str, Any], option_order: Sequence[int]
) -> str:
    """An answer in one line, as its annotator saw it: of one row its word, of more "A Helpful: 4; ...".

    Takes no texts, so of questions about steps, passages, segments and edits it says how much was answered.
    """
    short = [question for question in questions if not answer_module(question["type"]).NEEDS_TEXTS]
    said = []
    if short:
        fields = answers_to_form(short, answers, option_order)
        said = _words_of(form_drawn(short, Shown([("plain", "")] * len(option_order)), fields))
    said += [
        _counted(question, answers[question["key"]])
        for question in questions
        if question not in short and question["key"] in answers
    ]
    return "; ".join(said) or "–"


def _words_of(form: Form) -> list[str]:
    said = []
    for block in form.blocks:
        if outcome := next((choice.word for choice in block.outcomes if choice.chosen), ""):
            said.append(f"{block.side} {outcome}".strip())
            continue
        for row in block.rows:
            if row.said:
                said.append(": ".join(filter(None, [f"{block.side} {row.label}".strip(), row.said])))
    return said


def _counted(question: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    parts = [one for one in answer.get("completions", [answer]) if one]
    if all(one.get("outcome") == CANNOT_JUDGE for one in parts):
        return _("Cannot judge")
    marked = sum(len(one["spans"]) for one in parts if "spans" in one)
    if any("spans" in one for one in parts):
        return ngettext("{n} passage", "{n} passages", marked).format(n=marked)
    if any("segments" in one for one in parts):
        n = sum(len(one["segments"]) for one in parts if "segments" in one)
        return ngettext("{n} segment", "{n} segments", n).format(n=n)
    if any("distance" in one for one in parts):
        return _("Edited")
    steps = sum(len(one.get("labels", [])) or one.get("steps", 0) for one in parts)
    return ngettext("{n} step", "{n} steps", steps).format(n=steps) if steps else _("Answered")
