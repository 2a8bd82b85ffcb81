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

from annotation.feedback import FEEDBACK_TYPES, SIDES, answer_module
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

    @property
    def place(self) -> str:
        """The value chosen; empty for none."""
        return next((choice.value for choice in self.choices if choice.chosen), "")


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

    def answer_said(
        self, question: Mapping[str, Any], answer: Mapping[str, Any], option_order: Sequence[int]
    ) -> list[str]:
        """The parts of an answer in words; only types that cannot be drawn without texts (`NEEDS_TEXTS`) have it."""
        ...


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
    asked = _asked(questions, shown.sides)
    drawn = [_question_drawn(question, side, shown, fields) for question, side in asked]
    rows = [row for one in drawn for row in one.rows]
    taken = {row.jump for row in rows} | {choice.keys[:1] for row in rows for choice in row.choices}
    keys = [key for key in REASON_KEYS if key not in taken]
    blocks = [_block(question, side, one, fields, keys) for (question, side), one in zip(asked, drawn, strict=True)]
    alone = len(rows) == 1 and rows[0].look in {"scale", "choices"} and not blocks[0].has_sentence
    # Only a choice between completions: its row has the question's own field, a rating's has that of its aspect.
    in_dock = len(blocks) == 1 and [(row.name, row.look) for row in rows] == [(blocks[0].name, "scale")]
    return Form(blocks, alone or in_dock, in_dock)


def _asked(questions: Sequence[Mapping[str, Any]], sides: str) -> list[tuple[Mapping[str, Any], str]]:
    """Each question with the side that it is asked of, or "", in the order in which they are answered."""
    return [
        (question, side)
        for run in _runs(questions)
        for side in (sides if run[0]["subject"] == "completion" else [""])
        for question in run
    ]


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
    return _form_module(question).question_drawn(question, _name(question, side), side, shown, fields)


def _form_module(question: Mapping[str, Any]) -> FormModule:
    module: Any = import_module(f"{FEEDBACK_TYPES[question['type']].path}.form")
    return module  # type: ignore[no-any-return]  # named as text in the table


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


# Longest name of a row, such as a principle's, that the words of an answer repeat.
NAME_LENGTH = 40


def answer_words(
    questions: Sequence[Mapping[str, Any]], answers: Mapping[str, Any], option_order: Sequence[int]
) -> str:
    """An answer in one line, as its annotator saw it: of one row its word, of more "A: Helpful 4, Clear 3; B: ..."."""
    return "; ".join(", ".join(parts) for parts in answer_parts(questions, answers, option_order)) or "–"


def answer_parts(
    questions: Sequence[Mapping[str, Any]], answers: Mapping[str, Any], option_order: Sequence[int]
) -> list[list[str]]:
    """The same in parts: of each question, or each completion it is asked of, all that was said, in the form's order."""
    sides = SIDES[: len(option_order)]
    said = []
    for question, side in _asked(questions, sides):
        answer = answers.get(question["key"])
        given = answer["completions"][option_order[sides.index(side)]] if answer and side else answer
        if given and (parts := _said(question, given, side, option_order)):
            letter = f"{side}: " if len(sides) > 1 and side else ""
            said.append([letter + parts[0], *parts[1:]])
    return said


def _said(
    question: Mapping[str, Any], given: Mapping[str, Any], side: str, option_order: Sequence[int]
) -> list[str]:
    if given.get("outcome") == CANNOT_JUDGE:
        return [_("Cannot judge")]
    if answer_module(question["type"]).NEEDS_TEXTS:
        return _form_module(question).answer_said(question, given, option_order)
    return rows_said(question, given, option_order, side)


def rows_said(
    question: Mapping[str, Any], given: Mapping[str, Any], option_order: Sequence[int], side: str = ""
) -> list[str]:
    """The words of an answer by the rows that would be drawn with it, which takes no texts."""
    fields = answer_module(question["type"]).answer_to_form(question, given, _name(question, side), option_order)
    drawn = _question_drawn(question, side, Shown([("plain", "")] * len(option_order)), fields)
    if all(row.look == "place" for row in drawn.rows):
        return [order_words({row.label: int(row.place) for row in drawn.rows})]
    outcomes = [choice.word for choice in drawn.outcomes if choice.chosen]
    return outcomes + [_row_words(row) for row in drawn.rows if row.said]


def _row_words(row: Row) -> str:
    if not row.label:
        return row.said
    return f"{cut(row.label, NAME_LENGTH)}{' ' if row.said.lstrip('-').isdecimal() else ': '}{row.said}"


def order_words(places: Mapping[str, int]) -> str:
    """Letters by their places, best first.

    Example:
        >>> order_words({"A": 4, "B": 1, "C": 1, "D": 3})
        'B = C > D > A'
    """
    groups = [[letter for letter, at in places.items() if at == place] for place in sorted(set(places.values()))]
    return " > ".join(" = ".join(letters) for letters in groups)


# How many marks of one completion its words name.
MOST_MARKS = 6


def marks_said(marks: Sequence[str], nothing: str = "") -> list[str]:
    """The words of marks: the first few and how many more there are; `nothing` where there are none."""
    more = len(marks) - MOST_MARKS
    if more <= 0:
        return list(marks) or [nothing or _("Nothing marked")]
    return [*marks[:MOST_MARKS], ngettext("{n} more", "{n} more", more).format(n=more)]


def cut(text: str, length: int) -> str:
    """A text in one line, shortened to so many characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1].rstrip()}…"
