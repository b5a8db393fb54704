"""One HTTPS POST, and what its outcome means for whether the other side has the message.

The standard library's client: importing slack_sdk or urllib3 would cost three times as much CPU at
a cold start, and what they would add, retries, is decided here by what the ledger knows.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, Protocol
from urllib.parse import urlsplit

from notify.deliver import RefusedError, UncertainError
from trellis.errors import ConfigError

_TIMEOUT_SECONDS = 5.0
"""For connecting to all addresses of a host together, and again for each read."""

_LEAST_SECONDS = 1.5
"""What one address gets at least: a first packet that was lost is sent again after a second."""

_MOST_ANSWER_BYTES = 64 * 1024
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the other side said; only ever a status from 200 to 299."""

    status: int
    body: bytes


class Post(Protocol):
    """Sends a body and returns the answer, or raises RefusedError or UncertainError."""

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer: ...


def check_url(setting: str, url: str) -> str:
    """The URL, if a secret may travel to it: HTTPS, or this machine. Raises ConfigError."""
    if not _is_safe(url):
        # The URL itself is a secret: whoever has it can post. The cause would quote it.
        raise ConfigError(
            setting, "(hidden)", "set it to a whole https:// URL without user or password"
        )
    return url


def _is_safe(url: str) -> bool:
    """What is left of a pattern, `https://[TENANT].…` or `…:PORT/`, is no URL."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    is_private = parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK)
    return is_private and bool(host) and port != 0 and not parts.username


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Send a body.

    Refused: it cannot be sent, it never got there, or the answer is a redirect or an error of ours
    (4xx; 429 says when to come again). Uncertain: it was sent, and then there was an error of
    theirs (5xx), no answer in time, or none that is HTTP.
    """
    try:
        parts = urlsplit(url)
        host, given = parts.hostname or "", parts.port
    except ValueError:
        raise RefusedError("the URL is none") from None
    tls = _tls() if parts.scheme == "https" else None
    connection = (
        http.client.HTTPSConnection(host, given, context=tls)
        if tls
        else http.client.HTTPConnection(host, given)
    )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        try:
            connection.sock = _connect(host, connection.port, tls)
        except (OSError, UnicodeError) as err:  # a label of a name may be no label
            raise RefusedError(f"{host} was not reached: {err}") from err
        try:
            try:
                connection.request(
                    "POST", path, body, {"User-Agent": "Trellis", "Connection": "close", **headers}
                )
            except (ValueError, http.client.InvalidURL) as err:
                # Nothing has left: http.client takes no such character in a path or a header. What
                # it says would quote the path or the token.
                raise RefusedError(f"{host} cannot be asked so: {type(err).__name__}") from None
            response = connection.getresponse()
            said = response.read(_MOST_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as err:
            raise UncertainError(f"{host} hung up or said nothing: {err!r}") from err
    finally:
        connection.close()
    _judge(host, response.status, said, _retry_after(response.getheader("Retry-After")))
    return Answer(response.status, said)


def _connect(host: str, port: int, tls: ssl.SSLContext | None) -> socket.socket:
    """A connection to a host, the handshake done within the same time. Raises OSError."""
    began = time.monotonic()
    connected = dial(host, port, _TIMEOUT_SECONDS)
    try:
        # As http.client does: a request goes out in two writes.
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            connected.settimeout(_left(began + _TIMEOUT_SECONDS, time.monotonic()))
            connected = tls.wrap_socket(connected, server_hostname=host)
        connected.settimeout(_TIMEOUT_SECONDS)
    except OSError:
        connected.close()
        raise
    return connected


def _addresses(host: str, port: int) -> Sequence[Any]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


def _open(address: Any, seconds: float) -> socket.socket:
    family, kind, protocol, _, where = address
    opened = socket.socket(family, kind, protocol)
    try:
        opened.settimeout(seconds)
        opened.connect(where)
    except OSError:
        opened.close()
        raise
    return opened


def dial(
    host: str,
    port: int,
    seconds: float,
    *,
    look_up: Callable[[str, int], Sequence[Any]] = _addresses,
    open_: Callable[[Any, float], socket.socket] = _open,
    clock: Callable[[], float] = time.monotonic,
) -> socket.socket:
    """A connection to the first address of a host that answers, within so many seconds.

    `socket.create_connection` gives that time to each address: a host with three silent ones would
    outlast what an invocation has left. Here they share it. Raises OSError.
    """
    until = clock() + seconds
    found = look_up(host, port)
    error: OSError = OSError(f"{host} has no address")
    for number, address in enumerate(found):
        try:
            left = _left(until, clock())
            share = max(left / (len(found) - number), _LEAST_SECONDS)
            return open_(address, min(left, share))
        except OSError as err:
            error = err
            if clock() >= until:
                break
    raise error


def _left(until: float, now: float) -> float:
    if now >= until:
        raise TimeoutError("timed out")
    return until - now


def _judge(host: str, status: int, said: bytes, retry_after: float | None) -> None:
    if 200 <= status < 300:
        return
    words = said[:200].decode(errors="replace").strip()
    text = f"{host} answered {status}" + (f": {words}" if words else "")
    if status >= 500:
        raise UncertainError(text, retry_after)
    raise RefusedError(text, retry_after)


def _retry_after(value: str | None) -> float | None:
    """Seconds to wait, from seconds or from a date."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
