"""Invitations and one-time sign-in links. Only hashes of tokens are stored."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils import timezone

from annotation.errors import NotFound, Refused, _
from annotation.models import (
    Membership,
    Participation,
    Profile,
    Project,
    Role,
    ServiceToken,
    Session,
    SignInLink,
    User,
)
from annotation.services.assignment import participation_ensure, participation_state_set

# Roles that let a person judge.
JUDGING = (Role.ANNOTATOR, Role.REVIEWER, Role.PROJECT_ADMIN)


def token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _email_checked(email: str) -> str:
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError:
        raise Refused(f"An e-mail address was expected; got {email!r}.") from None
    return email


def sign_in_link_create(*, user: User) -> str:
    """A new one-time token for this person; earlier unused ones end."""
    token = secrets.token_urlsafe(32)
    SignInLink.objects.filter(user=user, used_at=None).delete()
    SignInLink.objects.create(
        user=user,
        token_hash=token_hash(token),
        expires_at=timezone.now() + timedelta(hours=settings.SIGN_IN_LINK_HOURS),
    )
    return token


def sign_in_link_url(token: str) -> str:
    return f"{settings.PUBLIC_URL}/welcome/{token}/"


# Whom these roles may let in by a link: a link opens the whole account, so every role it holds must be theirs to give.
CURATOR_GIVES = frozenset({Role.ANNOTATOR.value, Role.REVIEWER.value})


def link_allowed(*, user: User, project: Project | None, by_roles: Collection[str]) -> bool:
    """Whether somebody with these roles in the project may make a sign-in link for this person."""
    if "site_admin" in by_roles:
        return True
    if user.is_site_admin or project is None:
        return False
    held = list(Membership.objects.filter(user=user).values_list("project_id", "role"))
    curator_gives = CURATOR_GIVES if "curator" in by_roles else frozenset()
    gives = frozenset(Role.values) if "project_admin" in by_roles else curator_gives
    return all(project_id == project.pk and role in gives for project_id, role in held)


@transaction.atomic
def user_invite(
    *, email: str, role: str, project: Project | None, by_roles: Collection[str] = frozenset({"site_admin"})
) -> tuple[User, str | None]:
    """Give a person a role, creating the person if needed; the token is None when they can sign in already.

    It is None too when the account holds roles that the inviter, by `by_roles`, could not give.
    """
    if role != "site_admin" and role not in Role.values:
        raise Refused(f"The role must be one of site_admin, {', '.join(Role.values)}; got {role!r}.")
    if role != "site_admin" and project is None:
        raise Refused(f"The role {role} belongs to a project; name one.")
    email = _email_checked(email)
    user = User.objects.filter(email=email).first() or User.objects.create_user(email)
    if role == "site_admin":
        user.is_site_admin = True
        user.save(update_fields=["is_site_admin"])
    else:
        assert project is not None, "a role of a project names one"
        Membership.objects.get_or_create(project=project, user=user, role=role)
        if role in JUDGING:
            participation_state_set(project_id=project.pk, user_id=user.pk, state=Participation.State.ACTIVE)
    if user.has_usable_password() or not link_allowed(user=user, project=project, by_roles=by_roles):
        return user, None
    return user, sign_in_link_create(user=user)


@transaction.atomic
def membership_remove(*, project: Project, user_id: int, role: str) -> None:
    """Take a role. With the last one that lets them judge goes what they hold, and what they said of themselves."""
    # Whoever gives a profile meanwhile waits for this, and is then held against the roles that are left.
    Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    deleted, _ = Membership.objects.filter(project=project, user_id=user_id, role=role).delete()
    if not deleted:
        raise NotFound("This person does not have that role here.")
    if not Membership.objects.filter(project=project, user_id=user_id, role__in=JUDGING).exists():
        # What they hold goes to others at once, and their places are not lost for a lease.
        participation_state_set(project_id=project.pk, user_id=user_id, state=Participation.State.LEFT)
        Profile.objects.filter(participation__project=project, participation__annotator_id=user_id).delete()


@transaction.atomic
def annotator_pause(*, project: Project, user_id: int, is_paused: bool) -> None:
    """Hand a person nothing more until they are let go on; what they hold goes to others at once, their answers stay."""
    if not Membership.objects.filter(project=project, user_id=user_id, role__in=JUDGING).exists():
        raise NotFound("This person does not judge here.")
    participation_ensure(project_id=project.pk, user_id=user_id)
    state = Participation.State.PAUSED if is_paused else Participation.State.ACTIVE
    participation_state_set(project_id=project.pk, user_id=user_id, state=state)


def sign_in_link_get(*, token: str) -> SignInLink:
    """The link of a token that can still be used."""
    link = SignInLink.objects.select_related("user").filter(token_hash=token_hash(token)).first()
    if link is None or link.used_at is not None or link.expires_at < timezone.now() or not link.user.is_active:
        raise NotFound(_("This sign-in link was used already, has expired, or was replaced. Ask for a new one."))
    return link


@transaction.atomic
def sign_in_link_use(*, token: str, password: str) -> User:
    """Set the person's password and end the link."""
    link = sign_in_link_get(token=token)
    link = SignInLink.objects.select_for_update().select_related("user").get(pk=link.pk)
    if link.used_at is not None:
        raise NotFound(_("This sign-in link was used already."))
    try:
        validate_password(password, link.user)
    except ValidationError as error:
        raise Refused(" ".join(error.messages)) from None
    link.user.set_password(password)
    link.user.save(update_fields=["password"])
    link.used_at = timezone.now()
    link.save(update_fields=["used_at"])
    return link.user


