"""The control API: what stories do to the sandbox that no AWS API does.

JSON under `/_sandbox/` on the sandbox's own port; to this machine only, and not to web pages.

    GET    /_sandbox/health
    GET    /_sandbox/[REGION/]faults                     what is set, and what it did so far
    PUT    /_sandbox/[REGION/]faults                     sandbox.faults.Faults as an object
    DELETE /_sandbox/[REGION/]faults
    PUT    /_sandbox/refusals                            {"target": ARN, "code", "times"}
    PUT    /_sandbox/REGION/quotas                       {"builds": number}, CodeBuild's at once
    DELETE /_sandbox/REGION/quotas
    GET    /_sandbox/assumptions                         sandbox.assumptions, every switch's value
    PUT    /_sandbox/assumptions                         {"switch": "value"}
    DELETE /_sandbox/assumptions                         as the sandbox was started
    PUT    /_sandbox/repositories                        {"connection": ARN, "repository", "folder"}
    GET    /_sandbox/inbox                               every e-mail, oldest first
    GET    /_sandbox/mail/confirm?TopicArn=&Token=       the link of a confirmation e-mail
    GET    /_sandbox/mail/unsubscribe?SubscriptionArn=   the link below a notification
    GET    /_sandbox/REGION/environments/NAME            its address and instances
    POST   /_sandbox/REGION/environments/NAME/crash      {"instance": id}
    POST   /_sandbox/REGION/environments/NAME/terminate  {"instance": id}
    POST   /_sandbox/REGION/environments/NAME/scale      {"instances": number}
    POST   /_sandbox/REGION/environments/NAME/platform-update  {"version", "fails": false}
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, MutableMapping, Sequence
from dataclasses import asdict
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl

from sandbox.assumptions import AssumptionError, Assumptions
from sandbox.faults import Faults, FaultsError, FaultSwitch, FaultSwitches
from sandbox.service import ApiError

logger = logging.getLogger(__name__)

PREFIX = "/_sandbox/"
LOOPBACK = ("127.0.0.1", "::1")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[MutableMapping[str, Any], Receive, Send], Coroutine[Any, Any, None]]


class ControlError(Exception):
    """When a request cannot be done; the text says why and what would do."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        self.status = status
        super().__init__(message)


class Environments(Protocol):
    """The environments of one Region, as `sandbox.elasticbeanstalk.administration` offers them."""

    def instances(self, environment: str) -> Sequence[Any]:
        """The running instances, as dataclasses."""

    def address(self, environment: str) -> str:
        """Where the environment answers, `127.0.0.1:port`."""

    def crash(self, environment: str, instance_id: str) -> None:
        """Kill an instance's process."""

    def terminate_instance(self, environment: str, instance_id: str) -> None:
        """End an instance."""

    def scale(self, environment: str, count: int) -> None:
        """Scale to so many instances."""

    def managed_update(self, environment: str, version: str, *, fails: bool = False) -> None:
        """Begin a managed platform update."""


class Mailbox(Protocol):
    """E-mail as its readers have it."""

    def mails(self) -> list[dict[str, Any]]:
        """Every e-mail, oldest first."""

    def confirm(self, topic_arn: str, token: str) -> bool:
        """Follow a confirmation's link; False when the token is none."""

    def unsubscribe(self, subscription_arn: str) -> None:
        """Follow the link below a notification."""


