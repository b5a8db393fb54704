"""Rules: what each matches, what it must not match, and that nothing is lost on the way.

Patterns are judged by moto's matcher: https://docs.getmoto.org/en/latest/docs/services/events.html
"""

from __future__ import annotations

import json
from typing import Any

from moto.events.models import EventPattern

from operations.template import Node
from sandbox import event_patterns
from tagging_audit.creation import CREATIONS
from tests.template.faults import properties, turns_red_when
from tests.template.rendered import CONNECTION, Template

Event = dict[str, Any]


def codepipeline(level: str, **detail: Any) -> Event:
    """A CodePipeline event in the shape of its user guide."""
    return {
        "source": "aws.codepipeline",
        "detail-type": f"CodePipeline {level} Execution State Change",
        "detail": {
            "pipeline": "<Pipeline>",
            "execution-id": "01234567-0123-0123-0123-012345678901",
            "state": "FAILED",
            "version": 1.0,
            **detail,
        },
    }


def action(category: str, provider: str = "Any", **detail: Any) -> Event:
    kind = {"owner": "AWS", "provider": provider, "category": category, "version": "1"}
    more = {"stage": "DeployToTest", "action": "Deploy", "type": kind, "region": "eu-central-1"}
    return codepipeline("Action", **{**more, **detail})


def uploaded(bucket: str = "<ArtifactBucket>", **more: Any) -> Event:
    return {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {
            "version": "0",
            "bucket": {"name": bucket},
            "object": {
                "key": "source/acme/storefront/main.zip",
                "size": 5,
                "version-id": "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e",
            },
            "reason": "PutObject",
        },
        **more,
    }


def build(project: str, status: str) -> Event:
    return {
        "source": "aws.codebuild",
        "detail-type": "CodeBuild Build State Change",
        "detail": {"project-name": project, "build-status": status},
    }


def beanstalk(kind: str, application: str = "<BeanstalkApplication>") -> Event:
    return {
        "source": "aws.elasticbeanstalk",
        "detail-type": kind,
        "detail": {
            "ApplicationName": application,
            "EnvironmentName": "bakery-prod-demo",
            "Status": "Environment health changed",
            "Severity": "WARN",
            "EventDate": 1700000000000,
        },
    }


def alarm(name: str) -> Event:
    return {
        "source": "aws.cloudwatch",
        "detail-type": "CloudWatch Alarm State Change",
        "detail": {"alarmName": name, "state": {"value": "ALARM"}},
    }


def tags(**detail: Any) -> Event:
    return {
        "source": "aws.tag",
        "detail-type": "Tag Change on Resource",
        "resources": ["arn:aws:sqs:eu-central-1:111122223333:bakery-notify-demo"],
        "detail": {"changed-tag-keys": ["Owner"], "tags": {}, "version": 5, **detail},
    }


def api_call(service: str, name: str, **detail: Any) -> Event:
    return {
        "source": f"aws.{service}",
        "detail-type": "AWS API Call via CloudTrail",
        "detail": {
            "eventSource": f"{service}.amazonaws.com",
            "eventName": name,
            "readOnly": False,
            **detail,
        },
    }


def own(**detail: Any) -> Event:
    return {"source": "trellis", "detail-type": "Trellis Rollback State Change", "detail": detail}


THEIRS = {"pipeline": "somebody-elses"}

