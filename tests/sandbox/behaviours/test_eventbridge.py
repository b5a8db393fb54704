"""Rules deliver as AWS does: permissions judged, dead letters written, retries made."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.sandbox.behaviours.conftest import Local, allow, eventually, let_in, policy

pytestmark = pytest.mark.sandbox

EVENTS = "events.amazonaws.com"
RECORD = "import json, os, boto3\ndef handler(event, context):\n"
TO_QUEUE = (
    RECORD + "    boto3.client('sqs').send_message(QueueUrl=os.environ['QUEUE'],"
    " MessageBody=json.dumps([event, context.invoked_function_arn]))\n"
)


def rule(local: Local, name: str, target_arn: str, **target: Any) -> str:
    events = local.client("events")
    pattern = json.dumps({"source": [name]})
    arn: str = events.put_rule(Name=name, EventPattern=pattern)["RuleArn"]
    answer = events.put_targets(Rule=name, Targets=[{"Id": "t", "Arn": target_arn, **target}])
    assert answer["FailedEntryCount"] == 0, answer
    return arn


def dead_letters(local: Local) -> str:
    return local.queue("dead", policy(let_in(EVENTS, "sqs:SendMessage")))


def put(local: Local, source: str, **detail: Any) -> None:
    entry = {"Source": source, "DetailType": "Happened", "Detail": json.dumps(detail)}
    answer = local.client("events").put_events(Entries=[entry])
    assert answer["FailedEntryCount"] == 0, answer


def attributes(message: dict[str, Any]) -> dict[str, str]:
    return {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}


def test_a_queue_gets_the_event_when_its_policy_names_the_rule(local: Local) -> None:
    arn = local.arn("events", "rule/told")
    queue = local.queue(
        "told", policy(let_in(EVENTS, "sqs:SendMessage", ArnEquals={"aws:SourceArn": arn}))
    )
    assert rule(local, "told", queue) == arn
    put(local, "told", n=1)
    [message] = local.messages(queue)
    assert json.loads(message["Body"])["detail"] == {"n": 1}
    assert local.metric("AWS/Events", "Invocations", RuleName="told") == 1


def test_a_queue_that_lets_another_rule_in_gets_nothing_and_the_dead_letter_says_why(
    local: Local,
) -> None:
    other = local.arn("events", "rule/other")
    queue = local.queue(
        "closed", policy(let_in(EVENTS, "sqs:SendMessage", ArnEquals={"aws:SourceArn": other}))
    )
    dead = dead_letters(local)
    rule_arn = rule(local, "closed", queue, DeadLetterConfig={"Arn": dead})
    put(local, "closed", n=1)
    [letter] = local.messages(dead)
    found = attributes(letter)
    assert (found["RULE_ARN"], found["TARGET_ARN"]) == (rule_arn, queue)
    assert (found["ERROR_CODE"], found["RETRY_ATTEMPTS"]) == ("NO_PERMISSIONS", "0")
    assert "EXHAUSTED_RETRY_CONDITION" not in found
    assert json.loads(letter["Body"])["detail"] == {"n": 1}
    assert local.messages(queue, seconds=0) == []
    assert local.metric("AWS/Events", "FailedInvocations", RuleName="closed") == 1
    assert local.metric("AWS/Events", "InvocationsSentToDlq", RuleName="closed") == 1


def test_a_deleted_target_is_not_tried_again(local: Local) -> None:
    queue = local.queue("gone", policy(let_in(EVENTS, "sqs:SendMessage")))
    dead = dead_letters(local)
    rule(local, "gone", queue, DeadLetterConfig={"Arn": dead})
    sqs = local.client("sqs")
    sqs.delete_queue(QueueUrl=sqs.get_queue_url(QueueName="gone")["QueueUrl"])
    put(local, "gone")
    [letter] = local.messages(dead)
    assert attributes(letter)["ERROR_CODE"] == "NO_RESOURCE"


def test_a_dead_letter_queue_without_a_policy_loses_the_event_and_counts_it(local: Local) -> None:
    queue, dead = local.queue("shut"), local.queue("dead")
    rule(local, "shut", queue, DeadLetterConfig={"Arn": dead})
    put(local, "shut")
    assert eventually(
        lambda: local.metric("AWS/Events", "InvocationsFailedToBeSentToDlq", RuleName="shut")
    )
    assert local.messages(dead, seconds=0) == []


def topic(local: Local, name: str, document: dict[str, Any], **attributes: str) -> tuple[str, str]:
    """A topic with a queue that hears it."""
    arn: str = local.client("sns").create_topic(
        Name=name, Attributes={"Policy": json.dumps(document), **attributes}
    )["TopicArn"]
    heard = local.queue(f"{name}-heard", policy(let_in("sns.amazonaws.com", "sqs:SendMessage")))
    local.client("sns").subscribe(
        TopicArn=arn,
        Protocol="sqs",
        Endpoint=heard,
        Attributes={"RawMessageDelivery": "true"},
    )
    return arn, heard


def key(local: Local, *statements: dict[str, Any]) -> str:
    root = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{local.account}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    made = local.client("kms").create_key(Policy=json.dumps(policy(root, *statements)))
    arn: str = made["KeyMetadata"]["Arn"]
    return arn


def test_a_topic_whose_policy_is_silent_on_eventbridge_gets_nothing(local: Local) -> None:
    arn, heard = topic(local, "silent", policy(let_in("s3.amazonaws.com", "sns:Publish")))
    dead = dead_letters(local)
    rule(local, "silent", arn, DeadLetterConfig={"Arn": dead})
    put(local, "silent")
    assert attributes(local.messages(dead)[0])["ERROR_CODE"] == "NO_PERMISSIONS"
    assert local.messages(heard, seconds=0) == []


@pytest.mark.parametrize(
    ("conditions", "delivered"),
    [
        ({}, True),
        ({"StringEquals": {"kms:EncryptionContext:aws:sns:topicArn": "TOPIC"}}, True),
        # "not supported for EventBridge-to-encrypted topics": the trap.
        ({"StringEquals": {"aws:SourceAccount": "ACCOUNT"}}, False),
    ],
)
def test_an_encrypted_topic_needs_a_grant_of_its_key_without_source_conditions(
    local: Local, conditions: dict[str, Any], delivered: bool
) -> None:
    name = f"secret-{uuid.uuid4().hex[:6]}"
    written = (
        json.dumps(conditions)
        .replace("TOPIC", local.arn("sns", name))
        .replace("ACCOUNT", local.account)
    )
    grant = let_in(EVENTS, ["kms:Decrypt", "kms:GenerateDataKey*"], **json.loads(written))
    arn, heard = topic(
        local, name, policy(let_in(EVENTS, "sns:Publish")), KmsMasterKeyId=key(local, grant)
    )
    dead = dead_letters(local)
    rule(local, name, arn, DeadLetterConfig={"Arn": dead})
    put(local, name)
    assert len(local.messages(heard if delivered else dead)) == 1


def test_a_queue_under_an_aws_managed_key_cannot_be_a_target(local: Local) -> None:
    queue = local.queue(
        "managed", policy(let_in(EVENTS, "sqs:SendMessage")), KmsMasterKeyId="alias/aws/sqs"
    )
    dead = dead_letters(local)
    rule(local, "managed", queue, DeadLetterConfig={"Arn": dead})
    put(local, "managed")
    assert attributes(local.messages(dead)[0])["ERROR_CODE"] == "NO_PERMISSIONS"


def listening(local: Local, name: str, code: str = TO_QUEUE, **options: Any) -> tuple[str, str]:
    queue = local.queue(f"{name}-heard")
    role = local.role(f"{name}-role", "lambda.amazonaws.com", allow("sqs:SendMessage", "*"))
    url = local.client("sqs").get_queue_url(QueueName=f"{name}-heard")["QueueUrl"]
    arn = local.function(name, code, role, Environment={"Variables": {"QUEUE": url}}, **options)
    return arn, queue


def permit(local: Local, function: str, rule_arn: str, **more: str) -> None:
    local.client("lambda").add_permission(
        FunctionName=function,
        StatementId="events",
        Action="lambda:InvokeFunction",
        Principal=EVENTS,
        SourceArn=rule_arn,
        **more,
    )


def test_a_function_is_invoked_only_with_a_permission_for_the_rule(local: Local) -> None:
    function, heard = listening(local, "alone")
    dead = dead_letters(local)
    rule_arn = rule(local, "alone", function, DeadLetterConfig={"Arn": dead})
    put(local, "alone", n=1)
    assert attributes(local.messages(dead)[0])["ERROR_CODE"] == "NO_PERMISSIONS"
    permit(local, "alone", rule_arn)
    put(local, "alone", n=2)
    [message] = local.messages(heard)
    event, invoked_as = json.loads(message["Body"])
    assert (event["detail"], invoked_as) == ({"n": 2}, function)


def test_an_alias_needs_its_own_permission_and_is_told_its_own_arn(local: Local) -> None:
    function, heard = listening(local, "named")
    lambdas = local.client("lambda")
    version = lambdas.publish_version(FunctionName="named")["Version"]
    lambdas.create_alias(FunctionName="named", Name="live", FunctionVersion=version)
    dead = dead_letters(local)
    alias = f"{function}:live"
    rule_arn = rule(local, "named", alias, DeadLetterConfig={"Arn": dead})
    permit(local, "named", rule_arn)
    put(local, "named", n=1)
    assert attributes(local.messages(dead)[0])["ERROR_CODE"] == "NO_PERMISSIONS"
    lambdas.remove_permission(FunctionName="named", StatementId="events")
    permit(local, "named", rule_arn, Qualifier="live")
    put(local, "named", n=2)
    assert json.loads(local.messages(heard)[0]["Body"])[1] == alias


def test_a_failing_function_is_retried_and_its_record_reaches_the_destination(
    local: Local,
) -> None:
    failing = "def handler(event, context):\n    raise ValueError('boom')\n"
    function, failed = listening(local, "failing", failing)
    local.client("lambda").put_function_event_invoke_config(
        FunctionName="failing",
        MaximumRetryAttempts=1,
        DestinationConfig={"OnFailure": {"Destination": failed}},
    )
    permit(local, "failing", rule(local, "failing", function))
    put(local, "failing", n=1)
    [message] = local.messages(failed, seconds=15)
    record = json.loads(message["Body"])
    assert record["requestContext"]["approximateInvokeCount"] == 2
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestPayload"]["detail"] == {"n": 1}
    payload = record["responsePayload"]
    assert (payload["errorType"], payload["errorMessage"]) == ("ValueError", "boom")


def test_a_role_that_may_not_send_loses_the_record_and_counts_it(local: Local) -> None:
    failing = "def handler(event, context):\n    raise ValueError('boom')\n"
    queue = local.queue("never")
    role = local.role("poor", "lambda.amazonaws.com")
    function = local.function("poor", failing, role)
    local.client("lambda").put_function_event_invoke_config(
        FunctionName="poor",
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": queue}},
    )
    permit(local, "poor", rule(local, "poor", function))
    put(local, "poor")
    assert eventually(
        lambda: local.metric("AWS/Lambda", "DestinationDeliveryFailures", FunctionName="poor")
    )
    assert local.messages(queue, seconds=0) == []


def test_an_uploaded_object_is_an_event_with_its_version(local: Local) -> None:
    queue = local.queue("uploads", policy(let_in(EVENTS, "sqs:SendMessage")))
    events = local.client("events")
    events.put_rule(Name="uploads", EventPattern=json.dumps({"source": ["aws.s3"]}))
    events.put_targets(Rule="uploads", Targets=[{"Id": "t", "Arn": queue}])
    s3, bucket = local.client("s3"), f"uploads-{local.account}"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    version = s3.put_object(Bucket=bucket, Key="source/a b.zip", Body=b"1234")["VersionId"]
    [message] = local.messages(queue)
    event = json.loads(message["Body"])
    assert event["detail-type"] == "Object Created"
    assert event["resources"] == [f"arn:aws:s3:::{bucket}"]
    assert event["detail"]["reason"] == "PutObject"
    found = event["detail"]["object"]
    assert (found["key"], found["size"], found["version-id"]) == ("source/a b.zip", 4, version)
    assert event["account"] == local.account


def pipeline(local: Local, name: str) -> str:
    """A pipeline's ARN; it takes its source from a bucket, and then waits for an approval."""
    bucket = f"source-{name}-{local.account}"
    s3 = local.client("s3")
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket=bucket, Key="source.zip", Body=b"PK\x05\x06" + bytes(18))
    role = local.role("pipeline", "codepipeline.amazonaws.com", allow("s3:*"))
    source = {
        "name": "Source",
        "actionTypeId": {"category": "Source", "owner": "AWS", "provider": "S3", "version": "1"},
        "configuration": {
            "S3Bucket": bucket,
            "S3ObjectKey": "source.zip",
            "PollForSourceChanges": "false",
        },
        "outputArtifacts": [{"name": "Source"}],
    }
    approval = {
        "name": "Approve",
        "actionTypeId": {
            "category": "Approval",
            "owner": "AWS",
            "provider": "Manual",
            "version": "1",
        },
    }
    local.client("codepipeline").create_pipeline(
        pipeline={
            "name": name,
            "roleArn": role,
            "pipelineType": "V2",
            "artifactStore": {"type": "S3", "location": bucket},
            "stages": [
                {"name": "Source", "actions": [source]},
                {"name": "Approve", "actions": [approval]},
            ],
        }
    )
    return local.arn("codepipeline", name)


