"""Every address of the web side. Who may open each is written in `webapp/access.py`, under the same name."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from webapp.api import api
from webapp.views import (
    annotate,
    curate,
    disagreement,
    errors,
    history,
    home,
    imports,
    jobs,
    media,
    models,
    people,
    project,
    queue,
    reports,
    routing,
    runs,
    setup,
    sign_in,
    texts,
    versions,
)

P = "p/<slug:slug>/"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", home.home, name="home"),
    path("health/", home.health, name="health"),
    path("sign-in/", sign_in.sign_in, name="sign_in"),
    path("sign-out/", sign_in.sign_out, name="sign_out"),
    path("welcome/<str:token>/", sign_in.welcome, name="welcome"),
    path("account/", sign_in.account, name="account"),
    path("account/keys", sign_in.account_keys, name="account_keys"),
    path("projects/new/", setup.project_create, name="project_create"),
    path("projects/new/preview", setup.form_preview, name="project_preview"),
    path("models/", models.models, name="models"),
    path("api/", api.urls),
    # a project
    path(P, project.project, name="project"),
    path(P + "media/<str:sha256>", media.medium, name="medium"),
    path(P + "guidelines/", project.guidelines, name="guidelines"),
    path(P + "guidelines/edit/", project.guidelines_edit, name="guidelines_edit"),
    path(P + "settings/", project.project_settings, name="project_settings"),
    path(P + "settings/form/", setup.form_edit, name="form_edit"),
    path(P + "settings/form/preview", setup.form_preview, name="form_preview"),
    path(P + "settings/archive/", project.project_archive, name="project_archive"),
    path(P + "settings/tokens/", project.service_token_create, name="service_token_create"),
    path(
        P + "settings/tokens/<int:token>/revoke/", project.service_token_revoke, name="service_token_revoke"
    ),
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
    path(P + "annotate/<int:assignment>/section", texts.annotate_section, name="annotate_section"),
    path(P + "annotate/undo/<int:annotation>", annotate.annotate_undo, name="annotate_undo"),
    path(P + "history/", history.history, name="history"),
    path(P + "history/<int:annotation>/", history.history_answer, name="history_answer"),
    # curate
    path(P + "comparisons/", curate.comparisons, name="comparisons"),
    path(P + "comparisons/<int:comparison_id>/", curate.comparison, name="comparison"),
    path(P + "comparisons/<int:comparison_id>/section", texts.comparison_section, name="comparison_section"),
    path(P + "comparisons/<int:comparison_id>/settle", curate.comparison_settle, name="comparison_settle"),
    path(P + "comparisons/<int:comparison_id>/wanted", curate.comparison_wanted, name="comparison_wanted"),
    path(P + "comparisons/<int:comparison_id>/hold", curate.comparison_hold, name="comparison_hold"),
    path(P + "comparisons/<int:comparison_id>/delete", curate.comparison_delete, name="comparison_delete"),
    path(P + "queue/", queue.queue, name="queue"),
    path(P + "queue/wanted", queue.queue_wanted, name="queue_wanted"),
    path(P + "queue/order", queue.queue_order, name="queue_order"),
    path(P + "queue/batches/<int:import_id>/place", queue.queue_place, name="queue_place"),
    path(P + "queue/offers", queue.offer_make, name="offer_make"),
    path(P + "queue/offers/<int:offer>/release", queue.offer_release, name="offer_release"),
    path(P + "queue/groups", queue.group_change, name="group_change"),
    path(P + "raters/", curate.raters, name="raters"),
    path(P + "raters/<int:rater_id>/", disagreement.rater, name="rater"),
    path(P + "drivers/", disagreement.drivers, name="drivers"),
    path(P + "disagreement/", disagreement.disagreement_page, name="disagreement"),
    path(P + "leases/", curate.leases, name="leases"),
    path(P + "leases/<int:assignment>/release", curate.lease_release, name="lease_release"),
    path(P + "filter/", curate.ches_preview, name="ches_preview"),
    path(P + "imports/", imports.imports, name="imports"),
    path(P + "imports/<int:import_id>/", imports.import_page, name="import"),
    path(P + "imports/<int:import_id>/commit", imports.import_commit, name="import_commit"),
    path(P + "imports/<int:import_id>/discard", imports.import_discard, name="import_discard"),
    path(P + "imports/<int:import_id>/remove", imports.import_remove, name="import_remove"),
    path(P + "routing/", routing.routing, name="routing"),
    path(P + "routing/pilot", routing.routing_pilot, name="routing_pilot"),
    path(P + "routing/plan", routing.routing_plan, name="routing_plan"),
    path(P + "jobs/", jobs.jobs, name="jobs"),
    path(P + "jobs/judge", jobs.judge_start, name="judge_start"),
    path(P + "jobs/score", jobs.score_start, name="score_start"),
    path(P + "jobs/aggregate", jobs.aggregate_start, name="aggregate_start"),
    path(P + "jobs/<int:job_id>/", jobs.job, name="job"),
    path(P + "jobs/<int:job_id>/cancel", jobs.job_cancel, name="job_cancel"),
    # versions and training
    path(P + "versions/", versions.versions, name="versions"),
    path(P + "versions/freeze/", versions.version_freeze, name="version_freeze"),
    path(P + "versions/<str:name>/export", versions.version_export, name="version_export"),
    path(P + "versions/<str:name>/", versions.version, name="version"),
    path(P + "versions/<str:name>/rows/<int:position>/", versions.version_row, name="version_row"),
    path(P + "versions/<str:name>/exports/<int:export_id>/<int:index>", versions.export_file, name="export_file"),
    path(P + "runs/", runs.runs, name="runs"),
    path(P + "runs/start/", runs.run_start, name="run_start"),
    path(P + "runs/<str:name>/cancel", runs.run_cancel, name="run_cancel"),
    path(P + "runs/<str:name>/again", runs.run_again, name="run_again"),
    path(P + "runs/<str:name>/", runs.run, name="run"),
    path(P + "reports/", reports.reports, name="reports"),
    path(P + "reports/<str:name>/", reports.report, name="report"),
    path(P + "reports/<str:name>/file", reports.report_file, name="report_file"),
]

handler400 = errors.bad_request
handler403 = errors.forbidden
handler404 = errors.not_found
handler500 = errors.broken
