"""Who may open what: one literal row for every URL name and method. A view without a row is never run.

`AccessTable` in `middleware.py` reads it before any view; `tests/webapp/test_access.py` walks it with every role.
Roles of a project are checked against the `slug` of the URL, and where it has none, they count from any project; absent
and forbidden look the same (404).
"""

from __future__ import annotations

from dataclasses import dataclass

ANYONE = frozenset({"anyone"})
SIGNED_IN = frozenset({"signed_in"})
SITE = frozenset({"site_admin"})

# Roles add up and project_admin holds all of a project (annotation.selectors.access), so rows name the least.
ADMIN = frozenset({"project_admin"})
JUDGES = frozenset({"annotator", "reviewer"})
READERS = frozenset({"reviewer", "curator", "researcher", "project_admin"})
CURATORS = frozenset({"curator", "project_admin"})
RESEARCHERS = frozenset({"researcher", "project_admin"})
BUILDERS = frozenset({"curator", "researcher", "project_admin"})
MEMBERS = frozenset({"annotator", "reviewer", "curator", "researcher", "project_admin"})


@dataclass(frozen=True)
class Rule:
    """`get` and `post`: who may; empty: the method is refused with 405. `scope`: what a service token needs."""

    get: frozenset[str] = frozenset()
    post: frozenset[str] = frozenset()
    scope: str = ""

    def who(self, method: str) -> frozenset[str]:
        return self.get if method in {"GET", "HEAD"} else self.post if method == "POST" else frozenset()


