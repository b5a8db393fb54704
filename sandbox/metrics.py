"""CloudWatch: metrics out of log lines, and when an alarm changes its state.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sandbox.metric_math import ExpressionError, Given, Series, evaluate


@dataclass(frozen=True, slots=True)
class Datum:
    """One data point that a log line holds; `time` in seconds of the epoch."""

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    value: float
    unit: str
    time: float


def embedded(line: str, now: float) -> Iterator[Datum]:
    """The data points of a log line in the embedded metric format; none for any other line."""
    if '"_aws"' not in line:
        return
    try:
        document = json.loads(line)
    except ValueError:
        return
    envelope = document.get("_aws") if isinstance(document, Mapping) else None
    directives = envelope.get("CloudWatchMetrics") if isinstance(envelope, Mapping) else None
    if not isinstance(directives, list):
        return
    time = float((envelope or {}).get("Timestamp", now * 1000)) / 1000
    for directive in directives:
        # A directive without dimensions stands for one empty set of them.
        for names in directive.get("Dimensions") or [[]]:
            if any(name not in document for name in names):
                continue
            dimensions = {name: str(document[name]) for name in names}
            for metric in directive.get("Metrics", ()):
                found = document.get(metric["Name"])
                for value in found if isinstance(found, list) else [found]:
                    if isinstance(value, (int, float)) and not isinstance(value, bool):
                        yield Datum(
                            directive["Namespace"],
                            metric["Name"],
                            dimensions,
                            float(value),
                            metric.get("Unit", "None"),
                            time,
                        )


class State(StrEnum):
    """The states of an alarm."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The state that an alarm should be in, why, and the data it was judged by."""

    state: State
    reason: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric and a statistic of it over periods of so many seconds."""

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    statistic: str
    period: float


StatisticOf = Callable[[Metric, float, float], float | None]
"""The statistic of a metric from one moment to another (excluded); None without data."""

_COMPARISONS: Mapping[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanThreshold": (lambda value, limit: value > limit, "greater than"),
    "GreaterThanOrEqualToThreshold": (
        lambda value, limit: value >= limit,
        "greater than or equal to",
    ),
    "LessThanThreshold": (lambda value, limit: value < limit, "less than"),
    "LessThanOrEqualToThreshold": (
        lambda value, limit: value <= limit,
        "less than or equal to",
    ),
}
EXTRA_PERIODS = 2
"""How many periods more than its own an alarm looks back for data, as in AWS's table of three
evaluation periods and five retrieved data points."""


def metric_of(described: Mapping[str, Any], statistic: str, period: float) -> Metric:
    """Read a metric as PutMetricAlarm and MetricStat describe it."""
    return Metric(
        described["Namespace"],
        described["MetricName"],
        {one["Name"]: one["Value"] for one in described.get("Dimensions") or ()},
        statistic,
        period,
    )


def period_of(alarm: Mapping[str, Any]) -> float:
    """The seconds of one evaluation period; with metric math, those of its metrics."""
    if not alarm.get("Metrics"):
        return float(alarm.get("Period") or 60)
    periods = [
        float(query.get("Period") or (query.get("MetricStat") or {}).get("Period") or 0)
        for query in alarm["Metrics"]
    ]
    return max(periods) or 60.0


def series_of(alarm: Mapping[str, Any], now: float, statistic_of: StatisticOf) -> Series:
    """What an alarm watches, by the start of each period; the last one ends now.

    An alarm of five minutes is evaluated every minute over the five minutes before: its periods
    slide with the clock.
    """
    period = period_of(alarm)
    count = int(alarm["EvaluationPeriods"]) + EXTRA_PERIODS
    times = [now - period * (index + 1) for index in range(count)]

    def values(metric: Metric) -> Series:
        found = {time: statistic_of(metric, time, time + period) for time in times}
        return {time: value for time, value in found.items() if value is not None}

    queries = alarm.get("Metrics")
    if not queries:
        statistic = alarm.get("ExtendedStatistic") or alarm.get("Statistic") or "Average"
        return values(metric_of(alarm, statistic, period))
    given = {
        query["Id"]: values(
            metric_of(query["MetricStat"]["Metric"], query["MetricStat"]["Stat"], period)
        )
        for query in queries
        if query.get("MetricStat")
    }
    series = _calculated(queries, given, times, period)
    result = next(
        (query for query in queries if query.get("ReturnData", True) is not False), queries[0]
    )
    return series[result["Id"]]


def query_all(
    queries: Sequence[Mapping[str, Any]], start: float, end: float, statistic_of: StatisticOf
) -> Mapping[str, Series]:
    """The series of every query of GetMetricData, by id; periods begin on the clock."""
    given: dict[str, Series] = {}
    times: set[float] = set()
    shortest = math.inf
    for query in queries:
        stat = query.get("MetricStat")
        if not stat:
            continue
        metric = metric_of(stat["Metric"], stat["Stat"], float(stat["Period"]))
        shortest = min(shortest, metric.period)
        moments = []
        moment = start - start % metric.period
        while moment < end:
            moments.append(moment)
            moment += metric.period
        times |= set(moments)
        found = {
            time: statistic_of(metric, time, min(time + metric.period, end)) for time in moments
        }
        given[query["Id"]] = {time: value for time, value in found.items() if value is not None}
    return _calculated(queries, given, sorted(times), shortest if given else 60.0)


def _calculated(
    queries: Sequence[Mapping[str, Any]],
    given: Mapping[str, Series],
    times: Sequence[float],
    period: float,
) -> Mapping[str, Series]:
    """The given series, and those of the expressions over them and over each other."""
    series, metrics = dict(given), list(given)
    waiting = [query for query in queries if query.get("Expression")]
    while waiting:
        failure: ExpressionError | None = None
        for query in waiting:
            try:
                series[query["Id"]] = evaluate(
                    query["Expression"], Given(series, metrics, times, period)
                )
            except ExpressionError as error:
                failure = error  # it may name an expression that is read later
        left = [query for query in waiting if query["Id"] not in series]
        if len(left) == len(waiting) and failure:
            raise failure
        waiting = left
    return series


def judge(alarm: Mapping[str, Any], now: float, statistic_of: StatisticOf) -> Judgement | None:
    """The state that an alarm should have now; None leaves it as it is.

    M out of N data points, and what is missing by TreatMissingData, as AWS describes it: data is
    looked for in more periods than are evaluated, and only what is then still missing is treated.
    """
    series = series_of(alarm, now, statistic_of)
    needed = int(alarm["EvaluationPeriods"])
    to_alarm = int(alarm.get("DatapointsToAlarm") or needed)
    threshold = float(alarm.get("Threshold") or 0.0)
    crosses, words = _COMPARISONS[alarm["ComparisonOperator"]]
    treatment = alarm.get("TreatMissingData") or "missing"

    found = sorted(series.items(), reverse=True)[:needed]
    breaching = [(time, value) for time, value in found if crosses(value, threshold)]
    missing = needed - len(found)
    data = _reason_data(alarm, found, threshold, now)
    if not found:
        match treatment:
            case "ignore":
                return None
            case "missing":
                plural = "datapoints were" if needed > 1 else "datapoint was"
                return Judgement(
                    State.INSUFFICIENT_DATA, f"Insufficient Data: {needed} {plural} unknown.", data
                )
        kind, state = (
            ("Breaching", State.ALARM) if treatment == "breaching" else ("NonBreaching", State.OK)
        )
        periods = "period" if needed == 1 else "periods"
        points = "datapoint was" if needed == 1 else "datapoints were"
        return Judgement(
            state,
            f"Threshold Crossed: no datapoints were received for {needed} {periods} and {needed} "
            f"missing {points} treated as [{kind}].",
            data,
        )
    healthy = [point for point in found if point not in breaching]
    worst = len(breaching) + (missing if treatment == "breaching" else 0)
    if missing and not healthy and worst < to_alarm:
        if treatment == "ignore":
            return None
        # "Alarm always goes into ALARM when the oldest available breaching datapoint is at least
        # as old as the value of Datapoints to Alarm, and all other more recent data points are
        # breaching or missing."
        if treatment == "missing" and now - breaching[-1][0] >= to_alarm * period_of(alarm):
            worst = to_alarm
    if worst >= to_alarm:
        return Judgement(
            State.ALARM, _crossed(breaching or found, needed, to_alarm, words, threshold), data
        )
    return Judgement(
        State.OK,
        _crossed(healthy or found, needed, needed - to_alarm + 1, f"not {words}", threshold),
        data,
    )


def _crossed(
    points: Sequence[tuple[float, float]], needed: int, minimum: int, words: str, threshold: float
) -> str:
    listed = ", ".join(
        f"{value} ({datetime.fromtimestamp(time, UTC):%d/%m/%y %H:%M:%S})" for time, value in points
    )
    were = "datapoints" if needed > 1 else "datapoint"
    was = "were" if len(points) > 1 else "was"
    change = "OK -> ALARM" if not words.startswith("not ") else "ALARM -> OK"
    least = "datapoint" if minimum == 1 else "datapoints"
    return (
        f"Threshold Crossed: {len(points)} out of the last {needed} {were} [{listed}] {was} "
        f"{words} the threshold ({threshold}) (minimum {minimum} {least} for {change} transition)."
    )


def _reason_data(
    alarm: Mapping[str, Any], found: Sequence[tuple[float, float]], threshold: float, now: float
) -> Mapping[str, Any]:
    data: dict[str, Any] = {
        "version": "1.0",
        "queryDate": _stamp(now),
        "statistic": alarm.get("Statistic"),
        "period": int(period_of(alarm)),
        "recentDatapoints": [value for _, value in reversed(found)],
        "threshold": threshold,
        "evaluatedDatapoints": [
            {"timestamp": _stamp(time), "value": value} for time, value in found
        ],
    }
    if found:
        data["startDate"] = _stamp(found[-1][0])
    if alarm.get("Metrics"):
        del data["statistic"]
    return data


def _stamp(time: float) -> str:
    """A moment as CloudWatch writes it, `2026-11-24T04:10:00.000+0000`."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds")[:-6] + "+0000"


