"""The dry run: what each channel would get, with no AWS call and no network call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from notify.channels import email, pagerduty, slack, teams, webhook
from notify.compose import compose
from notify.errors import NotForUsError, UnrecognisedError
from notify.notice import Notice
from notify.parcel import Parcel
from notify.recognise import recognise
from notify.route import Channel, Rule, route


def rehearse(parcel: Parcel, rules: Sequence[Rule]) -> dict[str, Any]:
    """One message as every channel would show it, and where the routing would send it.

    Every channel counts as set up. What AWS would be asked, and what the ledger knows, is not in
    it: the event speaks alone.
    """
    try:
        notice = compose(recognise(parcel.content, parcel.subject))
    except NotForUsError as err:
        return {"outcome": "ignored", "reason": str(err)}
    except UnrecognisedError as err:
        return {"outcome": "unrecognised", "reason": str(err)}
    routing = route(notice, tuple(rules), tuple(Channel))
    return {
        "outcome": "rendered",
        "reason": routing.reason,
        "notice": _summary(notice),
        "would_send": [channel.value for channel in routing.channels],
        "renderings": renderings(notice),
    }


def renderings(notice: Notice) -> dict[str, Any]:
    """A notice in the words of every channel."""
    return {
        Channel.EMAIL.value: email.render(notice),
        Channel.SLACK.value: slack.render(notice),
        Channel.TEAMS.value: teams.render(notice),
        Channel.PAGERDUTY.value: pagerduty.render(notice)[0],
        Channel.WEBHOOK.value: webhook.render(notice),
    }


def _summary(notice: Notice) -> dict[str, Any]:
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