def test_a_rule_starts_a_pipeline_as_its_role(local: Local) -> None:
    arn = pipeline(local, "release")
    start = allow("codepipeline:StartPipelineExecution", arn)
    role = local.role("starts", EVENTS, start)
    rule_arn = rule(local, "starts", arn, RoleArn=role)
    put(local, "starts")

    def trigger() -> Any:
        found = local.client("codepipeline").list_pipeline_executions(pipelineName="release")
        return next(
            (
                one["trigger"]
                for one in found["pipelineExecutionSummaries"]
                if one["trigger"]["triggerType"] == "CloudWatchEvent"
            ),
            None,
        )

    assert eventually(trigger) == {
        "triggerType": "CloudWatchEvent",
        "triggerDetail": rule_arn,
    }


def test_a_pipeline_that_cannot_be_started_leaves_the_event_in_the_dead_letter_queue(
    local: Local,
) -> None:
    arn, dead = pipeline(local, "release"), dead_letters(local)
    roles = {
        "FAILED_TO_ASSUME_ROLE": local.role("another", "lambda.amazonaws.com", allow("*")),
        "NO_PERMISSIONS": local.role("nothing", EVENTS),
    }
    for name, role in roles.items():
        rule(local, name, arn, RoleArn=role, DeadLetterConfig={"Arn": dead})
        put(local, name)
    starter = local.role("starter", EVENTS, allow("codepipeline:StartPipelineExecution"))
    rule(local, "gone", f"{arn}-gone", RoleArn=starter, DeadLetterConfig={"Arn": dead})
    put(local, "gone")
    codes = {attributes(letter)["ERROR_CODE"] for letter in local.messages(dead, 3)}
    assert codes == {*roles, "NO_RESOURCE"}


def test_a_schedule_delivers_as_its_role(local: Local) -> None:
    queue, dead = local.queue("scheduled"), local.queue("dead")
    soon = datetime.now(UTC) + timedelta(seconds=2)
    scheduler = local.client("scheduler")
    may, may_not = (
        local.role("may", "scheduler.amazonaws.com", allow("sqs:SendMessage")),
        local.role("may-not", "scheduler.amazonaws.com", allow("sqs:SendMessage", dead)),
    )
    for name, role in (("allowed", may), ("forbidden", may_not)):
        scheduler.create_schedule(
            Name=name,
            ScheduleExpression=f"at({soon:%Y-%m-%dT%H:%M:%S})",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={
                "Arn": queue,
                "RoleArn": role,
                "Input": json.dumps({"from": name}),
                "DeadLetterConfig": {"Arn": dead},
            },
        )
    [message] = local.messages(queue, seconds=20)
    assert json.loads(message["Body"]) == {"from": "allowed"}
    [letter] = local.messages(dead)
    assert attributes(letter)["ERROR_CODE"] == "NO_PERMISSIONS"
    assert "SCHEDULE_ARN" in attributes(letter)
