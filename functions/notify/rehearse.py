"""The dry run: what each channel would get, with no AWS call and no network call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from notify.channels import email
from notify.compose import approval_notice, release_notice
from notify.happening import ApprovalRequest, NotForUsError, ReleaseEvent, UnrecognisedError
from notify.notice import Notice
from notify.parcel import Parcel
from notify.recognise import recognise
from notify.route import Channel, Rule, route
from notify.story import Story


def rehearse(parcel: Parcel, rules: Sequence[Rule]) -> dict[str, Any]:
    """One message as every channel would show it, and where the routing would send it."""
    try:
        happening = recognise(parcel.content, parcel.subject)
    except NotForUsError as err:
        return {"outcome": "ignored", "reason": str(err)}
    except UnrecognisedError as err:
        return {"outcome": "unrecognised", "reason": str(err)}
    match happening:
        case ReleaseEvent():
            notice = release_notice(happening, Story())
        case ApprovalRequest():
            notice = approval_notice(happening)
    routing = route(notice, tuple(rules), tuple(Channel))
    return {
        "outcome": "rendered",
        "reason": routing.reason,
        "notice": _notice(notice),
        "would_send": [channel.value for channel in routing.channels],
        "renderings": {Channel.EMAIL.value: email.render(notice)},
    }


def _notice(notice: Notice) -> dict[str, Any]:
    return {
        "severity": notice.severity.value,
        "headline": notice.headline,
        "pipeline": notice.pipeline,
        "stage": notice.stage,
        "action": notice.action,
        "execution_id": notice.execution_id,
        "region": notice.region,
        "state": notice.state,
        "failure_reason": notice.failure_reason,
        "links": {link.key: link.url for link in notice.links},
    }
