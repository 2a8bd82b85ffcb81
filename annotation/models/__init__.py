"""Tables of the annotation package, one module a subject."""

from annotation.models.annotations import Annotation, Flag, Rater
from annotation.models.assignments import Assignment, Demand, Group, Offer, Participation
from annotation.models.comparisons import Comparison, ComparisonCompletion, Import
from annotation.models.media import Media, MediaUse
from annotation.models.outbox import OutboxEvent
from annotation.models.people import Membership, Role, ServiceToken, Session, SignInLink, User
from annotation.models.profiles import Profile
from annotation.models.projects import FormRevision, GuidelineRevision, Project
from annotation.models.texts import Completion, LanguageModel, Prompt, Text

__all__ = [
    "Annotation",
    "Assignment",
    "Comparison",
    "ComparisonCompletion",
    "Completion",
    "Demand",
    "Flag",
    "FormRevision",
    "Group",
    "GuidelineRevision",
    "Import",
    "LanguageModel",
    "Media",
    "MediaUse",
    "Membership",
    "Offer",
    "OutboxEvent",
    "Participation",
    "Profile",
    "Project",
    "Prompt",
    "Rater",
    "Role",
    "ServiceToken",
    "Session",
    "SignInLink",
    "Text",
    "User",
]
