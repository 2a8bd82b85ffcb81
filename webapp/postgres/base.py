"""The database engine that the settings name: Django's own, but for how it looks whether a kept connection still lives."""

from __future__ import annotations

import select

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    def close_if_health_check_failed(self) -> None:
        """Drop a kept connection that the server has closed, before the first statement of a request.

        Django asks `SELECT 1` for that, a round trip a request. A server that goes away, or is killed, ends its
        connections, and then there is something to read on a connection that waits for nothing. After an error Django
        asks all the same.
        """
        if self.pool or self.connection is None or not self.health_check_enabled or self.health_check_done:
            return
        if _speaks(self.connection.pgconn.socket):
            self.close()
        self.health_check_done = True


def _speaks(descriptor: int) -> bool:
    """Whether something waits to be read: the end, or a last word."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