ACCESS: dict[str, Rule] = {
    # the house
    "health": Rule(get=ANYONE),
    "sign_in": Rule(get=ANYONE, post=ANYONE),
    "sign_out": Rule(post=SIGNED_IN),
    "welcome": Rule(get=ANYONE, post=ANYONE),
    "home": Rule(get=SIGNED_IN),
    "account": Rule(get=SIGNED_IN, post=SIGNED_IN),
    "account_keys": Rule(post=SIGNED_IN),
    "profile": Rule(post=JUDGES),
    "profile_delete": Rule(post=SIGNED_IN),
    "project_create": Rule(get=SITE, post=SITE),
    "project_preview": Rule(get=SITE, post=SITE),
    "models": Rule(get=BUILDERS | SITE, post=SITE),
    # a project
    "project": Rule(get=MEMBERS),
    "medium": Rule(get=MEMBERS, scope="annotate"),
    "guidelines": Rule(get=MEMBERS, post=CURATORS),
    "guidelines_edit": Rule(get=CURATORS),
    "project_settings": Rule(get=ADMIN, post=ADMIN),
    "profile_attributes": Rule(post=ADMIN),
    "form_edit": Rule(get=ADMIN, post=ADMIN),
    "form_preview": Rule(get=ADMIN, post=ADMIN),
    "project_archive": Rule(post=ADMIN),
    "service_token_create": Rule(post=ADMIN),
    "service_token_revoke": Rule(post=ADMIN),
    "people": Rule(get=CURATORS, post=CURATORS),
    "membership_remove": Rule(post=ADMIN),
    "person_pause": Rule(post=CURATORS),
    "sign_in_link": Rule(post=ADMIN),
    # annotate
    "annotate": Rule(get=JUDGES),
    "annotate_next": Rule(get=JUDGES, scope="annotate"),
    "annotate_submit": Rule(post=JUDGES, scope="annotate"),
    "annotate_skip": Rule(post=JUDGES, scope="annotate"),
    "annotate_flag": Rule(post=JUDGES, scope="annotate"),
    "annotate_heartbeat": Rule(post=JUDGES, scope="annotate"),
    "annotate_section": Rule(get=JUDGES),
    "annotate_undo": Rule(post=JUDGES, scope="annotate"),
    "history": Rule(get=JUDGES),
    "history_answer": Rule(get=JUDGES, post=JUDGES),
    # curate
    "comparisons": Rule(get=READERS),
    "comparison": Rule(get=READERS),
    "comparison_section": Rule(get=READERS),
    "comparison_settle": Rule(post=CURATORS),
    "comparison_wanted": Rule(post=CURATORS),
    "comparison_hold": Rule(post=CURATORS),
    "comparison_delete": Rule(post=CURATORS),
    "queue": Rule(get=BUILDERS),
    "queue_wanted": Rule(post=CURATORS),
    "queue_order": Rule(post=CURATORS),
    "queue_place": Rule(post=CURATORS),
    "offer_make": Rule(post=CURATORS),
    "offer_release": Rule(post=CURATORS),
    "group_change": Rule(post=CURATORS),
    "raters": Rule(get=READERS),
    "rater": Rule(get=READERS),
    "disagreement": Rule(get=READERS),
    "drivers": Rule(get=BUILDERS, post=CURATORS),
    "circles": Rule(get=BUILDERS, post=CURATORS),
    "groups": Rule(get=BUILDERS, post=CURATORS),
    "agreement": Rule(get=BUILDERS, post=CURATORS),
    "leases": Rule(get=CURATORS),
    "lease_release": Rule(post=CURATORS),
    "imports": Rule(get=CURATORS, post=CURATORS),
    "import": Rule(get=CURATORS),
    "import_commit": Rule(post=CURATORS),
    "import_discard": Rule(post=CURATORS),
    "import_remove": Rule(post=CURATORS),
    "routing": Rule(get=BUILDERS),
    "routing_pilot": Rule(post=CURATORS),
    "routing_plan": Rule(post=CURATORS),
    "judge_start": Rule(post=CURATORS),
    "score_start": Rule(post=CURATORS),
    "aggregate_start": Rule(post=CURATORS),
    "ches_preview": Rule(get=BUILDERS),
    "jobs": Rule(get=BUILDERS),
    "job": Rule(get=BUILDERS),
    "job_cancel": Rule(post=BUILDERS),
    # versions and training
    "versions": Rule(get=BUILDERS),
    "version_freeze": Rule(get=CURATORS, post=CURATORS),
    "version": Rule(get=BUILDERS),
    "version_export": Rule(post=RESEARCHERS),
    "version_row": Rule(get=BUILDERS),
    "export_file": Rule(get=RESEARCHERS),
    "runs": Rule(get=BUILDERS),
    "run": Rule(get=BUILDERS),
    "run_start": Rule(get=RESEARCHERS, post=RESEARCHERS),
    "run_cancel": Rule(post=RESEARCHERS),
    "run_again": Rule(post=RESEARCHERS),
    "reports": Rule(get=BUILDERS),
    "report": Rule(get=BUILDERS),
    "report_file": Rule(get=BUILDERS),
    # the API; a service token needs the scope named here besides its person's role
    "api:openapi-json": Rule(get=SIGNED_IN, scope="read"),
    "api:api-root": Rule(),  # ninja brings it along; there is nothing to see
    "api:projects": Rule(get=SIGNED_IN, scope="read"),
    "api:progress": Rule(get=BUILDERS, scope="read"),
    "api:comparisons": Rule(get=READERS, scope="read"),
    "api:queue": Rule(get=BUILDERS, scope="read"),
    "api:wanted": Rule(post=CURATORS, scope="jobs"),
    "api:versions": Rule(get=BUILDERS, post=CURATORS, scope="versions"),
    "api:version": Rule(get=BUILDERS, scope="versions"),
    "api:version_rows": Rule(get=BUILDERS, scope="versions"),
    "api:version_exports": Rule(post=RESEARCHERS, scope="versions"),
    "api:run": Rule(get=BUILDERS, scope="read"),
    "api:runs": Rule(post=RESEARCHERS, scope="runs"),
    "api:judge": Rule(post=CURATORS, scope="jobs"),
    "api:score": Rule(post=CURATORS, scope="jobs"),
    "api:aggregate": Rule(post=CURATORS, scope="jobs"),
    "api:job": Rule(get=BUILDERS, scope="read"),
    "api:job_cancel": Rule(post=CURATORS, scope="jobs"),
}
