"""One botocore session and its clients, each made once, when it is first used.

boto3 is not imported: on top of botocore it costs an eighth of a cold start and adds nothing here.
A second client of one session costs 7 ms; a client of a new session costs 48.
"""

from __future__ import annotations

from typing import Any


class Clients:
    """The AWS clients of one function."""

    def __init__(self, region: str | None = None) -> None:
        self._region = region
        self._session: Any = None
        self._made: dict[str, Any] = {}

    def get(self, service: str, *, timeout_seconds: float = 5, attempts: int = 3) -> Any:
        """The client of a service.

        `timeout_seconds` bounds connecting and each read; `attempts` counts the first try too.
        Both count at the first request for a service: later ones get the client that is there.
        """
        if service not in self._made:
            from botocore.config import Config
            from botocore.session import get_session

            self._session = self._session or get_session()
            self._made[service] = self._session.create_client(
                service,
                region_name=self._region,
                config=Config(
                    connect_timeout=min(timeout_seconds, 2),
                    read_timeout=timeout_seconds,
                    retries={"mode": "standard", "total_max_attempts": attempts},
                ),
            )
        return self._made[service]
