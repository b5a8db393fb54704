"""CloudWatch alarms: which of some are in ALARM.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_DescribeAlarms.html
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from rollback.calls import call

_AT_ONCE = 100


class Alarms:
    """Looks at alarms; missing data (INSUFFICIENT_DATA) is no alarm."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def going_off(self, names: tuple[str, ...]) -> dict[str, datetime]:
        """Those of the names that are in ALARM now, with the time since when."""
        found: dict[str, datetime] = {}
        for first in range(0, len(names), _AT_ONCE):
            answer = call(
                self._client.describe_alarms,
                AlarmNames=list(names[first : first + _AT_ONCE]),
                AlarmTypes=["MetricAlarm", "CompositeAlarm"],
                StateValue="ALARM",
                MaxRecords=_AT_ONCE,
            )
            found |= {
                str(one["AlarmName"]): one["StateUpdatedTimestamp"]
                for kind in ("MetricAlarms", "CompositeAlarms")
                for one in answer.get(kind) or []
            }
        return found
