"""Elastic Beanstalk, as EventBridge events and as the plain-text mails it sends to topics.

Health stands only in the message, in two forms. Its severity is no guide: AWS's own table gives
INFO to "Managed update failed" and "Environment termination failed".
https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/AWSHowTo.eventbridge.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from notify.errors import UnrecognisedError
from notify.happening import EnvironmentEvent, Health, Origin
from notify.recognise.fields import mapping, moment, origin, text

_KINDS = frozenset(
    {
        "Elastic Beanstalk resource status change",
        "Other resource status change",
        "Health status change",
        "Managed update status change",
    }
)
_HEALTHS = {health.value.lower().replace(" ", ""): health for health in Health}
_HEALTH = "|".join(["No ?Data", *(one.value for one in Health if one is not Health.NO_DATA)])
_TRANSITION = re.compile(
    rf"health has (?:transitioned|changed) (?:from ({_HEALTH}) )?to ({_HEALTH})\b", re.IGNORECASE
)
_MAIL_LINE = re.compile(
    r"^(Timestamp|Message|Environment|Application|Environment URL): ?(.*)$", re.MULTILINE
)
_SUBJECT = "AWS Elastic Beanstalk Notification"


def environment_event(event: Mapping[str, Any]) -> EnvironmentEvent:
    """An event of one of Beanstalk's four kinds."""
    kind = text(event, "detail-type", "detailType") or ""
    if kind not in _KINDS:
        raise UnrecognisedError(f"no recogniser for {kind!r} from 'aws.elasticbeanstalk'")
    detail = mapping(event, "detail")
    message = text(detail, "Message") or text(detail, "Status")
    if message is None:
        raise UnrecognisedError(f"{kind!r} that says nothing")
    found, previous = health_in(message)
    where = origin(event)
    return EnvironmentEvent(
        origin=Origin(
            account=where.account,
            region=where.region,
            at=moment(detail.get("EventDate")) or where.at,
        ),
        application=text(detail, "ApplicationName"),
        environment=text(detail, "EnvironmentName"),
        message=message,
        status=text(detail, "Status"),
        severity=text(detail, "Severity"),
        health=found,
        previous_health=previous,
    )


def beanstalk_mail(body: str, subject: str | None) -> EnvironmentEvent | None:
    """A notification mail, or None for any other text.

    Mails may lack the environment and the application, be cut anywhere, and carry a subject that
    was cut or that says something else than the body.
    """
    lines = {name: value.strip() for name, value in _MAIL_LINE.findall(body)}
    is_mail = "Message" in lines and ("Timestamp" in lines or "Environment" in lines)
    if not is_mail and not (subject or "").startswith(_SUBJECT):
        return None
    message = lines.get("Message") or (subject or "").removeprefix(_SUBJECT).strip(" -.")
    if not message:
        return None
    found, previous = health_in(message)
    url = lines.get("Environment URL")
    return EnvironmentEvent(
        origin=Origin(at=_mail_time(lines.get("Timestamp"))),
        application=lines.get("Application") or None,
        environment=lines.get("Environment") or None,
        message=message,
        health=found,
        previous_health=previous,
        url=url if url and url.startswith("http") and not url.endswith("//null") else None,
    )


def health_in(message: str) -> tuple[Health | None, Health | None]:
    """The health a message speaks of, and the one before."""
    match = _TRANSITION.search(message)
    if match is None:
        return None, None
    before, after = match.groups()
    return _health(after), _health(before) if before else None


def _health(word: str) -> Health:
    return _HEALTHS[word.lower().replace(" ", "")]


def _mail_time(found: str | None) -> datetime | None:
    """The mail's own form, `Wed Mar 30 18:28:06 UTC 2016`."""
    try:
        return datetime.strptime(found or "", "%a %b %d %H:%M:%S UTC %Y").replace(tzinfo=UTC)
    except ValueError:
        return None