# -- what is told ------------------------------------------------------------------------------


def _event_metrics(alarm: Mapping[str, Any]) -> list[dict[str, Any]]:
    queries = alarm.get("Metrics") or [
        {
            "Id": "m1",
            "MetricStat": {
                "Metric": alarm,
                "Period": int(period_of(alarm)),
                "Stat": alarm.get("ExtendedStatistic") or alarm.get("Statistic"),
            },
            "ReturnData": True,
        }
    ]
    described = []
    for query in queries:
        one: dict[str, Any] = {"id": query["Id"], "returnData": query.get("ReturnData", True)}
        if query.get("Label"):
            one["label"] = query["Label"]
        if query.get("Expression"):
            one["expression"] = query["Expression"]
        else:
            stat = query["MetricStat"]
            metric = metric_of(stat["Metric"], stat["Stat"], float(stat["Period"]))
            one["metricStat"] = {
                "metric": {
                    "namespace": metric.namespace,
                    "name": metric.name,
                    "dimensions": dict(metric.dimensions),
                },
                "period": int(metric.period),
                "stat": metric.statistic,
            }
        described.append(one)
    return described


def state_of(alarm: Mapping[str, Any]) -> dict[str, Any]:
    """An alarm's present state as an event carries it."""
    state = {
        "value": alarm["StateValue"],
        "reason": alarm.get("StateReason", ""),
        "timestamp": _stamp(float(alarm.get("StateUpdatedTimestamp") or 0)),
    }
    if alarm.get("StateReasonData"):
        state["reasonData"] = alarm["StateReasonData"]
    return state


