"""Errors of the pipelines package.

PipelineError
|- InputRefused        what came in does not fit; nothing was stored
|- NothingToDo         the call is valid and selects nothing
|- MissingExtra        the machine-learning extra is not installed
|- JobFailed           a job ended with an error that is nobody's input
|- Cancelled           a person asked for it
|- Fenced              somebody else has this work now; nothing of it was stored
`- Busy                try again later (retryable)
"""

from __future__ import annotations


class PipelineError(Exception):
    """`str()` is the sentence for people. `retryable` says whether the same call may succeed later."""

    retryable = False


class InputRefused(PipelineError):
    pass


class NothingToDo(PipelineError):
    pass


class MissingExtra(PipelineError):
    pass


class JobFailed(PipelineError):
    """Starting it again may help: what was done is kept."""


class Cancelled(PipelineError):
    pass


class Fenced(PipelineError):
    pass


class Busy(PipelineError):
    retryable = True
