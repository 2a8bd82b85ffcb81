"""Every address of the web side. Who may open each is written in `webapp/access.py`, under the same name."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from webapp.views import annotate, errors, history, home, people, project, sign_in

P = "p/<slug:slug>/"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.home, name="home"),
    path("health/", home.health, name="health"),
    path("sign-in/", sign_in.sign_in, name="sign_in"),
    path("sign-out/", sign_in.sign_out, name="sign_out"),
    path("welcome/<str:token>/", sign_in.welcome, name="welcome"),
    path("account/", sign_in.account, name="account"),
    path("projects/new/", project.project_create, name="project_create"),
    # a project
    path(P, project.project, name="project"),
    path(P + "guidelines/", project.guidelines, name="guidelines"),
    path(P + "guidelines/edit/", project.guidelines_edit, name="guidelines_edit"),
    path(P + "settings/", project.project_settings, name="project_settings"),
    path(P + "settings/archive/", project.project_archive, name="project_archive"),
    path(P + "settings/tokens/", project.service_token_create, name="service_token_create"),
    path(P + "settings/tokens/<int:token>/revoke/", project.service_token_revoke, name="service_token_revoke"),
    path(P + "people/", people.people, name="people"),
    path(P + "people/<int:user_id>/remove/<str:role>/", people.membership_remove, name="membership_remove"),
    path(P + "people/<int:user_id>/link/", people.sign_in_link, name="sign_in_link"),
    # annotate
    path(P + "annotate/", annotate.annotate, name="annotate"),
    path(P + "annotate/next", annotate.annotate_next, name="annotate_next"),
    path(P + "annotate/heartbeat", annotate.annotate_heartbeat, name="annotate_heartbeat"),
    path(P + "annotate/<int:assignment>/submit", annotate.annotate_submit, name="annotate_submit"),
    path(P + "annotate/<int:assignment>/skip", annotate.annotate_skip, name="annotate_skip"),
    path(P + "annotate/<int:assignment>/flag", annotate.annotate_flag, name="annotate_flag"),
    path(P + "annotate/undo/<int:annotation>", annotate.annotate_undo, name="annotate_undo"),
    path(P + "history/", history.history, name="history"),
    path(P + "history/<int:annotation>/", history.history_answer, name="history_answer"),
]

handler400 = errors.bad_request
handler403 = errors.forbidden
handler404 = errors.not_found
handler500 = errors.broken
