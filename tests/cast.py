"""The cast and the scenery of the tests: Ada owns the project, Ben annotates, Cy must see nothing."""

from __future__ import annotations

import hashlib
import uuid
from functools import cache
from itertools import count

from django.contrib.auth.hashers import make_password

from annotation.models import (
    Comparison,
    ComparisonCompletion,
    Completion,
    Demand,
    Membership,
    Project,
    Prompt,
    Text,
    User,
)
from annotation.services.projects import project_create

PASSWORD = "correct horse battery staple"
_numbers = count(1)


@cache
def _password_hash() -> str:
    """Hashed once: a good hash is slow on purpose."""
    return make_password(PASSWORD)


def person(name: str, project: Project | None = None, *roles: str) -> User:
    """A user who can sign in, with these roles in the project."""
    user = User(email=f"{name.lower()}{next(_numbers)}@example.org", name=name, password=_password_hash())
    user.save()
    for role in roles:
        Membership.objects.create(project=project, user=user, role=role)
    return user


def project(slug: str | None = None, **fields: object) -> Project:
    made = project_create(slug=slug or f"project-{next(_numbers)}", salt=uuid.UUID(int=next(_numbers)))
    for name, value in fields.items():
        setattr(made, name, value)
    made.save()
    return made


def text(body: str) -> Text:
    sha256 = hashlib.sha256(b"plain\x00" + body.encode()).digest()
    return Text.objects.get_or_create(sha256=sha256, defaults={"body": body})[0]


def comparison(project: Project, prompt: str, *answers: str, wanted: int | None = 1) -> Comparison:
    """A comparison in stored order (by content hash); open to people unless `wanted` is None."""
    prompt_text = text(prompt)
    row, _ = Prompt.objects.get_or_create(project=project, text=prompt_text)
    texts = sorted((text(answer) for answer in answers), key=lambda t: bytes(t.sha256))
    key = hashlib.sha256(b"".join(bytes(t.sha256) for t in [prompt_text, *texts])).digest()
    made = Comparison.objects.create(project=project, prompt=row, key=key, size=len(texts))
    for position, answer in enumerate(texts):
        completion, _ = Completion.objects.get_or_create(prompt=row, text=answer)
        ComparisonCompletion.objects.create(comparison=made, position=position, completion=completion)
    if wanted is not None:
        Demand.objects.create(comparison=made, project=project, ord=made.pk, wanted=wanted)
    return made


def comparisons(project: Project, n: int, wanted: int | None = 1) -> list[Comparison]:
    return [
        comparison(project, f"Question {i} of {project.slug}?", f"Answer {i} one.", f"Answer {i} two.", wanted=wanted)
        for i in range(n)
    ]


def vote(strength: int) -> dict[str, object]:
    """Answers of the `pairwise` template in stored order."""
    outcome = "tie" if strength == 0 else "first" if strength < 0 else "second"
    return {"preference": {"outcome": outcome, "vote": strength}}


CANNOT_JUDGE: dict[str, object] = {"preference": {"outcome": "cannot_judge", "vote": None}}