class Control:
    """Answers the control API."""

    def __init__(
        self,
        faults: FaultSwitches,
        refuse: Callable[[str, str, int], None],
        mailbox: Mailbox,
        environments: Callable[[str], Environments] | None,
        limit_builds: Callable[[str, int | None], None],
        assumptions: Assumptions,
        register_repository: Callable[[str, str, Path], None] | None,
    ) -> None:
        self._faults, self._refuse, self._mailbox = faults, refuse, mailbox
        self._environments, self._limit_builds = environments, limit_builds
        self._assumptions, self._register_repository = assumptions, register_repository

    def around(self, application: Application) -> Application:
        """An application that answers the control API itself and hands on everything else."""

        async def outer(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["path"].startswith(PREFIX):
                await self._serve(scope, receive, send)
            else:
                await application(scope, receive, send)

        return outer

    async def _serve(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        try:
            _refuse_strangers(scope)
            query = dict(parse_qsl(scope["query_string"].decode()))
            given = json.loads(body) if body else {}
            if not isinstance(given, dict):
                raise ControlError(HTTPStatus.BAD_REQUEST, "the body is not a JSON object")
            parts = scope["path"].removeprefix(PREFIX).strip("/").split("/")
            # Off the event loop: an environment may take its time.
            answer: Any = await asyncio.to_thread(self.answer, scope["method"], parts, query, given)
            status = HTTPStatus.OK
        except ControlError as error:
            status, answer = error.status, {"error": str(error)}
        except (AssumptionError, FaultsError, TypeError, ValueError, KeyError) as error:
            status, answer = HTTPStatus.BAD_REQUEST, {"error": str(error) or repr(error)}
        except ApiError as error:
            status, answer = HTTPStatus.CONFLICT, {"error": str(error)}
        except Exception as error:
            logger.exception("%s %s failed", scope["method"], scope["path"])
            status, answer = HTTPStatus.INTERNAL_SERVER_ERROR, {"error": repr(error)}
        written = json.dumps(answer, default=str).encode()
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": int(status), "headers": headers})
        await send({"type": "http.response.body", "body": written})

    def answer(
        self,
        method: str,
        parts: Sequence[str],
        query: Mapping[str, str],
        given: Mapping[str, Any],
    ) -> Any:
        """The answer to one request; raises ControlError for what there is not."""
        match (method, *parts):
            case ("GET", "health"):
                return {"status": "ok"}
            case ("GET" | "PUT" | "DELETE", "faults"):
                return _set_faults(self._faults.of(None), method, given)
            case ("GET" | "PUT" | "DELETE", region, "faults"):
                return _set_faults(self._faults.of(region), method, given)
            case ("PUT", "refusals"):
                self._refuse(given["target"], given.get("code", "THROTTLING"), int(given["times"]))
                return given
            case ("PUT", region, "quotas"):
                self._limit_builds(region, int(given["builds"]))
                return given
            case ("DELETE", region, "quotas"):
                self._limit_builds(region, None)
                return {}
            case ("GET" | "PUT" | "DELETE", "assumptions"):
                if method == "PUT":
                    self._assumptions.change(given)
                elif method == "DELETE":
                    self._assumptions.reset()
                return self._assumptions.values()
            case ("PUT", "repositories") if self._register_repository is not None:
                folder = Path(given["folder"])
                self._register_repository(given["connection"], given["repository"], folder)
                return given
            case ("GET", "inbox"):
                return {"mails": self._mailbox.mails()}
            case ("GET", "mail", "confirm"):
                if not self._mailbox.confirm(query["TopicArn"], query["Token"]):
                    raise ControlError(HTTPStatus.NOT_FOUND, "that token confirms no subscription")
                return {"confirmed": query["TopicArn"]}
            case ("GET", "mail", "unsubscribe"):
                self._mailbox.unsubscribe(query["SubscriptionArn"])
                return {"unsubscribed": query["SubscriptionArn"]}
            case (_, region, "environments", name, *rest):
                return self._environment(method, region, name, rest, given)
        raise ControlError(
            HTTPStatus.NOT_FOUND,
            f"there is no {method} {PREFIX}{'/'.join(parts)}: sandbox/control.py lists what is",
        )

    def _environment(
        self, method: str, region: str, name: str, rest: Sequence[str], given: Mapping[str, Any]
    ) -> Any:
        if self._environments is None:
            raise ControlError(HTTPStatus.NOT_FOUND, "this sandbox has no Elastic Beanstalk")
        here = self._environments(region)
        match (method, *rest):
            case ("GET",):
                return {
                    "address": here.address(name),
                    "instances": [asdict(one) for one in here.instances(name)],
                }
            case ("POST", "crash"):
                here.crash(name, given["instance"])
            case ("POST", "terminate"):
                here.terminate_instance(name, given["instance"])
            case ("POST", "scale"):
                here.scale(name, int(given["instances"]))
            case ("POST", "platform-update"):
                here.managed_update(name, given["version"], fails=bool(given.get("fails")))
            case _:
                raise ControlError(
                    HTTPStatus.NOT_FOUND, f"an environment takes no {method} {'/'.join(rest)}"
                )
        return given


def _set_faults(switch: FaultSwitch, method: str, given: Mapping[str, Any]) -> Any:
    if method == "PUT":
        switch.set(Faults.read(given))
        return given
    faults = switch.faults
    told = {"faults": asdict(faults) if faults else None, **switch.counts()}
    if method == "DELETE":
        switch.set(None)
    return told


def _refuse_strangers(scope: Mapping[str, Any]) -> None:
    """Only this machine, and no web page that a browser on it shows, may control the sandbox."""
    headers = {key.decode().lower(): value.decode() for key, value in scope["headers"]}
    host = headers.get("host", "").rpartition(":")[0].strip("[]")
    client = (scope.get("client") or ("", 0))[0]
    if client not in LOOPBACK or host not in (*LOOPBACK, "localhost") or "origin" in headers:
        raise ControlError(HTTPStatus.FORBIDDEN, "the control API answers this machine only")
