"""Setting a project up: its form in an editor, with a preview of the annotator's page. Works without script.

Every button of the editor posts the whole form; `do` says which it was. What was typed is drawn again as it was typed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.clickjacking import xframe_options_sameorigin

from annotation.errors import AnnotationError, FormRefused, Refused
from annotation.feedback import FEEDBACK_TYPES, sizes_taken, sizes_words
from annotation.feedback.draft_order import Draft, draft_moved, draft_removed
from annotation.feedback.setup import (
    Fault,
    draft_add,
    draft_drawn,
    draft_faults,
    draft_from,
    draft_questions,
    draft_read,
    sample_size,
)
from annotation.feedback.templates import TEMPLATES
from annotation.models import GuidelineRevision, Project
from annotation.selectors import overview
from annotation.selectors.judging import Judgeable, TextShown, guidelines_current
from annotation.services import projects as project_services
from webapp.requests import Request
from webapp.views import annotate
from webapp.views.project import conditions_read, whole_number

FIRST_TEMPLATE = "pairwise"
# The conditions under which people judge, as a new project has them.
BEGINNING = {name: str(value) for name, value in asdict(project_services.Conditions()).items()}
# What of a new project is a whole number, in words.
NUMBERS = {
    "wanted": "Answers wanted",
    "lease_minutes": "Minutes of a lease",
    **{name: words for name, (words, *_) in project_services.CONDITIONS.items()},
}
IDS = {"lease_minutes": "lease"}
# The preview may stand in a frame of this site's own pages. It runs the annotator's own scripts, and can send nothing:
# neither a form nor a script gets anywhere.
PREVIEW_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; media-src 'self'; "
    "connect-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
)
MOST_SAMPLE = 20_000
SAMPLES = ("sample_prompt", "sample_context", "sample_a", "sample_b", "sample_c")
SAMPLE_PROMPT = "How long should I boil an egg so that the yolk stays soft?"
SAMPLE_PROMPTS = (SAMPLE_PROMPT, "Until when is an egg soft in the middle?")
SAMPLE_CONTEXT = "The reader is ten years old and cooks for the first time."
SAMPLE_COMPLETIONS = (
    "**Six minutes** from the moment the water boils.\n\nThen put the egg into cold water for a minute, so that it stops"
    " cooking.",
    "It depends on the size:\n\n- medium: 5 to 6 minutes\n- large: 6 to 7 minutes\n\nCold water afterwards makes it easier"
    " to peel.",
    "Boil it for about ten minutes and check whether it is done.",
)


@dataclass(frozen=True)
class Outcome:
    """What a post of the editor leads to: a draft to go on with, and where the focus goes; or all that does not fit.

    A fault without a place and with a field is about that field of the project.
    """

    draft: Draft
    focus: int | None = None
    faults: tuple[Fault, ...] = ()


def project_create(request: Request) -> HttpResponse:
    """The set-up page. `?template=KEY` begins from another form; a post without `do` creates the project."""
    if request.method == "GET":
        template = _template(request.GET.get("template", FIRST_TEMPLATE))
        draft = draft_from(TEMPLATES[template].questions)
        values = {"wanted": "1", "lease_minutes": "15", **BEGINNING}
        return _page(request, "project/new.html", values, Outcome(draft), template)
    values = _values(request, "title", "slug", "guidelines", *NUMBERS)
    outcome = _edited(request)
    if not request.POST.get("do") and not outcome.faults:
        outcome = replace(outcome, faults=(*_project_faults(request, values), *draft_faults(outcome.draft)))
    if not request.POST.get("do") and not outcome.faults:
        try:
            made = project_services.project_create(
                slug=values["slug"].strip(),
                title=values["title"].strip(),
                questions=draft_questions(outcome.draft),
                guidelines=values["guidelines"],
                wanted=int(values["wanted"]),
                lease_minutes=int(values["lease_minutes"]),
                conditions=conditions_read(request.POST),
                created_by=request.user,
            )
            return redirect("project", made.slug)
        except AnnotationError as refused:
            # Somebody took the name in this very moment.
            outcome = _refused(outcome.draft, refused)
    return _page(request, "project/new.html", values, outcome, request.POST.get("template", FIRST_TEMPLATE))


def form_edit(request: Request, slug: str) -> HttpResponse:
    """The form of a project; saving makes a new revision, answers so far keep theirs."""
    if request.method == "GET":
        draft = draft_from(overview.questions_of([request.project]).get(request.project.pk, []))
        return _page(request, "project/form_edit.html", {}, Outcome(draft))
    outcome = _edited(request)
    if not request.POST.get("do") and not outcome.faults:
        outcome = replace(outcome, faults=tuple(draft_faults(outcome.draft)))
    if not request.POST.get("do") and not outcome.faults:
        try:
            made = project_services.form_change(
                project=request.project, questions=draft_questions(outcome.draft)
            )
            words = "Nothing changed; the form stays as it is."
            if made is not None:
                words = f"Form revision {made.number} is in force. Answers so far keep the revision they were given on."
                if unfit := overview.comparisons_unfit(project=request.project, questions=made.questions):
                    messages.warning(
                        request,
                        f"Comparisons that cannot be answered on this form: {unfit:,}. It takes"
                        f" {sizes_words(made.questions)}.",
                    )
            messages.success(request, words)
            return redirect("form_edit", slug)
        except AnnotationError as refused:
            outcome = _refused(outcome.draft, refused)
    return _page(request, "project/form_edit.html", {}, outcome)


# The editor


def _project_faults(request: Request, values: Mapping[str, str]) -> list[Fault]:
    """What of the project itself does not fit, beside its questions."""
    numbers: dict[str, int] = {}
    faults: dict[str, str] = {}
    asks = request.POST.keys() & project_services.CONDITIONS.keys()
    for name, words in NUMBERS.items():
        if name in project_services.CONDITIONS and not asks:
            continue
        try:
            numbers[name] = whole_number(values[name], words)
        except Refused as refused:
            faults[name] = str(refused)
    found = project_services.project_faults(
        slug=values["slug"].strip(), title=values["title"].strip(), guidelines=values["guidelines"], numbers=numbers
    )
    faults |= {name: str(fault) for name, fault in found.items()}
    return [Fault(None, name, faults[name]) for name in ("title", "slug", *NUMBERS, "guidelines") if name in faults]


def _values(request: Request, *names: str) -> dict[str, str]:
    return {name: request.POST.get(name, "").replace("\r\n", "\n") for name in names}


def _template(key: str) -> str:
    if key not in TEMPLATES:
        raise FormRefused(f"There is no template {key[:40]!r}; known are {', '.join(TEMPLATES)}.")
    return key


def _edited(request: Request) -> Outcome:
    """The posted draft after what its button does: `template`, `add`, `remove.N`, `up.N`, `down.N`, or nothing."""
    posted = {name: str(value) for name, value in request.POST.items()}
    draft = draft_read(posted)
    do, _, at = posted.get("do", "").partition(".")
    place = int(at) if at.isascii() and at.isdecimal() and len(at) < 4 else 0
    try:
        if do == "template":
            return Outcome(draft_from(TEMPLATES[_template(posted.get("template", ""))].questions), focus=0)
        if do == "add":
            return Outcome(draft_add(draft, posted.get("add_type", "")), focus=len(draft))
        if do == "remove":
            return Outcome(draft_removed(draft, place), focus=max(0, place - 1))
        if do in {"up", "down"}:
            moved = draft_moved(draft, place, -1 if do == "up" else 1)
            # Where it stands now: what goes with it may have carried it by more than one place.
            focus = place if moved is draft else next(at for at, one in enumerate(moved) if one is draft[place])
            return Outcome(moved, focus=focus)
    except FormRefused as refused:
        return _refused(draft, refused)
    return Outcome(draft)


def _refused(draft: Draft, refused: AnnotationError) -> Outcome:
    return Outcome(draft, faults=(Fault(None, "", str(refused)),))


def _summed_up(fault: Fault) -> dict[str, str]:
    """A fault as the list at the head of the page has it: the sentence, and the id of what it is about."""
    if fault.place is not None:
        return {"sentence": fault.sentence, "to": f"q-{fault.place}" + (f"-{fault.field}" if fault.field else "")}
    return {"sentence": fault.sentence, "to": IDS.get(fault.field, fault.field.replace("_", "-"))}


def _page(
    request: Request, name: str, values: dict[str, str], outcome: Outcome, template: str = ""
) -> HttpResponse:
    context = {
        "values": values,
        "questions": draft_drawn(outcome.draft, outcome.faults),
        "focus": outcome.focus,
        "summary": [_summed_up(fault) for fault in outcome.faults],
        "faults": {fault.field: fault.sentence for fault in outcome.faults if fault.place is None},
        "samples": _samples(request),
        "types": [(key, entry.label) for key, entry in FEEDBACK_TYPES.items()],
        "templates": TEMPLATES,
        "template": template,
    }
    return render(request, name, context, status=400 if outcome.faults else 200)


# The preview


@xframe_options_sameorigin
def form_preview(request: Request, slug: str = "") -> HttpResponse:
    """The annotator's page with a sample comparison, for the posted draft; with GET for a template or the form in force."""
    project = request.project or Project(slug="preview", title=request.POST.get("title", "") or "New project")
    context: dict[str, Any] = {"project": project}
    try:
        context |= _preview(request, project)
    except FormRefused as refused:
        context["error"] = str(refused)
    response = render(request, "project/form_preview.html", context)
    response.headers["Content-Security-Policy"] = PREVIEW_POLICY
    return response