FIXTURES: dict[str, tuple[list[Event], list[Event]]] = {
    "PipelineRule": (
        [codepipeline("Pipeline"), codepipeline("Pipeline", state="SUPERSEDED")],
        [codepipeline("Pipeline", **THEIRS), codepipeline("Stage")],
    ),
    "StageRule": (
        [
            codepipeline("Stage", stage="Build"),
            codepipeline("Stage", stage="Build", state="STARTED"),
        ],
        [codepipeline("Stage", **THEIRS), codepipeline("Pipeline")],
    ),
    "ActionRule": (
        [action("Deploy"), action("Build"), action("Source", state="SUCCEEDED")],
        [action("Approval"), action("Deploy", **THEIRS), codepipeline("Stage")],
    ),
    "ApprovalRule": (
        [action("Approval"), action("Approval", state="STARTED")],
        [action("Deploy"), action("Approval", **THEIRS)],
    ),
    "BuildRule": (
        [build("bakery-build-demo", "FAILED"), build("bakery-checks-demo", "TIMED_OUT")],
        [build("bakery-build-demo", "SUCCEEDED"), build("bakery-build-other", "FAILED")],
    ),
    "EnvironmentRule": (
        [
            beanstalk("Health status change"),
            beanstalk("Elastic Beanstalk resource status change"),
            beanstalk("Managed update status change"),
        ],
        [beanstalk("Other resource status change"), beanstalk("Health status change", "another")],
    ),
    "AlarmRule": (
        [alarm("<ProdHealthAlarm>"), alarm("<DevHealthAlarm>"), alarm("<StuckApprovalAlarm>")],
        [alarm("<NotifyDeadLettersAlarm>"), alarm("awseb-e-abcdefghij-stack-AWSEBCloudwatchAlarm")],
    ),
    "OwnEventRule": (
        [own(pipeline="<Pipeline>"), own(report={"bucket": "<ReportsBucket>"})],
        [own(**THEIRS), own(report={"bucket": "another"}), {**own(), "source": "another"}],
    ),
    "DeployRule": (
        [
            action("Deploy", provider="ElasticBeanstalk"),
            action("Deploy", provider="ElasticBeanstalk", state="STARTED"),
        ],
        [
            action("Deploy", provider="ElasticBeanstalk", **THEIRS),
            action("Approval", provider="Manual"),
            action("Deploy", provider="S3"),
            {**action("Deploy", provider="ElasticBeanstalk"), "replay-name": "again"},
        ],
    ),
    "ReleaseEndRule": (
        [codepipeline("Pipeline"), codepipeline("Pipeline", state="SUCCEEDED")],
        [
            codepipeline("Pipeline", state="STARTED"),
            codepipeline("Pipeline", **THEIRS),
            codepipeline("Stage"),
        ],
    ),
    "TagChangeRule": (
        [tags(), tags(service="s3")],
        [{**tags(), "source": "aws.tagging"}, {**tags(), "detail-type": "Tagging Operation"}],
    ),
    "CreationRule": (
        [api_call("sqs", "CreateQueue"), api_call("ec2", "RunInstances")],
        [
            api_call("sqs", "DeleteQueue"),
            api_call("sqs", "CreateQueue", errorCode="AccessDenied"),
            api_call("sts", "CreateQueue"),
            api_call("kms", "CreateGrant"),
            api_call("logs", "CreateLogStream"),
            {**api_call("sqs", "CreateQueue"), "detail-type": "AWS Console Action via CloudTrail"},
        ],
    ),
    "StartRule": (
        [uploaded()],
        [uploaded("another"), uploaded(**{"replay-name": "again"}), codepipeline("Pipeline")],
    ),
}
"""For every rule, events that it must match and events that it must not."""

SCHEDULED = {"AuditScheduleRule", "SweepRule"}
"""Rules that wait for no event."""


def matches(rule: Node, event: Event) -> bool:
    return bool(EventPattern.load(json.dumps(rule["EventPattern"])).matches_event(event))


@turns_red_when(
    "all but true",
    lambda source: properties(source, "CreationRule")["EventPattern"]["detail"].update(
        readOnly=[{"anything-but": [True]}]
    ),
)
@turns_red_when(
    "an empty list",
    lambda source: properties(source, "PipelineRule")["EventPattern"].update(source=[]),
)
def test_eventbridge_takes_every_pattern(template: Template) -> None:
    """Its own compiler refuses what moto's matcher takes, like `anything-but` true."""
    rules = template.resolved(AuditScope="account").of_type("AWS::Events::Rule")
    patterns = [rule["EventPattern"] for rule in rules.values() if "EventPattern" in rule]
    assert patterns
    for pattern in patterns:
        event_patterns.check(pattern)
        assert len(json.dumps(pattern)) <= 2_048


@turns_red_when(
    "every pipeline of the account",
    lambda source: properties(source, "PipelineRule")["EventPattern"]["detail"].pop("pipeline"),
)
@turns_red_when(
    "approvals told twice",
    lambda source: properties(source, "ActionRule")["EventPattern"]["detail"].pop("type"),
)
@turns_red_when(
    "uploads of others",
    lambda source: properties(source, "StartRule")["EventPattern"]["detail"].pop("bucket"),
)
@turns_red_when(
    "a replay releases again",
    lambda source: properties(source, "StartRule")["EventPattern"].pop("replay-name"),
)
@turns_red_when(
    "the wrong spelling of a detail type",
    lambda source: properties(source, "StageRule")["EventPattern"].update(
        {"detail-type": ["CodePipeline Stage State Change"]}
    ),
)
@turns_red_when(
    "every alarm of the account",
    lambda source: properties(source, "AlarmRule")["EventPattern"].pop("detail"),
)
@turns_red_when(
    "every application of the account",
    lambda source: properties(source, "EnvironmentRule")["EventPattern"].pop("detail"),
)
@turns_red_when(
    "builds that went well",
    lambda source: properties(source, "BuildRule")["EventPattern"]["detail"].pop("build-status"),
)
@turns_red_when(
    "a replay rolls back again",
    lambda source: properties(source, "DeployRule")["EventPattern"].pop("replay-name"),
)
@turns_red_when(
    "an audit at every start",
    lambda source: properties(source, "ReleaseEndRule")["EventPattern"]["detail"].pop("state"),
)
@turns_red_when(
    "an audit of whatever failed to be made",
    lambda source: properties(source, "CreationRule")["EventPattern"]["detail"].pop("errorCode"),
)
@turns_red_when(
    "own events of other stacks",
    lambda source: properties(source, "OwnEventRule")["EventPattern"].pop("detail"),
)
def test_each_rule_matches_its_events_and_no_others(template: Template) -> None:
    rules = template.resolved(AuditScope="account").of_type("AWS::Events::Rule")
    assert set(rules) == set(FIXTURES) | SCHEDULED
    for name, (ours, theirs) in FIXTURES.items():
        for event in ours:
            assert matches(rules[name], event), (name, event)
        for event in theirs:
            assert not matches(rules[name], event), (name, event)


