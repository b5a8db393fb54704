"""The boto3 clients with which the sandbox's services call their own cloud."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse

KEPT = 64
"""Clients that are kept: more than the services use side by side, fewer than they ever make."""

type Keys = tuple[str, str, str | None]
"""Access key, secret key and session token."""


class Clients:
    """Clients by service, Region and credentials; the latest used are kept.

    Every build and every action of a pipeline signs as a role session of its own, so there is no
    end to them. `send` answers a signed request (botocore's `before-send` event).
    """

    def __init__(
        self, endpoint: str, send: Callable[..., AWSResponse | None], kept: int = KEPT
    ) -> None:
        self._endpoint, self._kept = endpoint, kept
        self._clients: OrderedDict[tuple[str, str, str], Any] = OrderedDict()
        self._lock = threading.Lock()
        # One session for all: it reads a service's model once, and a session of its own takes
        # 9 MB and 100 ms for each client. Making a client is not safe on two threads at once.
        self._session: Any = boto3.session.Session()
        events: Any = self._session.events  # its types know no handler that answers
        events.register("before-send", send)

    def get(self, service: str, region: str, keys: Keys) -> Any:
        """A client that signs with these credentials."""
        key, secret, token = keys
        wanted = (service, region, key)
        with self._lock:
            if wanted not in self._clients:
                self._clients[wanted] = self._session.client(
                    service,
                    region_name=region,
                    endpoint_url=self._endpoint,
                    aws_access_key_id=key,
                    aws_secret_access_key=secret,
                    aws_session_token=token,
                )
            self._clients.move_to_end(wanted)
            if len(self._clients) > self._kept:
                self._clients.popitem(last=False)
            return self._clients[wanted]
