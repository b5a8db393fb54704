"""Metrics out of log lines, metric math, and the judgement of alarms."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from sandbox.metric_math import ExpressionError, Given, Series, evaluate
from sandbox.metrics import (
    Datum,
    Judgement,
    Metric,
    State,
    embedded,
    event_detail,
    judge,
    notification,
    state_of,
)

NOW = 1_795_500_000.0

EMBEDDED = {
    "_aws": {
        "Timestamp": 1_795_499_000_000,
        "CloudWatchMetrics": [
            {
                "Namespace": "Trellis",
                "Dimensions": [["service"], ["service", "environment"], ["absent"]],
                "Metrics": [{"Name": "Sent", "Unit": "Count"}, {"Name": "Lost", "Unit": "Count"}],
            }
        ],
    },
    "service": "notify",
    "environment": "prod",
    "Sent": [1, 2],
    "Lost": 0,
}


def test_a_line_in_the_embedded_format_gives_a_datum_for_each_value_and_dimension_set() -> None:
    found = list(embedded(json.dumps(EMBEDDED), NOW))
    by_service = [datum for datum in found if datum.dimensions == {"service": "notify"}]
    assert [(datum.name, datum.value) for datum in by_service] == [
        ("Sent", 1.0),
        ("Sent", 2.0),
        ("Lost", 0.0),
    ]
    assert len(found) == 6
    assert by_service[0] == Datum(
        "Trellis", "Sent", {"service": "notify"}, 1.0, "Count", 1_795_499_000.0
    )


@pytest.mark.parametrize("line", ["plain", '{"a": 1}', '{"_aws": 1}', '{"_aws": {}', '["_aws"]'])
def test_any_other_line_gives_none(line: str) -> None:
    assert list(embedded(line, NOW)) == []


def given(**series: Series) -> Given:
    return Given(series, list(series), [0.0, 60.0, 120.0], 60.0)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("a + b", {60.0: 5.0}),
        ("a / b * 100", {60.0: pytest.approx(66.6667, abs=0.001)}),
        ("-(a - 1) ^ 2", {0.0: 0.0, 60.0: 1.0}),
        ("SUM(METRICS())", {0.0: 1.0, 60.0: 5.0, 120.0: 4.0}),
        ("SUM([a, b])", {0.0: 1.0, 60.0: 5.0, 120.0: 4.0}),
        ("MAX(METRICS())", {0.0: 1.0, 60.0: 3.0, 120.0: 4.0}),
        ('AVG(METRICS("a"))', {0.0: 1.0, 60.0: 2.0}),
        ("SUM(a)", {0.0: 3.0, 60.0: 3.0, 120.0: 3.0}),
        ("FILL(a, 0) + FILL(b, 0)", {0.0: 1.0, 60.0: 5.0, 120.0: 4.0}),
        ("FILL(a, REPEAT)", {0.0: 1.0, 60.0: 2.0, 120.0: 2.0}),
        ("IF(a > 1, a, 0)", {0.0: 0.0, 60.0: 2.0}),
        ("a >= 1 AND a < 2", {0.0: 1.0, 60.0: 0.0}),
        ("a / 0", {}),
        ("RATE(a)", {60.0: pytest.approx(1 / 60)}),
        ("PERIOD(a)", {0.0: 60.0, 60.0: 60.0, 120.0: 60.0}),
    ],
)
def test_metric_math(expression: str, expected: Mapping[float, float]) -> None:
    series = given(a={0.0: 1.0, 60.0: 2.0}, b={60.0: 3.0, 120.0: 4.0})
    assert evaluate(expression, series) == expected


@pytest.mark.parametrize("expression", ["c + 1", "ANOMALY_DETECTION_BAND(a)", "a +", "a ? b", "(a"])
def test_an_expression_that_is_not_modelled_says_so(expression: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(expression, given(a={0.0: 1.0}))


def alarm(**changes: Any) -> dict[str, Any]:
    return {
        "AlarmName": "errors",
        "AlarmArn": "arn:aws:cloudwatch:us-east-1:123456789012:alarm:errors",
        "Namespace": "AWS/Lambda",
        "MetricName": "Errors",
        "Dimensions": [{"Name": "FunctionName", "Value": "notify"}],
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "StateValue": "OK",
        "StateReason": "",
        "StateUpdatedTimestamp": NOW,
        **changes,
    }


def judged(described: Mapping[str, Any], points: Mapping[float, float]) -> Judgement | None:
    """Judge by points that lie so many seconds before now."""

    def statistic(metric: Metric, start: float, end: float) -> float | None:
        found = [value for age, value in points.items() if start <= NOW - age < end]
        return sum(found) if found else None

    return judge(described, NOW, statistic)


def state(described: Mapping[str, Any], points: Mapping[float, float]) -> State | None:
    result = judged(described, points)
    return result.state if result else None


def test_a_data_point_over_the_threshold_is_an_alarm_and_below_it_none() -> None:
    result = judged(alarm(), {10: 1.0})
    assert result is not None
    assert result.state is State.ALARM
    assert result.reason.startswith("Threshold Crossed: 1 out of the last 1 datapoint [1.0 (")
    assert "was greater than or equal to the threshold (1.0)" in result.reason
    assert state(alarm(), {10: 0.0}) is State.OK


@pytest.mark.parametrize(
    ("treatment", "expected"),
    [
        ("missing", State.INSUFFICIENT_DATA),
        ("notBreaching", State.OK),
        ("breaching", State.ALARM),
        ("ignore", None),
    ],
)
def test_no_data_at_all_is_treated_as_the_alarm_says(
    treatment: str, expected: State | None
) -> None:
    assert state(alarm(TreatMissingData=treatment), {}) is expected


@pytest.mark.parametrize(
    ("points", "missing", "ignore", "breaching", "not_breaching"),
    [
        ("0 - X - X", State.OK, State.OK, State.OK, State.OK),
        ("0 - - - -", State.OK, State.OK, State.OK, State.OK),
        ("- - - - -", State.INSUFFICIENT_DATA, None, State.ALARM, State.OK),
        ("0 X X - X", State.ALARM, State.ALARM, State.ALARM, State.ALARM),
        ("- - X - -", State.ALARM, None, State.ALARM, State.OK),
    ],
)
def test_missing_data_as_in_the_table_of_aws(
    points: str,
    missing: State,
    ignore: State | None,
    breaching: State,
    not_breaching: State,
) -> None:
    """Three of three data points; the table's left is the oldest of five retrieved."""
    values = {
        (4 - index) * 60.0 + 10: {"0": 0.0, "X": 1.0}[sign]
        for index, sign in enumerate(points.split())
        if sign != "-"
    }
    three = alarm(EvaluationPeriods=3, DatapointsToAlarm=3)
    found = {
        treatment: state({**three, "TreatMissingData": treatment}, values)
        for treatment in ("missing", "ignore", "breaching", "notBreaching")
    }
    assert found == {
        "missing": missing,
        "ignore": ignore,
        "breaching": breaching,
        "notBreaching": not_breaching,
    }


