"""One botocore session and its clients, each made once, when it is first used.

boto3 is not imported: on top of botocore it costs an eighth of a cold start and adds nothing here.
A second client of one session costs 7 ms; a client of a new session costs 48.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from trellis import endpoints

_CHOICES = ("data_path", "use_fips_endpoint", "use_dualstack_endpoint")
"""Settings that our own table of endpoints says nothing about."""


class Clients:
    """The AWS clients of one function."""

    def __init__(self, region: str | None = None) -> None:
        self._region = region
        self._sessions: dict[bool, Any] = {}
        self._made: dict[str, Any] = {}

    def get(self, service: str, *, timeout_seconds: float = 5, attempts: int = 3) -> Any:
        """The client of a service.

        `timeout_seconds` bounds connecting and each read; `attempts` counts the first try too.
        Both count at the first request for a service: later ones get the client that is there.
        """
        if service not in self._made:
            self._made[service] = self._make(service, timeout_seconds, attempts)
        return self._made[service]

    def _make(self, service: str, timeout_seconds: float, attempts: int) -> Any:
        from botocore.config import Config

        from trellis.trust import prefer_amazon_roots

        session = self._session(is_lean=endpoints.knows(service, self._region))
        timeouts = min(timeout_seconds, 2), timeout_seconds
        client = session.create_client(
            service,
            region_name=self._region,
            config=Config(
                connect_timeout=timeouts[0],
                read_timeout=timeouts[1],
                retries={"mode": "standard", "total_max_attempts": attempts},
            ),
        )
        if not _has_bundle(session):
            prefer_amazon_roots(client, timeouts)
        return client

    def later(self, service: str, *, timeout_seconds: float = 5, attempts: int = 3) -> Any:
        """A stand-in of the client, which is made when it is first asked for something."""
        return _Later(lambda: self.get(service, timeout_seconds=timeout_seconds, attempts=attempts))

    def apart(self, region: str | None = None) -> Clients:
        """Other clients, for other timeouts and tries or another Region, of the same session."""
        other = Clients(region or self._region)
        other._sessions = self._sessions
        return other

    def _session(self, *, is_lean: bool) -> Any:
        """The session for services that our own table of endpoints knows, or for all others."""
        if is_lean not in self._sessions:
            from botocore.session import get_session

            session = get_session()
            if is_lean and not any(session.get_config_variable(one) for one in _CHOICES):
                session.register_component("data_loader", endpoints.loader())
            self._sessions[is_lean] = session
        return self._sessions[is_lean]


class _Later:
    """A client that is not there yet."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def __getattr__(self, name: str) -> Any:
        return getattr(self._make(), name)


def _has_bundle(session: Any) -> bool:
    """Whether somebody chose the authorities to trust, in one of the places botocore looks at."""
    return session.get_config_variable("ca_bundle") is not None or any(
        os.environ.get(name) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    )
