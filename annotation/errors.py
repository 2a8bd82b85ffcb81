"""Errors of the annotation package.

    AnnotationError
    |- NotFound            nothing of that name here for this person
    |- Refused             the input or the state does not allow it
    |  |- FormRefused      an answer or a form does not fit
    |  |  `- QuestionRefused  one question of it, by number
    |  `- NotAllowed       the person's roles do not allow it
    |     `- SomebodyElse  the answer came from a page of another account
    |- Busy                the same call may succeed in a moment
    `- Conflict            somebody else was first
       |- AlreadyAnswered
       |- KeyReused        the same key came with another body
       `- KeptAsSurplus    stored, not counted
"""

from __future__ import annotations

import re
from collections.abc import Callable

PLACEHOLDER = re.compile(r"\{(\w+)[^{}]*\}")


def _(template: str) -> str:
    """Marks words that annotators may see for the catalogue. They are translated where they are shown, not here."""
    return template


class Phrase:
    """Words with values, some of which may be phrases again. `str()` is English, as logs and programs read it.

    Example:
        >>> str(Phrase("{what} must be {low} to 3.", what=Phrase("The start"), low=1))
        'The start must be 1 to 3.'
        >>> Phrase("Step {n} needs {word!r}.", n=2, word="bad").said({"Step {n} needs {word!r}.": "{word!r}: {n}"}.get)
        "\u2068'bad'\u2069: \u20682\u2069"
    """

    def __init__(self, template: str, **values: object) -> None:
        self.template, self.values = template, values

    def __str__(self) -> str:
        # A sentence that brings no values was put together before, and may hold braces of its own.
        return self.template.format(**self.values) if self.values else self.template

    def said(self, translate: Callable[[str], str]) -> str:
        """In another language. Values are isolated: letters of another direction would else disturb the sentence."""
        template = translate(self.template)
        if not self.values:
            return template
        values = {name: one.said(translate) if isinstance(one, Phrase) else one for name, one in self.values.items()}
        return PLACEHOLDER.sub(self._isolated, template).format(**values)

    def _isolated(self, found: re.Match[str]) -> str:
        return found[0] if isinstance(self.values[found[1]], Phrase) else f"\u2068{found[0]}\u2069"


class AnnotationError(Exception):
    """`phrase` is the sentence for people, and `str()` its English. `retryable`: whether the same call may succeed later."""

    retryable = False

    def __init__(self, template: str = "", **values: object) -> None:
        self.phrase = Phrase(template, **values)
        super().__init__(str(self.phrase))


class NotFound(AnnotationError):
    pass


class Refused(AnnotationError):
    pass


class FormRefused(Refused):
    pass


class QuestionRefused(FormRefused):
    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number


class NotAllowed(Refused):
    pass


class SomebodyElse(NotAllowed):
    pass


class Conflict(AnnotationError):
    pass


class AlreadyAnswered(Conflict):
    pass


class KeyReused(Conflict):
    pass


class KeptAsSurplus(Conflict):
    def __init__(self, message: str, annotation_id: int) -> None:
        super().__init__(message)
        self.annotation_id = annotation_id


class Busy(AnnotationError):
    retryable = True
