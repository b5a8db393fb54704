"""The one way to AWS: paced, counted, and with errors that say what they mean for an audit."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from tagging_audit.pace import Paces
from trellis.errors import TrellisError
from trellis.session import Clients

_TIMEOUT_SECONDS = 20.0
_ATTEMPTS = 8
"""botocore tries again what was throttled or not answered, ever more slowly."""
_ATTEMPTS_OF = {"resource-explorer-2": 1}
"""An audit can do without it, and so never waits for it."""
_MOST_THREADS = 4
_LONGEST_SAID = 200

_PREFIXES = {
    "elbv2": "elasticloadbalancing",
    "resourcegroupstaggingapi": "tag",
    "stepfunctions": "states",
}
_DENIED = (
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
    "NotAuthorized",
    "UnauthorizedException",
    "UnauthorizedOperation",
)
_THROTTLED = (
    "RequestLimitExceeded",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
)
_GONE = (
    "AWS.SimpleQueueService.NonExistentQueue",
    "NoSuchBucket",
    "NoSuchEntity",
    "NoSuchEntityException",
    "QueueDoesNotExist",
)


class Why(StrEnum):
    """Why AWS did not answer a question."""

    DENIED = "denied"
    THROTTLED = "throttled"
    GONE = "gone"
    ENDED = "ended"
    """What was asked for is described, but as something that is over."""
    REFUSED = "refused"
    """It answered with another error."""
    SILENT = "silent"
    """It did not answer, or could not be reached."""


class CallError(TrellisError):
    """When AWS did not do what was asked; the text names the action and why."""

    def __init__(self, action: str, why: Why, code: str, said: str) -> None:
        said = " ".join(said.split())
        said = said if len(said) <= _LONGEST_SAID else f"{said[:_LONGEST_SAID]}…"
        self.action, self.why, self.code, self.said = action, why, code, said
        super().__init__(
            {
                Why.DENIED: f"{action} was denied",
                Why.THROTTLED: f"{action} was throttled to the end of its retries",
                Why.GONE: f"{action} says that it is gone",
                Why.ENDED: f"{action} says that it has come to its end",
                Why.REFUSED: f"{action} was refused: {code}: {said}",
                Why.SILENT: f"{action} was not answered: {said}",
            }[why]
        )


class Aws:
    """Clients of several Regions for several threads."""

    def __init__(
        self,
        paces: Paces,
        clients: Callable[[str], Clients] = Clients,
        *,
        attempts: int = _ATTEMPTS,
    ) -> None:
        self._paces = paces
        self._of_region = clients
        self._attempts = attempts
        self._regions: dict[str, Clients] = {}
        self._made: dict[tuple[str, str], Any] = {}
        self._plain: set[tuple[str, str, str]] = set()
        self._lock = threading.Lock()
        self.requests = 0
        """Everything that went over the wire, repeats included."""

    def call(self, service: str, region: str, operation: str, /, **request: Any) -> dict[str, Any]:
        """Ask, at the service's pace. `operation` is botocore's name of it: `list_queues`.

        Raises CallError.
        """
        from botocore.exceptions import BotoCoreError, ClientError
        from botocore.parsers import ResponseParserError

        client = self._client(service, region)
        api_name = client.meta.method_to_api_mapping[operation]
        action = f"{_PREFIXES.get(service, service)}:{api_name}"
        self._paces.of(service, region).wait()
        try:
            answer: dict[str, Any] = getattr(client, operation)(**request)
        except ClientError as err:
            raise _error(action, err.response) from err
        except (BotoCoreError, ResponseParserError) as err:
            raise CallError(action, Why.SILENT, type(err).__name__, str(err)) from err
        return answer

    def page(self, service: str, region: str, operation: str, /, **request: Any) -> dict[str, Any]:
        """Ask for a page of a long list: the same, but the answer is plain JSON where it was JSON.

        botocore's parser walks the model for every field of every item, which costs more than all
        else of an audit together. Times are numbers then, as the service wrote them.
        """
        client = self._client(service, region)
        with self._lock:
            is_known = (service, region, operation) in self._plain
            self._plain.add((service, region, operation))
        if not is_known and "json" in client.meta.service_model.resolved_protocol:
            name = client.meta.method_to_api_mapping[operation]
            service_id = client.meta.service_model.service_id.hyphenize()
            client.meta.events.register(f"before-parse.{service_id}.{name}", _plainly)
        return self.call(service, region, operation, **request)

    def _client(self, service: str, region: str) -> Any:
        with self._lock:
            if (service, region) not in self._made:
                clients = self._regions.setdefault(region, self._of_region(region))
                client = clients.get(
                    service,
                    timeout_seconds=_TIMEOUT_SECONDS,
                    attempts=_ATTEMPTS_OF.get(service, self._attempts),
                )
                client.meta.events.register("before-send", self._count)
                _read_times_fast(client)
                self._made[service, region] = client
            return self._made[service, region]

    def _count(self, **_: Any) -> None:
        with self._lock:
            self.requests += 1


def _read_times_fast(client: Any) -> None:
    """Let a client read ISO 8601 by itself, not by dateutil, which takes fifty times as long.

    A botocore that keeps its parsers elsewhere goes its own way, to the same times.
    """
    endpoint = getattr(client, "_endpoint", None)
    factory = getattr(endpoint, "_response_parser_factory", None)
    if factory is not None:
        factory.set_parser_defaults(timestamp_parser=_time)


def _time(value: Any) -> Any:
    from botocore.utils import parse_timestamp

    if isinstance(value, str) and value[4:5] == "-" and value[10:11] == "T":
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            return parse_timestamp(value)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    return parse_timestamp(value)


def _plainly(
    response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any
) -> None:
    """Read an answer as it is, and leave botocore an empty one to read."""
    if response_dict["status_code"] == 200:
        customized_response_dict.update(json.loads(response_dict["body"] or b"{}"))
        response_dict["body"] = b"{}"


def _error(action: str, response: Any) -> CallError:
    error = response.get("Error", {})
    code, said = str(error.get("Code", "")), str(error.get("Message", ""))
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code in _DENIED or status == 403:
        why = Why.DENIED
    elif code in _THROTTLED or status == 429:
        why = Why.THROTTLED
    elif code in _GONE or "NotFound" in code:
        why = Why.GONE
    else:
        why = Why.REFUSED
    return CallError(action, why, code, said)


def nothing_found(service: str, operation: str, why: Why = Why.GONE) -> CallError:
    """The error for an answer that leaves out what was asked for, or says that it has ended."""
    name = "".join(word.capitalize() for word in operation.split("_"))
    return CallError(f"{_PREFIXES.get(service, service)}:{name}", why, "", "")


def in_threads(work: list[Callable[[], None]]) -> None:
    """Do all of it, some at a time; the first thing that is raised is raised here too."""
    from concurrent.futures import ThreadPoolExecutor

    if len(work) <= 1:
        for one in work:
            one()
        return
    with ThreadPoolExecutor(max_workers=_MOST_THREADS) as pool:
        for done in [pool.submit(one) for one in work]:
            done.result()
