"""Which certificate authorities vouch for AWS: Amazon's own first, and everybody's after them.

OpenSSL 3 takes 20 ms of CPU to load the 140 roots that botocore ships, and botocore loads them for
each service anew (https://github.com/python/cpython/issues/95031): a fifth of a cold start that
asks two services. AWS's endpoints chain to the five roots of Amazon Trust Services
(https://www.amazontrust.com/repository/), which load in one. Should an endpoint ever chain to
another root, its requests go botocore's own way, under all roots; they are verified either way.
"""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

from botocore.exceptions import SSLError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

ROOTS = Path(__file__).with_name("amazon_roots.pem")


class AmazonFirst:
    """Two HTTP sessions as one: the second sends when the first does not trust the other side."""

    def __init__(self, amazon: Any, everybody: Any) -> None:
        self._session = amazon
        self._everybody = everybody

    def send(self, request: Any) -> Any:
        """The answer to a prepared request; raises what a session of botocore raises."""
        session = self._session
        try:
            return session.send(request)
        except SSLError as err:
            # Only the handshake can fail so: nothing was sent that could be sent twice.
            if session is self._everybody or not _is_distrust(err):
                raise
        self._session = self._everybody
        return self._everybody.send(request)

    def close(self) -> None:
        """Close the connections of both."""
        self._session.close()
        self._everybody.close()


def prefer_amazon_roots(client: Any, timeouts: tuple[float, float]) -> None:
    """Let a new client trust Amazon's roots first.

    `timeouts` are the client's own, for connecting and reading, in seconds. Where a proxy stands
    between, and for a botocore that keeps its session elsewhere, nothing is changed: that costs
    time and nothing else.
    """
    endpoint = getattr(client, "_endpoint", None)
    everybody = getattr(endpoint, "http_session", None)
    if endpoint is None or everybody is None or get_environ_proxies(client.meta.endpoint_url):
        return
    make: Any = URLLib3Session  # its types are guessed from its defaults
    amazon = make(
        verify=str(ROOTS),
        timeout=timeouts,
        max_pool_connections=client.meta.config.max_pool_connections,
        client_cert=client.meta.config.client_cert,
        # As botocore does: a request goes out in two writes, and without this the second one waits
        # up to 40 ms for the acknowledgement of the first.
        socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
    )
    endpoint.http_session = AmazonFirst(amazon, everybody)


def _is_distrust(error: Any) -> bool:
    cause = error.kwargs.get("error")
    return any(isinstance(one, ssl.SSLCertVerificationError) for one in getattr(cause, "args", ()))
