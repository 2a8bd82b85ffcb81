"""The texts of a comparison, for the pages that show it whole."""

from __future__ import annotations

from annotation.errors import NotFound
from annotation.models import Comparison, Project
from annotation.selectors.judging import TextShown


def comparison_texts(*, project: Project, comparison_id: int) -> tuple[TextShown, list[TextShown]]:
    """The prompt and the completions in stored order. Two queries."""
    found = (
        Comparison.objects.filter(project=project, pk=comparison_id).select_related("prompt__text").first()
    )
    if found is None:
        raise NotFound("There is no such comparison in this project.")
    places = found.places.select_related("completion__text").order_by("position")
    texts = [place.completion.text for place in places]
    prompt = found.prompt.text
    return TextShown(prompt.form, prompt.body), [TextShown(text.form, text.body) for text in texts]
