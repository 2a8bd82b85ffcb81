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


class AnnotationError(Exception):
    """`str()` is the sentence for people. `retryable` says whether the same call may succeed later."""

    retryable = False


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
