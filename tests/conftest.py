"""What every test may use: a cluster and a Redis of the session, a home of its own, reference data, a browser.

Nothing starts until a test asks for it. Under `-n 2` the workers share one Postgres and one Redis (they join them
as any two commands do) and have a database each. Connections other than loopback and Unix sockets are refused.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.environment import HOME

ROOT = Path(__file__).resolve().parent.parent


# Nothing of one test reaches the next


@pytest.fixture(autouse=True)
def _same_settings() -> Iterator[None]:
    """Every test leaves the folders as it found them; the next one would read and write elsewhere."""
    from django.conf import settings

    yield
    assert HOME.resolve() / "models" == settings.MODELS_DIR, f"this test left MODELS_DIR = {settings.MODELS_DIR}"


# Only this machine


def _refuse_network(event: str, arguments: tuple[object, ...]) -> None:
    if event != "socket.connect":
        return
    address = arguments[1]
    if not isinstance(address, tuple) or _is_loopback(str(address[0])):
        return
    raise PermissionError(f"tests connect to this machine only, not to {address[0]}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return host == "localhost"


sys.addaudithook(_refuse_network)


# Marks that follow from what a test uses

DATABASE_FIXTURES = {"db", "transactional_db", "live_server", "cluster", "process_environment", "client_for"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their fixtures, so that no one can forget to.

    A page under a loaded machine may be slower than any test waits: what fails in a browser is tried once more, and what
    then passes is told of at the end with how it failed, because a second look has hidden a fault of the page before.
    """
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if item.get_closest_marker("django_db") or fixtures & DATABASE_FIXTURES:
            item.add_marker(pytest.mark.database)
        if "reference_data" in fixtures:
            item.add_marker(pytest.mark.reference)
        if "browser" in fixtures:
            item.add_marker(pytest.mark.flaky(reruns=1))


# Database and broker


def _shared_folder(factory: pytest.TempPathFactory) -> Path:
    """A folder that the workers of one run have in common."""
    base = factory.getbasetemp()
    return (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "services"


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The session's Postgres, not durable; its address without a database's name."""
    from launcher.home import Home
    from launcher.postgres import Postgres
    from launcher.services import held

    home = Home(_shared_folder(tmp_path_factory))
    home.prepare()
    postgres = Postgres(home, durable=False)
    with held(postgres):
        yield postgres.url("").rstrip("/")


@pytest.fixture(scope="session")
def broker_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The session's Redis; each worker of a run has a database number of its own."""
    from launcher.broker import Redis
    from launcher.home import Home
    from launcher.services import held

    home = Home(_shared_folder(tmp_path_factory))
    home.prepare()
    redis = Redis(home)
    with held(redis):
        number = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
        yield f"{redis.url()}?virtual_host={number}"


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix: None, cluster: str) -> None:
    """Point Django at the session's cluster before its test database is made."""
    from django.db import connections
    from psycopg.conninfo import conninfo_to_dict

    parts = conninfo_to_dict(cluster)
    for connection in connections.all():
        connection.settings_dict.update(
            HOST=parts["host"], PORT=parts["port"], USER=parts["user"], PASSWORD=parts["password"]
        )


@pytest.fixture
def process_environment(transactional_db: None, cluster: str) -> dict[str, str]:
    """The environment for processes that a test starts: they see the test's database, and no broker unless added."""
    from django.db import connection

    return {
        **os.environ,
        "WINNOW_HOME": str(HOME),
        "DATABASE_URL": f"{cluster}/{connection.settings_dict['NAME']}",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }


# Reference data


def _reference_folder() -> Path:
    named = os.environ.get("WINNOW_REFERENCE_DATA")
    return Path(named) if named else ROOT.parent / "shared" / "data"


@pytest.fixture(scope="session")
def reference_data() -> Path:
    """The folder of reference data; the test is skipped where there is none."""
    folder = _reference_folder()
    if not folder.is_dir():
        pytest.skip("no reference data")
    return folder


def _reference_skips(reporter: pytest.TerminalReporter) -> int:
    return sum("reference" in report.keywords for report in reporter.stats.get("skipped", []))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Skipping a reference test although the data are there hides something: in CI that is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if (
        os.environ.get("CI") == "true"
        and reporter
        and _reference_folder().is_dir()
        and _reference_skips(reporter)
    ):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line about what was skipped for want of data, and how that failed which passed at its second try."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"tried again: {report.nodeid}")
        terminalreporter.write_line(report.longreprtext)
    if skipped := _reference_skips(terminalreporter):
        there = (
            "which exists"
            if _reference_folder().is_dir()
            else "which is missing; WINNOW_REFERENCE_DATA names one"
        )
        terminalreporter.write_line(
            f"reference data: {skipped} tests skipped; looked in {_reference_folder()}, {there}"
        )


# Browser

BROWSERS = (
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chromium",
)
BROWSER_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def _browser_path() -> str | None:
    named = os.environ.get("CHROMIUM")
    return next((found for name in ([named] if named else BROWSERS) if (found := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """A headless Chromium under Playwright; a test that uses it is marked slow by its author."""
    path = _browser_path()
    if path is None:
        reason = "no Chromium: install it, or set CHROMIUM to its path"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    # Playwright's loop runs in this thread, and Django takes any running loop for an asynchronous view.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=BROWSER_ARGUMENTS)
        yield chromium
        chromium.close()