def _samples(request: Request) -> dict[str, str]:
    """The curator's own texts for the preview, as typed; they are kept nowhere."""
    found = {name: request.POST.get(name, "").replace("\r\n", "\n") for name in SAMPLES}
    return {name: text[:MOST_SAMPLE] for name, text in found.items()}


def _sample_texts(request: Request, size: int) -> tuple[str, list[str]]:
    """Prompt and at least `size` completions: the curator's own first, made-up ones where those do not suffice."""
    prompt, _, *own = _samples(request).values()
    given = [text for text in own if text.strip()]
    return prompt.strip() or SAMPLE_PROMPT, [*given, *SAMPLE_COMPLETIONS[len(given) :]][: max(size, len(given))]


def _sample_context(request: Request) -> str:
    """The curator's own; a made-up one where the project's comparisons have some."""
    own = _samples(request)["sample_context"].strip()
    is_usual = not own and request.project is not None and overview.has_contexts(project=request.project)
    return SAMPLE_CONTEXT if is_usual else own


def _preview(request: Request, project: Project) -> dict[str, Any]:
    if request.method == "POST":
        questions = draft_questions(draft_read({name: str(value) for name, value in request.POST.items()}))
        text = request.POST.get("guidelines", "")
    elif request.project is None:
        questions, text = list(TEMPLATES[_template(request.GET.get("template", FIRST_TEMPLATE))].questions), ""
    else:
        questions, text = overview.questions_of([project]).get(project.pk, []), ""
    guidelines = GuidelineRevision(number=1, text=text) if text else None
    if guidelines is None and request.project is not None:
        guidelines = guidelines_current(project=project)
    least, most = sizes_taken(questions)
    prompt, bodies = _sample_texts(request, max(least, sample_size(questions)))
    completions = [TextShown("plain", body) for body in bodies[:most]]
    is_joint = len(completions) == 2 and all(question["type"] == "joint" for question in questions)
    sample = Judgeable(
        assignment_id=0,
        token=0,
        comparison_id=0,
        lease_until=None,
        context=_sample_context(request),
        prompt=TextShown("plain", prompt),
        prompts=[TextShown("plain", body) for body in (prompt, SAMPLE_PROMPTS[1])] if is_joint else None,
        completions=completions,
        form_id=0,
        guidelines_id=None,
        questions=questions,
    )
    return {"item": annotate._item(sample, project.slug), "guidelines": guidelines, "skip_reasons": annotate.SKIP_REASONS}