@turns_red_when(
    "whatever begins with Create",
    lambda source: properties(source, "CreationRule")["EventPattern"]["detail"].update(
        eventName=[{"prefix": "Create"}, "RunInstances"]
    ),
)
@turns_red_when(
    "a call that nobody hears of",
    lambda source: properties(source, "CreationRule")["EventPattern"]["detail"]["eventName"].remove(
        "CreateKey"
    ),
)
def test_the_rule_of_creations_sends_what_the_audit_understands(template: Template) -> None:
    form = template.resolved(AuditScope="account")
    names = form.properties("CreationRule")["EventPattern"]["detail"]["eventName"]
    of_lambda = {f"{name}20150331" for name in ("CreateEventSourceMapping", "CreateFunction")}
    assert all(isinstance(name, str) for name in names)
    assert set(names) == CREATIONS.keys() | of_lambda


@turns_red_when(
    "an approval that two rules tell",
    lambda source: properties(source, "ActionRule")["EventPattern"]["detail"]["type"].update(
        category=[{"exists": True}]
    ),
)
def test_no_event_reaches_the_notify_queue_by_two_rules(template: Template) -> None:
    rules = {
        name: rule
        for name, rule in template.resolved().of_type("AWS::Events::Rule").items()
        if rule["Targets"][0]["Arn"] == "<NotifyQueue.Arn>"
    }
    for name, (ours, _) in FIXTURES.items():
        for event in ours if name in rules else ():
            assert len([name for name, rule in rules.items() if matches(rule, event)]) == 1, event


@turns_red_when(
    "no dead letters",
    lambda source: properties(source, "AlarmRule")["Targets"][0].pop("DeadLetterConfig"),
)
@turns_red_when(
    "retries for a day",
    lambda source: properties(source, "StartRule")["Targets"][0].pop("RetryPolicy"),
)
@turns_red_when(
    "an event into nothing", lambda source: properties(source, "BuildRule").update(Targets=[])
)
def test_every_target_has_a_retry_policy_and_a_dead_letter_queue(template: Template) -> None:
    form = template.resolved(AuditScope="account")
    for name, rule in form.of_type("AWS::Events::Rule").items():
        assert rule["Targets"], name
        assert rule.get("State", "ENABLED") == "ENABLED", name
        assert ("ScheduleExpression" in rule) is (name in SCHEDULED), name
        for target in rule["Targets"]:
            assert 0 < target["RetryPolicy"]["MaximumRetryAttempts"] <= 185, name
            assert 60 <= target["RetryPolicy"]["MaximumEventAgeInSeconds"] <= 3600, name
            assert "DeadLetterQueue.Arn" in target["DeadLetterConfig"]["Arn"], name


@turns_red_when(
    "whatever is newest",
    lambda source: properties(source, "StartRule")["Targets"][0].pop("InputTransformer"),
)
@turns_red_when(
    "an action that does not exist",
    lambda source: properties(source, "StartRule")["Targets"][0]["InputTransformer"].update(
        InputTemplate='{"sourceRevisions": [{"actionName": "Upload", "revisionType": '
        '"S3_OBJECT_VERSION_ID", "revisionValue": "<version>"}]}'
    ),
)
@turns_red_when(
    "uploads are not reported",
    lambda source: properties(source, "ArtifactBucket").pop("NotificationConfiguration"),
)
def test_an_upload_starts_the_pipeline_with_that_very_version(template: Template) -> None:
    """https://docs.aws.amazon.com/codepipeline/latest/userguide/create-S3-source-events.html."""
    form = template.resolved()
    assert form.properties("ArtifactBucket")["NotificationConfiguration"] == {
        "EventBridgeConfiguration": {"EventBridgeEnabled": True}
    }
    [target] = form.properties("StartRule")["Targets"]
    assert target["Arn"].endswith(":<Pipeline>")
    assert target["RoleArn"] == "<StartRole.Arn>"
    transformer = target["InputTransformer"]
    assert transformer["InputPathsMap"] == {"version": "$.detail.object.version-id"}
    assert json.loads(transformer["InputTemplate"]) == {
        "sourceRevisions": [
            {
                "actionName": form.properties("Pipeline")["Stages"][0]["Actions"][0]["Name"],
                "revisionType": "S3_OBJECT_VERSION_ID",
                "revisionValue": "<version>",
            }
        ]
    }


@turns_red_when(
    "a rule that only uploads have",
    lambda source: source["Resources"]["StageRule"].update(Condition="HasUploadSource"),
)
def test_people_are_told_with_a_connection_too(template: Template) -> None:
    upload = set(template.resolved().of_type("AWS::Events::Rule"))
    connection = set(template.resolved(SourceConnectionArn=CONNECTION).of_type("AWS::Events::Rule"))
    assert upload - connection == {"StartRule"}
    assert connection <= upload
