"""What a joint question can set: the same as a pairwise one."""

from __future__ import annotations

from annotation.feedback.pairwise.setup import SAMPLE, SETTINGS  # noqa: F401 - the same settings under this type's name

TITLE = "Which prompt is answered better?"