def test_m_out_of_n_needs_only_m() -> None:
    two_of_three = alarm(EvaluationPeriods=3, DatapointsToAlarm=2)
    assert state(two_of_three, {10: 1.0, 70: 0.0, 130: 1.0}) is State.ALARM
    assert state(two_of_three, {10: 1.0, 70: 0.0, 130: 0.0}) is State.OK


def test_an_alarm_over_an_expression_of_several_metrics() -> None:
    def query(name: str) -> dict[str, Any]:
        metric = {"Namespace": "AWS/Events", "MetricName": name, "Dimensions": []}
        return {
            "Id": name,
            "ReturnData": False,
            "MetricStat": {"Metric": metric, "Period": 300, "Stat": "Sum"},
        }

    expression = {"Id": "lost", "Expression": "SUM(METRICS())", "ReturnData": True}
    described = alarm(Metrics=[expression, query("one"), query("two")])
    for name in ("Namespace", "MetricName", "Statistic", "Period", "Dimensions"):
        del described[name]

    def statistic(metric: Metric, start: float, end: float) -> float | None:
        assert end - start == 300
        return 1.0 if metric.name == "two" and start <= NOW - 10 < end else None

    result = judge(described, NOW, statistic)
    assert result is not None
    assert result.state is State.ALARM
    detail = event_detail({**described, "StateValue": "ALARM"}, state_of(described))
    assert detail["configuration"]["metrics"][0] == {
        "id": "lost",
        "returnData": True,
        "expression": "SUM(METRICS())",
    }
    assert detail["configuration"]["metrics"][1]["metricStat"]["metric"]["name"] == "one"


def test_the_event_of_a_state_change_has_awss_shape() -> None:
    previous = state_of(alarm())
    changed = alarm(StateValue="ALARM", StateReason="Threshold Crossed", AlarmDescription="d")
    detail = event_detail(changed, previous)
    assert detail["alarmName"] == "errors"
    assert detail["state"]["value"] == "ALARM"
    assert detail["previousState"]["value"] == "OK"
    assert detail["configuration"] == {
        "description": "d",
        "metrics": [
            {
                "id": "m1",
                "returnData": True,
                "metricStat": {
                    "metric": {
                        "namespace": "AWS/Lambda",
                        "name": "Errors",
                        "dimensions": {"FunctionName": "notify"},
                    },
                    "period": 60,
                    "stat": "Sum",
                },
            }
        ],
    }
    assert detail["state"]["timestamp"].endswith("+0000")


def test_a_notification_has_a_json_body_for_machines_and_a_text_for_people() -> None:
    changed = alarm(StateValue="ALARM", StateReason="Threshold Crossed: x", AlarmActions=["t"])
    told = notification(changed, "OK", "123456789012", "us-west-2")
    assert told.subject == 'ALARM: "errors" in US West (Oregon)'
    message = json.loads(told.message)
    body = json.loads(message["default"])
    assert (body["NewStateValue"], body["OldStateValue"]) == ("ALARM", "OK")
    assert body["Trigger"]["Dimensions"] == [{"value": "notify", "name": "FunctionName"}]
    assert body["Trigger"]["Statistic"] == "SUM"
    assert 'has entered the ALARM state, because "Threshold Crossed: x"' in message["email"]
