"""Errors of the pipelines: one base class, one class a cause, the facts as attributes.

Wording: what arrived, what was expected, what to do next. `retryable` says whether trying again can heal it.
"""

from __future__ import annotations


class PipelineError(Exception):
    """Base of all errors that the pipelines raise on purpose; `str()` of one is a sentence for people."""

    retryable: bool = False
