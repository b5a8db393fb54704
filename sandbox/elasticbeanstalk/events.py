"""What an environment tells: the events that DescribeEvents lists, and those on EventBridge.

The forms on EventBridge, their Status and Severity, are the table of
https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/AWSHowTo.eventbridge.html. That page prints
the resource as `arn:was:elasticbeanstalk:…`. We write `arn:aws`: everywhere else Beanstalk's ARNs
are right, and whoever parses the printed form would break on a correct one.
"""

from __future__ import annotations

import base64
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

SEVERITIES = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
KEPT = timedelta(weeks=6)
"""How long DescribeEvents remembers."""


class DetailType(StrEnum):
    """The detail-types on EventBridge."""

    ENVIRONMENT = "Elastic Beanstalk resource status change"
    RESOURCE = "Other resource status change"
    HEALTH = "Health status change"
    MANAGED = "Managed update status change"


def detail(
    status: str, severity: str, message: str, application: str, environment: str, at: datetime
) -> Mapping[str, object]:
    """The detail of an EventBridge event; EventDate is in milliseconds since the epoch."""
    return {
        "Status": status,
        "EventDate": int(at.timestamp() * 1000),
        "ApplicationName": application,
        "Message": message,
        "EnvironmentName": environment,
        "Severity": severity,
    }


@dataclass(frozen=True, slots=True)
class Event:
    """One line of DescribeEvents; empty where AWS leaves a member out."""

    number: int
    at: datetime
    severity: str
    message: str
    application: str
    environment: str = ""
    environment_id: str = ""
    version_label: str = ""
    template: str = ""
    platform_arn: str = ""
    request_id: str = ""

    def described(self) -> Mapping[str, object]:
        """The API's EventDescription."""
        members = {
            "EventDate": self.at,
            "Message": self.message,
            "ApplicationName": self.application,
            "VersionLabel": self.version_label,
            "TemplateName": self.template,
            "EnvironmentName": self.environment,
            "PlatformArn": self.platform_arn,
            "RequestId": self.request_id,
            "Severity": self.severity,
        }
        return {name: value for name, value in members.items() if value}


@dataclass(frozen=True, slots=True)
class Wanted:
    """The filters of DescribeEvents; empty ones filter nothing, `severity` is the lowest wanted."""

    application: str = ""
    environment: str = ""
    environment_id: str = ""
    version_label: str = ""
    template: str = ""
    platform_arn: str = ""
    request_id: str = ""
    severity: str = ""
    start: datetime | None = None
    end: datetime | None = None

    def takes(self, event: Event) -> bool:
        """Whether an event passes every filter."""
        pairs = (
            (self.application, event.application),
            (self.environment, event.environment),
            (self.environment_id, event.environment_id),
            (self.version_label, event.version_label),
            (self.template, event.template),
            (self.platform_arn, event.platform_arn),
            (self.request_id, event.request_id),
        )
        return (
            all(not wanted or wanted == value for wanted, value in pairs)
            and (
                not self.severity
                or SEVERITIES.index(event.severity) >= SEVERITIES.index(self.severity)
            )
            and (self.start is None or event.at >= self.start)
            and (self.end is None or event.at < self.end)
        )


class PageError(Exception):
    """When a NextToken is not one that was handed out."""


class Journal:
    """The events of one account and Region, newest first when read."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: list[Event] = []

    def add(
        self,
        at: datetime,
        severity: str,
        message: str,
        application: str,
        *,
        environment: str = "",
        environment_id: str = "",
        version_label: str = "",
        platform_arn: str = "",
        request_id: str = "",
    ) -> None:
        """Write an event down; its date has whole milliseconds."""
        whole = at.replace(microsecond=at.microsecond // 1000 * 1000)
        with self._lock:
            number = self._events[-1].number + 1 if self._events else 1
            self._events.append(
                Event(
                    number,
                    whole,
                    severity,
                    message,
                    application,
                    environment,
                    environment_id,
                    version_label,
                    "",
                    platform_arn,
                    request_id,
                )
            )

    def page(
        self, wanted: Wanted, now: datetime, size: int, token: str | None
    ) -> tuple[list[Event], str | None]:
        """A page of events and the token of the next; events that come meanwhile shift nothing."""
        below = _number(token) if token else None
        with self._lock:
            self._events = [event for event in self._events if now - event.at <= KEPT]
            found = [
                event
                for event in reversed(self._events)
                if wanted.takes(event) and (below is None or event.number < below)
            ]
        page = found[:size]
        return page, (_token(page[-1].number) if len(found) > size else None)


def _token(number: int) -> str:
    return base64.urlsafe_b64encode(f"events/{number}".encode()).decode()


def _number(token: str) -> int:
    try:
        kind, number = base64.urlsafe_b64decode(token.encode()).decode().split("/")
        if kind == "events":
            return int(number)
    except ValueError as error:
        raise PageError(f"Invalid NextToken: {token}") from error
    raise PageError(f"Invalid NextToken: {token}")
