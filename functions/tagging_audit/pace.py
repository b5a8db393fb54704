"""How fast each service may be asked.

Every limit counts for the whole account and Region, so others share it: an audit stays well below
where a page gives a number, and slow where none does. botocore tries again what was throttled all
the same.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

PER_SECOND: Mapping[str, float] = {
    # 15 a second for GetResources:
    # https://docs.aws.amazon.com/tag-editor/latest/userguide/reference.html
    "resourcegroupstaggingapi": 14,
    # 10 a second: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html
    "logs": 9,
    # 15 a second for all control calls:
    # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    "lambda": 10,
    # 30 a second for ListTopics: https://docs.aws.amazon.com/general/latest/gr/sns.html
    "sns": 20,
    # Tens to hundreds a second: https://docs.aws.amazon.com/kms/latest/developerguide/requests-per-second.html
    "kms": 20,
    "secretsmanager": 20,
    "sqs": 20,
    "s3": 20,
    "dynamodb": 10,
    # 9 a second for DescribeAlarms:
    # https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html
    "cloudwatch": 5,
    # It shares its limit with the calls of whoever watches a deployment.
    "elasticbeanstalk": 2,
    "codepipeline": 4,
}
OTHERS = 5.0
"""What a service without a line above is asked."""


class Pace:
    """Spaces the calls of several threads to one service of one Region."""

    def __init__(
        self, per_second: float, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._interval = 1 / per_second
        self._clock, self._sleep = clock, sleep
        self._next = clock()
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Come back when the next call may be made."""
        with self._lock:
            now = self._clock()
            turn = max(self._next, now)
            self._next = turn + self._interval
        if turn > now:
            self._sleep(turn - now)


class Paces:
    """One pace for each service and Region."""

    def __init__(self, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._clock, self._sleep = clock, sleep
        self._paces: dict[tuple[str, str], Pace] = {}
        self._lock = threading.Lock()

    def of(self, service: str, region: str) -> Pace:
        with self._lock:
            key = (service, region)
            if key not in self._paces:
                rate = PER_SECOND.get(service, OTHERS)
                self._paces[key] = Pace(rate, self._clock, self._sleep)
            return self._paces[key]
