"""A joint question is drawn as a pairwise one; the page shows each completion under its own prompt."""

from __future__ import annotations

from annotation.feedback.pairwise.form import question_drawn  # noqa: F401 - the same rows under this type's name