def event_detail(alarm: Mapping[str, Any], previous: Mapping[str, Any]) -> dict[str, Any]:
    """The detail of "CloudWatch Alarm State Change".

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html
    """
    configuration: dict[str, Any] = {}
    if alarm.get("AlarmDescription"):
        configuration["description"] = alarm["AlarmDescription"]
    if alarm.get("AlarmRule"):
        configuration["alarmRule"] = alarm["AlarmRule"]
        configuration["actionsEnabled"] = alarm.get("ActionsEnabled", True)
    else:
        configuration["metrics"] = _event_metrics(alarm)
    return {
        "alarmName": alarm["AlarmName"],
        "configuration": configuration,
        "previousState": dict(previous),
        "state": state_of(alarm),
    }


REGION_NAMES = {
    "us-east-1": "US East (N. Virginia)",
    "us-east-2": "US East (Ohio)",
    "us-west-1": "US West (N. California)",
    "us-west-2": "US West (Oregon)",
}


@dataclass(frozen=True, slots=True)
class Notification:
    """What an alarm publishes: a subject, a JSON body for machines, a text for e-mail."""

    subject: str
    message: str


def notification(
    alarm: Mapping[str, Any], previous: str, account: str, region: str
) -> Notification:
    """The message of an alarm action to SNS.

    The JSON has the fields that alarms are known to send; the e-mail reads as CloudWatch's does.
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Notify_Users_Alarm_Changes.html
    """
    place = REGION_NAMES.get(region, region)
    body: dict[str, Any] = {
        "AlarmName": alarm["AlarmName"],
        "AlarmDescription": alarm.get("AlarmDescription") or None,
        "AWSAccountId": account,
        "AlarmConfigurationUpdatedTimestamp": _stamp(
            float(alarm.get("AlarmConfigurationUpdatedTimestamp") or 0)
        ),
        "NewStateValue": alarm["StateValue"],
        "NewStateReason": alarm["StateReason"],
        "StateChangeTime": _stamp(float(alarm["StateUpdatedTimestamp"])),
        "Region": place,
        "AlarmArn": alarm["AlarmArn"],
        "OldStateValue": previous,
        "OKActions": alarm.get("OKActions") or [],
        "AlarmActions": alarm.get("AlarmActions") or [],
        "InsufficientDataActions": alarm.get("InsufficientDataActions") or [],
    }
    if alarm.get("AlarmRule"):
        body["AlarmRule"] = alarm["AlarmRule"]
    else:
        body["Trigger"] = _trigger(alarm)
    message = {"default": json.dumps(body), "email": _email(alarm, previous, account, region)}
    subject = f'{alarm["StateValue"]}: "{alarm["AlarmName"]}" in {place}'
    return Notification(subject[:99], json.dumps(message))