def keys_of(user: User) -> dict[str, Any]:
    """The person's keys on the annotation page: on or off, and those that differ from the shipped ones."""
    return {"on": True, "map": {}, **user.annotation_keys}


def keys_change(*, user: User, is_on: bool, keys: Mapping[str, str]) -> dict[str, Any]:
    """Take one's own keys, by the shipped key; refused where two actions would share one or a digit is taken."""
    for shipped, own in keys.items():
        if len(own) != 1 or own.isspace() or not own.isprintable() or own.isdigit():
            key = shipped.upper()
            raise Refused(_("The key for {key} must be one character that is no digit; got {own!r}."), key=key, own=own[:40])
    lower = [own.lower() for own in keys.values()]
    if clash := next((own for own in lower if lower.count(own) > 1), None):
        raise Refused(_("The key {key} is used twice. Give each action a key of its own."), key=clash.upper())
    changed = {shipped: own.lower() for shipped, own in keys.items() if own.lower() != shipped}
    user.annotation_keys = {"on": is_on, "map": changed}
    user.save(update_fields=["annotation_keys"])
    return keys_of(user)


@transaction.atomic
def account_change(
    *, user: User, name: str, old_password: str = "", new_password: str = "", interface_language: str | None = None
) -> None:
    """One's own name and language, and a new password if one is given; that needs the old one."""
    name = name.strip()
    if len(name) > 120 or not name.isprintable():
        raise Refused(_("A name may have 120 printable characters."))
    user.name = name
    if interface_language is not None:
        if interface_language not in dict(settings.LANGUAGES):
            known, got = ", ".join(dict(settings.LANGUAGES)), interface_language[:40]
            raise Refused(_("The language must be one of {languages}; got {got!r}."), languages=known, got=got)
        user.interface_language = interface_language
    if new_password:
        if not user.check_password(old_password):
            raise Refused(_("The present password is not right; nothing was changed."))
        try:
            validate_password(new_password, user)
        except ValidationError as error:
            raise Refused(" ".join(error.messages)) from None
        user.set_password(new_password)
    user.save(update_fields=["name", "password", "interface_language"])


def sessions_expire() -> int:
    """Delete the browsers' sessions whose time is over; returns how many. Any number of clocks may call it."""
    deleted, _ = Session.objects.filter(expire_date__lt=timezone.now()).delete()
    return deleted


@transaction.atomic
def site_admin_link() -> str | None:
    """A one-time link for the site administrator while none has a password; None afterwards."""
    admins = list(User.objects.filter(is_site_admin=True, is_active=True).order_by("id"))
    if any(admin.has_usable_password() for admin in admins):
        return None
    admin = admins[0] if admins else User.objects.create_user("admin@localhost.localdomain", is_site_admin=True)
    return sign_in_link_create(user=admin)


@transaction.atomic
def service_token_create(*, user: User, project: Project | None, name: str, scopes: list[str]) -> str:
    token = secrets.token_urlsafe(32)
    ServiceToken.objects.create(user=user, project=project, name=name, scopes=scopes, token_hash=token_hash(token))
    return token


def service_token_revoke(*, project: Project, token_id: int) -> None:
    changed = ServiceToken.objects.filter(project=project, pk=token_id, revoked_at=None).update(revoked_at=timezone.now())
    if not changed:
        raise NotFound("There is no such token here, or it is revoked already.")
