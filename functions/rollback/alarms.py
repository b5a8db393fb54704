"""CloudWatch alarms: which of some are in ALARM.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from rollback.calls import call
from rollback.facts import AlarmOff

_AT_ONCE = 100
_OF_A_COMPOSITE = timedelta(minutes=5)
"""A composite alarm does not say how far back its alarms look."""


class Alarms:
    """Looks at alarms; missing data (INSUFFICIENT_DATA) is no alarm."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def going_off(self, names: tuple[str, ...]) -> dict[str, AlarmOff]:
        """Those of the names that are in ALARM now."""
        found: dict[str, AlarmOff] = {}
        for first in range(0, len(names), _AT_ONCE):
            answer = call(
                self._client.describe_alarms,
                AlarmNames=list(names[first : first + _AT_ONCE]),
                AlarmTypes=["MetricAlarm", "CompositeAlarm"],
                StateValue="ALARM",
                MaxRecords=_AT_ONCE,
            )
            for one in answer.get("MetricAlarms") or []:
                found[str(one["AlarmName"])] = AlarmOff(
                    since=_went_off(one),
                    window=_period(one) * int(one.get("EvaluationPeriods") or 1),
                    period=_period(one),
                )
            for one in answer.get("CompositeAlarms") or []:
                found[str(one["AlarmName"])] = AlarmOff(
                    since=_went_off(one), window=_OF_A_COMPOSITE
                )
        return found


def _went_off(alarm: Mapping[str, Any]) -> datetime:
    """When the state became what it is. "Updated" also moves where the state stays: with an
    evaluation's own state, and for a composite alarm with each alarm that it looks at.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricAlarm.html
    """
    since: datetime = alarm.get("StateTransitionedTimestamp") or alarm["StateUpdatedTimestamp"]
    return since


def _period(alarm: Mapping[str, Any]) -> timedelta:
    """The longest of an alarm's periods: one of metric math has several."""
    periods = [alarm.get("Period") or 0]
    for metric in alarm.get("Metrics") or []:
        periods += [metric.get("Period") or 0, metric.get("MetricStat", {}).get("Period") or 0]
    return timedelta(seconds=max(periods))