def _trigger(alarm: Mapping[str, Any]) -> dict[str, Any]:
    trigger: dict[str, Any] = {
        "Period": int(period_of(alarm)),
        "EvaluationPeriods": int(alarm["EvaluationPeriods"]),
        "ComparisonOperator": alarm["ComparisonOperator"],
        "Threshold": float(alarm.get("Threshold") or 0.0),
        "TreatMissingData": alarm.get("TreatMissingData") or "missing",
        "EvaluateLowSampleCountPercentile": alarm.get("EvaluateLowSampleCountPercentile") or "",
    }
    if alarm.get("DatapointsToAlarm"):
        trigger["DatapointsToAlarm"] = int(alarm["DatapointsToAlarm"])
    if alarm.get("Metrics"):
        trigger["Metrics"] = [
            _trigger_query(query) if query.get("MetricStat") else dict(query)
            for query in alarm["Metrics"]
        ]
        return trigger
    return trigger | {
        "MetricName": alarm["MetricName"],
        "Namespace": alarm["Namespace"],
        "StatisticType": "ExtendedStatistic" if alarm.get("ExtendedStatistic") else "Statistic",
        "Statistic": (alarm.get("ExtendedStatistic") or alarm["Statistic"]).upper(),
        "Unit": alarm.get("Unit"),
        "Dimensions": _small_names(alarm.get("Dimensions") or ()),
    }


def _trigger_query(query: Mapping[str, Any]) -> dict[str, Any]:
    stat = query["MetricStat"]
    metric = {**stat["Metric"], "Dimensions": _small_names(stat["Metric"].get("Dimensions") or ())}
    return {**query, "MetricStat": {**stat, "Metric": metric}}


def _small_names(dimensions: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    return [{"value": one["Value"], "name": one["Name"]} for one in dimensions]


def _email(alarm: Mapping[str, Any], previous: str, account: str, region: str) -> str:
    place = REGION_NAMES.get(region, region)
    changed = datetime.fromtimestamp(float(alarm["StateUpdatedTimestamp"]), UTC)
    at = f"{changed:%A %d %B, %Y %H:%M:%S} UTC"
    link = (
        f"https://{region}.console.aws.amazon.com/cloudwatch/deeplink.js?region={region}"
        f"#alarmsV2:alarm/{alarm['AlarmName']}"
    )
    lines = [
        f'You are receiving this email because your Amazon CloudWatch Alarm "{alarm["AlarmName"]}" '
        f"in the {place} region has entered the {alarm['StateValue']} state, because "
        f'"{alarm["StateReason"]}" at "{at}".',
        "",
        "View this alarm in the AWS Management Console:",
        link,
        "",
        "Alarm Details:",
        f"- Name:                       {alarm['AlarmName']}",
        f"- Description:                {alarm.get('AlarmDescription') or ''}",
        f"- State Change:               {previous} -> {alarm['StateValue']}",
        f"- Reason for State Change:    {alarm['StateReason']}",
        f"- Timestamp:                  {at}",
        f"- AWS Account:                {account}",
        f"- Alarm Arn:                  {alarm['AlarmArn']}",
    ]
    if not alarm.get("AlarmRule"):
        words = _COMPARISONS[alarm["ComparisonOperator"]][1]
        needed = int(alarm["EvaluationPeriods"])
        lines += [
            "",
            "Threshold:",
            f"- The alarm is in the ALARM state when the metric is {words} "
            f"{float(alarm.get('Threshold') or 0.0)} for at least "
            f"{alarm.get('DatapointsToAlarm') or needed} of the last {needed} period(s) of "
            f"{int(period_of(alarm))} seconds.",
        ]
    return "\n".join(lines) + "\n"
