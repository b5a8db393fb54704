"""CloudWatch alarms, as EventBridge events and as the messages that alarms send to topics.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from notify.errors import NotForUsError, UnrecognisedError
from notify.happening import AlarmEvent, AlarmState, Origin
from notify.recognise.fields import items, mapping, moment, origin, text
from trellis.arn import Arn

_DATAPOINT = re.compile(r"(-?\d+(?:\.\d+)?(?:E-?\d+)?) \(\d\d?/\d\d?/\d")


def alarm_event(event: Mapping[str, Any]) -> AlarmEvent:
    """A change of an alarm's state that came through EventBridge."""
    kind = text(event, "detail-type", "detailType") or ""
    if kind == "CloudWatch Alarm Configuration Change":
        raise NotForUsError("somebody changed an alarm's settings; its state speaks for itself")
    if kind != "CloudWatch Alarm State Change":
        raise UnrecognisedError(f"no recogniser for {kind!r} from 'aws.cloudwatch'")
    detail = mapping(event, "detail")
    state, configuration = mapping(detail, "state"), mapping(detail, "configuration")
    resources = event.get("resources")
    arn = resources[0] if isinstance(resources, list) and resources else None
    metrics = [
        mapping(mapping(one, "metricStat"), "metric")
        for one in items(configuration, "metrics")
        if mapping(one, "metricStat")
    ]
    metric: Mapping[str, Any] = metrics[0] if metrics else {}
    named = [text(metric, "namespace"), text(metric, "name")]
    return AlarmEvent(
        origin=origin(event),
        name=_name(text(detail, "alarmName")),
        state=_state(text(state, "value")),
        previous=_previous(text(mapping(detail, "previousState"), "value")),
        reason=text(state, "reason"),
        description=text(configuration, "description"),
        arn=arn if isinstance(arn, str) else None,
        metric=" ".join(part for part in named if part) or text(configuration, "alarmRule"),
        dimensions=tuple(
            (str(key), str(value)) for key, value in mapping(metric, "dimensions").items()
        ),
        suppressed=text(state, "actionsSuppressedReason"),
        datapoints=_datapoints(text(state, "reason")),
    )


def alarm_message(message: Mapping[str, Any]) -> AlarmEvent:
    """A change of an alarm's state as the alarm told its topic; `Region` is a place there."""
    arn = Arn.parse(message.get("AlarmArn"))
    trigger = mapping(message, "Trigger")
    named = [text(trigger, "Namespace"), text(trigger, "MetricName")]
    return AlarmEvent(
        origin=Origin(
            account=text(message, "AWSAccountId"),
            region=arn.region if arn else None,
            at=moment(text(message, "StateChangeTime")),
        ),
        name=_name(text(message, "AlarmName")),
        state=_state(text(message, "NewStateValue")),
        previous=_previous(text(message, "OldStateValue")),
        reason=text(message, "NewStateReason"),
        description=text(message, "AlarmDescription"),
        arn=text(message, "AlarmArn"),
        metric=" ".join(part for part in named if part) or text(message, "AlarmRule"),
        dimensions=tuple(
            (text(one, "name") or "", text(one, "value") or "")
            for one in items(trigger, "Dimensions")
        ),
        suppressed=text(message, "ActionsSuppressedReason"),
        datapoints=_datapoints(text(message, "NewStateReason")),
    )


def _datapoints(reason: str | None) -> tuple[float, ...]:
    """The values in `… datapoints [25.0 (24/11/26 09:39:00), 20.0 (24/11/26 09:38:00)] …`."""
    return tuple(float(found) for found in _DATAPOINT.findall(reason or ""))


def _name(found: str | None) -> str:
    if found is None:
        raise UnrecognisedError("an alarm without a name")
    return found


def _state(found: str | None) -> AlarmState:
    if found is None or found not in AlarmState:
        raise UnrecognisedError(f"an alarm with the unknown state {found!r}")
    return AlarmState(found)


def _previous(found: str | None) -> AlarmState | None:
    return AlarmState(found) if found is not None and found in AlarmState else None
