"""Joint answers are pairwise answers about two whole prompt-completion pairs. Source: DOVE, Bansal et al. 2024."""

from __future__ import annotations

from annotation.feedback.pairwise.answer import (  # noqa: F401 - the same rules under this type's name
    NEEDS_TEXTS,
    SIZES,
    SUBJECTS,
    answer_check,
    answer_from_form,
    answer_placed,
    answer_summary,
    answer_to_form,
    question_check,
)
