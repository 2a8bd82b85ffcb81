"""Start or join the embedded Postgres and Redis for as long as somebody needs them.

Each service has two files in the home's `run/`. NAME.lock is held while it is started or stopped; NAME.users is
held, shared, by every process that uses it. Whoever leaves and can take NAME.users alone was the last and stops the
service. The kernel drops the locks of a killed process, so nothing has to be repaired afterwards: a service that
such a process left running is joined by the next user, and stopped when that one leaves.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Protocol

from launcher.broker import Redis
from launcher.errors import BrokerUnavailable
from launcher.home import Home, locked
from launcher.postgres import Postgres
from launcher.processes import say

NO_BROKER = "none"


class Service(Protocol):
    """What `held` needs to know of a server."""

    name: str
    home: Home

    def running(self) -> bool: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def url(self) -> str: ...


@contextmanager
def held(service: Service) -> Iterator[None]:
    """Keep a service running: start or join it, and stop it on leaving if nobody else uses it."""
    users = service.home.run / f"{service.name}.users"
    with open(users, "a") as mark:
        with locked(service.home.run / f"{service.name}.lock"):
            fcntl.flock(mark, fcntl.LOCK_SH)
            if not service.running():
                service.start()
        try:
            yield
        finally:
            with locked(service.home.run / f"{service.name}.lock"):
                if _alone(mark.fileno()):
                    service.stop()


def ensure(service: Service) -> bool:
    """Start a held service again if it died; return whether that was needed."""
    with locked(service.home.run / f"{service.name}.lock"):
        if service.running():
            return False
        service.start()
        return True


def _alone(descriptor: int) -> bool:
    """Give up the shared lock and say whether nobody else holds it."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def embedded(home: Home) -> list[Service]:
    """The services that this home runs itself: those that no address in the environment replaces."""
    found: list[Service] = []
    if not os.environ.get("DATABASE_URL"):
        found.append(Postgres(home))
    if not os.environ.get("BROKER_URL"):
        try:
            found.append(Redis(home))
        except BrokerUnavailable as refusal:
            say(f"{refusal}; going on without a broker")
            os.environ["BROKER_URL"] = NO_BROKER
    return found


VARIABLES = {"postgres": "DATABASE_URL", "redis": "BROKER_URL"}


def publish(services: list[Service]) -> None:
    """Write the services' addresses into the environment, for Django and for child processes."""
    for service in services:
        os.environ[VARIABLES[service.name]] = service.url()


@contextmanager
def services(home: Home | None = None) -> Iterator[list[Service]]:
    """Have database and broker at hand, with WINNOW_HOME, DATABASE_URL and BROKER_URL set; yields the embedded ones."""
    home = home or Home.from_environment()
    home.prepare()
    os.environ["WINNOW_HOME"] = str(home.path)
    if address := home.address():
        # Links that a command prints lead to where `make up` serves, or served last.
        os.environ.setdefault("WINNOW_PUBLIC_URL", address)
    found = embedded(home)
    with ExitStack() as stack:
        for service in found:
            stack.enter_context(held(service))
        publish(found)
        try:
            yield found
        finally:
            for service in found:
                os.environ.pop(VARIABLES[service.name], None)
