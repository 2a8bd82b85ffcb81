"""People, their roles in projects, and the secrets that let them or a program in (stored as hashes only)."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower


class Role(models.TextChoices):
    """Stored keys; roles add up. `site_admin` is a flag of the user, `service` belongs to tokens."""

    PROJECT_ADMIN = "project_admin", "project admin"
    CURATOR = "curator", "curator"
    REVIEWER = "reviewer", "reviewer"
    ANNOTATOR = "annotator", "annotator"
    RESEARCHER = "researcher", "researcher"


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(email=self.normalize_email(email).lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").lower())


class User(AbstractBaseUser):
    email = models.EmailField(max_length=254, unique=True)
    name = models.CharField(max_length=120, blank=True, default="")
    is_site_admin = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    interface_language = models.CharField(max_length=12, default="en")
    annotation_keys = models.JSONField(default=dict, help_text="{on, map: {key as shipped: own key}}; {} for as shipped")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = UserManager()
    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(email=Lower("email")), name="user_email_lower")]

    def __str__(self) -> str:
        return self.name or self.email


class Session(AbstractBaseSession):
    """A session of a browser. Its signed data name the person; the column lets one query read both."""

    # Without a constraint: Django takes any refusal by the database for a key that is taken, and tries others for ever.
    user = models.ForeignKey(User, models.CASCADE, related_name="sessions", null=True, db_constraint=False)


class Membership(models.Model):
    project = models.ForeignKey("annotation.Project", models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role.choices)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["project", "user", "role"], name="membership_once"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="membership_role_known"),
        ]


class SignInLink(models.Model):
    """A one-time link that lets a person set a password. Only the SHA-256 of its token is stored."""

    user = models.ForeignKey(User, models.CASCADE, related_name="sign_in_links")
    token_hash = models.BinaryField(max_length=32, unique=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)


class ServiceToken(models.Model):
    """A program's way in: shown once, stored as a hash, limited to its scopes and, if set, to one project."""

    project = models.ForeignKey("annotation.Project", models.CASCADE, null=True, related_name="service_tokens")
    user = models.ForeignKey(User, models.CASCADE, related_name="service_tokens")
    name = models.CharField(max_length=80)
    token_hash = models.BinaryField(max_length=32, unique=True)
    scopes = models.JSONField(default=list)
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True)
