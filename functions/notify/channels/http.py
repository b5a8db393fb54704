"""One HTTPS POST, and what its outcome means for whether the other side has the message.

The standard library's client: importing slack_sdk or urllib3 would cost three times as much CPU at
a cold start, and what they would add, retries, is decided here by what the ledger knows.
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Protocol
from urllib.parse import urlsplit

from notify.deliver import RefusedError, UncertainError
from trellis.errors import ConfigError

_TIMEOUT_SECONDS = 5.0
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
    parts = urlsplit(url)
    is_safe = parts.scheme == "https" or (
        parts.scheme == "http" and (parts.hostname or "") in _LOOPBACK
    )
    if not is_safe or not parts.hostname or parts.username:
        # The URL itself is a secret: whoever has it can post.
        raise ConfigError(setting, "(hidden)", "set it to an https:// URL without user or password")
    return url


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Send a body.

    Refused: it never got there, or the answer is a redirect or an error of ours (4xx; 429 says
    when to come again). Uncertain: it was sent, and then there was an error of theirs (5xx), no
    answer in time, or none that is HTTP.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(
            host, parts.port, timeout=_TIMEOUT_SECONDS, context=_tls()
        )
    else:
        connection = http.client.HTTPConnection(host, parts.port, timeout=_TIMEOUT_SECONDS)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        try:
            connection.connect()
        except OSError as err:
            raise RefusedError(f"{host} was not reached: {err}") from err
        try:
            connection.request(
                "POST", path, body, {"User-Agent": "Trellis", "Connection": "close", **headers}
            )
            response = connection.getresponse()
            said = response.read(_MOST_ANSWER_BYTES)
        except (OSError, http.client.HTTPException) as err:
            raise UncertainError(f"{host} hung up or said nothing: {err!r}") from err
    finally:
        connection.close()
    _judge(host, response.status, said, _retry_after(response.getheader("Retry-After")))
    return Answer(response.status, said)


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
