"""Alarms judge real data, tell the topic when they may, and log lines become metrics."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.sandbox.behaviours.conftest import Local, allow, eventually, let_in, policy
from tests.sandbox.behaviours.test_eventbridge import key, topic
from tests.sandbox.behaviours.test_stacks import create, reasons, resource, settle

pytestmark = pytest.mark.sandbox

CLOUDWATCH = "cloudwatch.amazonaws.com"


def alarm(local: Local, name: str, **options: Any) -> None:
    local.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Namespace="Shop",
        MetricName="Errors",
        Dimensions=[{"Name": "Stage", "Value": "Prod"}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        **{"TreatMissingData": "notBreaching", **options},
    )


def put(local: Local, value: float, stage: str = "Prod") -> None:
    local.client("cloudwatch").put_metric_data(
        Namespace="Shop",
        MetricData=[
            {
                "MetricName": "Errors",
                "Dimensions": [{"Name": "Stage", "Value": stage}],
                "Value": value,
            }
        ],
    )


def state(local: Local, name: str) -> str:
    [found] = local.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    value: str = found["StateValue"]
    return value


def test_an_alarm_hears_its_own_dimensions_only(local: Local) -> None:
    alarm(local, "errors")
    put(local, 5, stage="Test")
    assert eventually(lambda: state(local, "errors") == "OK", 5)
    put(local, 5)
    assert eventually(lambda: state(local, "errors") == "ALARM", 5)


def test_an_alarm_tells_an_encrypted_topic_that_lets_it_in_and_sends_its_event(
    local: Local,
) -> None:
    source = {
        "ArnLike": {"aws:SourceArn": local.arn("cloudwatch", "alarm:*")},
        "StringEquals": {"aws:SourceAccount": local.account},
    }
    grant = let_in(CLOUDWATCH, ["kms:Decrypt", "kms:GenerateDataKey*"], **source)
    arn, heard = topic(
        local,
        "pages",
        policy(let_in(CLOUDWATCH, "sns:Publish", **source)),
        KmsMasterKeyId=key(local, grant),
    )
    events = local.queue("events", policy(let_in("events.amazonaws.com", "sqs:SendMessage")))
    local.client("events").put_rule(
        Name="alarms", EventPattern=json.dumps({"detail-type": ["CloudWatch Alarm State Change"]})
    )
    local.client("events").put_targets(Rule="alarms", Targets=[{"Id": "q", "Arn": events}])
    alarm(local, "errors", AlarmActions=[arn])
    put(local, 1)
    [message] = local.messages(heard)
    body = json.loads(message["Body"])
    assert (body["AlarmName"], body["NewStateValue"]) == ("errors", "ALARM")
    told = [json.loads(one["Body"]) for one in local.messages(events, count=2, seconds=3)]
    event = next(one for one in told if one["detail"]["state"]["value"] == "ALARM")
    assert event["source"] == "aws.cloudwatch"
    assert event["resources"] == [local.arn("cloudwatch", "alarm:errors")]
    assert event["detail"]["previousState"]["value"] in ("OK", "INSUFFICIENT_DATA")


@pytest.mark.parametrize("closed", ["topic", "key"])
def test_an_alarm_that_is_not_let_in_tells_nobody(local: Local, closed: str) -> None:
    service = "s3.amazonaws.com" if closed == "topic" else CLOUDWATCH
    settings = {"KmsMasterKeyId": key(local)} if closed == "key" else {}
    arn, heard = topic(local, "pages", policy(let_in(service, "sns:Publish")), **settings)
    alarm(local, "errors", AlarmActions=[arn])
    put(local, 1)
    assert eventually(lambda: state(local, "errors") == "ALARM", 5)
    assert local.messages(heard, seconds=1) == []


def test_a_queues_length_sets_off_its_alarm(local: Local) -> None:
    local.queue("dead")
    local.client("cloudwatch").put_metric_alarm(
        AlarmName="dead-letters",
        Namespace="AWS/SQS",
        MetricName="ApproximateNumberOfMessagesVisible",
        Dimensions=[{"Name": "QueueName", "Value": "dead"}],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )
    assert eventually(lambda: state(local, "dead-letters") == "OK", 5)
    url = local.client("sqs").get_queue_url(QueueName="dead")["QueueUrl"]
    local.client("sqs").send_message(QueueUrl=url, MessageBody="x")
    assert eventually(lambda: state(local, "dead-letters") == "ALARM", 5)


def query(name: str, stage: str) -> dict[str, Any]:
    return {
        "Id": name,
        "ReturnData": False,
        "MetricStat": {
            "Stat": "Sum",
            "Period": 300,
            "Metric": {
                "Namespace": "Shop",
                "MetricName": "Errors",
                "Dimensions": [{"Name": "Stage", "Value": stage}],
            },
        },
    }


def test_a_templates_alarm_of_metric_math_and_one_over_it(local: Local) -> None:
    template = {
        "Resources": {
            "All": resource(
                "AWS::CloudWatch::Alarm",
                AlarmName="all",
                Metrics=[
                    {"Id": "sum", "Expression": "SUM(METRICS())", "ReturnData": "true"},
                    query("test", "Test"),
                    query("prod", "Prod"),
                ],
                EvaluationPeriods=1,
                Threshold=3,
                ComparisonOperator="GreaterThanOrEqualToThreshold",
                TreatMissingData="notBreaching",
            ),
            "Over": {
                **resource(
                    "AWS::CloudWatch::CompositeAlarm", AlarmName="over", AlarmRule='ALARM("all")'
                ),
                "DependsOn": "All",
            },
        }
    }
    create(local, "math", template)
    assert settle(local, "math") == "CREATE_COMPLETE", reasons(local, "math")
    assert eventually(lambda: state(local, "all") == "OK", 5)
    put(local, 1)
    put(local, 2, stage="Test")
    assert eventually(lambda: state(local, "all") == "ALARM", 5)
    [over] = local.client("cloudwatch").describe_alarms(
        AlarmNames=["over"], AlarmTypes=["CompositeAlarm"]
    )["CompositeAlarms"]
    assert over["StateValue"] == "ALARM"
    [described] = local.client("cloudwatch").describe_alarms(AlarmNames=["all"])["MetricAlarms"]
    assert described["Metrics"][0]["Expression"] == "SUM(METRICS())"
    assert described["Metrics"][1]["MetricStat"]["Period"] == 300


def test_get_metric_data_answers_expressions_newest_first(local: Local) -> None:
    put(local, 2)
    put(local, 3, stage="Test")
    now = time.time()
    answer = local.client("cloudwatch").get_metric_data(
        MetricDataQueries=[
            {"Id": "share", "Expression": "100 * prod / (prod + test)"},
            query("test", "Test"),
            query("prod", "Prod"),
        ],
        StartTime=now - 3600,
        EndTime=now + 300,
    )
    [result] = answer["MetricDataResults"]
    assert (result["Id"], result["Values"]) == ("share", [40.0])


EMITTING = """
import json
def handler(event, context):
    print(json.dumps({"_aws": {"Timestamp": event["now"], "CloudWatchMetrics": [
        {"Namespace": "Shop", "Dimensions": [["service"]],
         "Metrics": [{"Name": "Sold", "Unit": "Count"}]}]},
        "service": "till", "Sold": 7}))
    if event.get("fail"):
        raise ValueError("no")
"""


def test_a_functions_embedded_metrics_and_its_own_are_recorded(local: Local) -> None:
    role = local.role("till", "lambda.amazonaws.com", allow("logs:*"))
    local.function("till", EMITTING, role)
    for fail in (False, True):
        local.client("lambda").invoke(
            FunctionName="till",
            Payload=json.dumps({"now": int(time.time() * 1000), "fail": fail}),
        )
    assert eventually(lambda: local.metric("Shop", "Sold", service="till")) == 14
    assert local.metric("AWS/Lambda", "Invocations", FunctionName="till") == 2
    assert local.metric("AWS/Lambda", "Errors", FunctionName="till") == 1
