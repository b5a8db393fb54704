"""What the adapters ask AWS for and how they read the answers, judged by botocore's models."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.stub import Stubber

from rollback.alarms import Alarms
from rollback.beanstalk import Beanstalk, NoSuchEnvironmentError, has_update_begun
from rollback.bundles import Bundles
from rollback.calls import RefusedError, ThrottledError, UnansweredError, call
from rollback.executions import Executions
from rollback.facts import ActionState, AlarmOff, Health
from rollback.pipeline import NoSuchStageError, Pipeline, reason_for_api

type Stubbed = Callable[[str], tuple[Any, Stubber]]

AT = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ID = "01234567-89ab-cdef-0123-456789abcdef"
OTHER = "11111111-89ab-cdef-0123-456789abcdef"


def summary(execution: str, minutes: int, **more: Any) -> dict[str, Any]:
    return {
        "pipelineExecutionId": execution,
        "status": "Succeeded",
        "startTime": AT + timedelta(minutes=minutes),
        "executionType": "STANDARD",
        "sourceRevisions": [
            {"actionName": "Source", "revisionId": f"rev-{minutes}", "revisionSummary": "words"}
        ],
        **more,
    }


def detail(kind: str = "Deploy", **more: Any) -> dict[str, Any]:
    return {
        "pipelineExecutionId": ID,
        "actionExecutionId": "action-1",
        "stageName": "DeployToProd",
        "actionName": "Deploy",
        "startTime": AT,
        "lastUpdateTime": AT + timedelta(minutes=1),
        "status": "Failed",
        "input": {
            "actionTypeId": {
                "category": kind,
                "owner": "AWS",
                "provider": "ElasticBeanstalk",
                "version": "1",
            },
            "configuration": {"ApplicationName": "app", "EnvironmentName": "#{variables.env}"},
            "resolvedConfiguration": {"ApplicationName": "app", "EnvironmentName": "prod"},
            "inputArtifacts": [
                {"name": "BuildArtifact", "s3location": {"bucket": "artifacts", "key": "k"}}
            ],
        },
        "output": {
            "executionResult": {
                "externalExecutionId": "label",
                "errorDetails": {"code": "JobFailed", "message": "it broke"},
            }
        },
        **more,
    }


def pipeline(client: Any) -> Pipeline:
    return Pipeline(client, client, "pipe")


# CodePipeline


def test_reads_a_run_with_its_variables_and_what_it_rolls_back_to(stubbed: Stubbed) -> None:
    client, stub = stubbed("codepipeline")
    stub.add_response(
        "get_pipeline_execution",
        {
            "pipelineExecution": {
                "pipelineExecutionId": ID,
                "status": "Stopped",
                "pipelineVersion": 3,
                "executionType": "ROLLBACK",
                "rollbackMetadata": {"rollbackTargetPipelineExecutionId": OTHER},
                "artifactRevisions": [{"revisionId": "abc", "revisionSummary": "Say hello"}],
                "variables": [{"name": "RollbackSafe", "resolvedValue": "no"}],
            }
        },
        {"pipelineName": "pipe", "pipelineExecutionId": ID},
    )
    stub.add_response(
        "list_pipeline_executions",
        {"pipelineExecutionSummaries": [summary(ID, 1, stopTrigger={"reason": "ada says so"})]},
        {"pipelineName": "pipe", "maxResults": 100},
    )
    run = pipeline(client).run(ID)
    assert (run.revision, run.summary, run.pipeline_version) == ("abc", "Say hello", 3)
    assert (run.is_rollback, run.rollback_target) == (True, OTHER)
    assert (run.stop_reason, run.variables) == ("ada says so", (("RollbackSafe", "no"),))


def test_a_run_that_is_not_among_the_newest_began_with_its_first_action(stubbed: Stubbed) -> None:
    client, stub = stubbed("codepipeline")
    stub.add_response(
        "get_pipeline_execution",
        {"pipelineExecution": {"pipelineExecutionId": ID, "status": "Succeeded"}},
        {"pipelineName": "pipe", "pipelineExecutionId": ID},
    )
    stub.add_response(
        "list_pipeline_executions",
        {"pipelineExecutionSummaries": [summary(OTHER, 1)]},
        {"pipelineName": "pipe", "maxResults": 100},
    )
    stub.add_response(
        "list_action_executions",
        {"actionExecutionDetails": [detail(startTime=AT + timedelta(hours=1)), detail("Source")]},
        {"pipelineName": "pipe", "filter": {"pipelineExecutionId": ID}},
    )
    assert pipeline(client).run(ID).started == AT


@pytest.mark.parametrize("told", [True, False])
def test_a_connections_message_is_read_whole_where_its_source_tells_it(
    stubbed: Stubbed, *, told: bool
) -> None:
    message = f"Migrate {'all ' * 600}orders\n\nRollback-Safe: no"
    wrapped = json.dumps({"ProviderType": "GitHub", "CommitMessage": message})[:2048]
    source = detail("Source")
    if told:
        source["output"]["outputVariables"] = {"CommitMessage": message}
    client, stub = stubbed("codepipeline")
    stub.add_response(
        "get_pipeline_execution",
        {
            "pipelineExecution": {
                "pipelineExecutionId": ID,
                "artifactRevisions": [{"revisionId": "abc", "revisionSummary": wrapped}],
            }
        },
        {"pipelineName": "pipe", "pipelineExecutionId": ID},
    )
    stub.add_response(
        "list_pipeline_executions",
        {"pipelineExecutionSummaries": [summary(ID, 1)]},
        {"pipelineName": "pipe", "maxResults": 100},
    )
    stub.add_response(
        "list_action_executions",
        {"actionExecutionDetails": [detail(), source]},
        {"pipelineName": "pipe", "filter": {"pipelineExecutionId": ID}},
    )
    found = pipeline(client).run(ID).summary or ""
    assert found == message if told else message.startswith(found) and len(found) > 1900


def test_sorts_what_succeeded_in_a_stage_over_all_pages(stubbed: Stubbed) -> None:
    client, stub = stubbed("codepipeline")
    wanted = {"pipelineName": "pipe", "filter": {"succeededInStage": {"stageName": "DeployToProd"}}}
    stub.add_response(
        "list_pipeline_executions",
        {"pipelineExecutionSummaries": [summary(ID, 1)], "nextToken": "more"},
        wanted,
    )
    stub.add_response(
        "list_pipeline_executions",
        {"pipelineExecutionSummaries": [summary(OTHER, 9)]},
        {**wanted, "nextToken": "more"},
    )
    found = pipeline(client).succeeded_in("DeployToProd")
    assert [run.execution_id for run in found] == [OTHER, ID]


def test_reads_deploy_actions_and_no_others(stubbed: Stubbed) -> None:
    client, stub = stubbed("codepipeline")
    stub.add_response(
        "list_action_executions",
        {"actionExecutionDetails": [detail("Build"), detail()]},
        {"pipelineName": "pipe", "filter": {"pipelineExecutionId": ID}},
    )
    run = pipeline(client).deploy(ID, "action-1")
    assert run is not None
    assert run.deployment.environment == "prod"
    assert (run.state, run.message) == (ActionState.FAILED, "it broke")
    assert (run.external_id, run.artifact_bucket, run.artifact_key) == ("label", "artifacts", "k")


def stage_state(stub: Stubber, **deploy: Any) -> None:
    stub.add_response(
        "get_pipeline_state",
        {
            "pipelineName": "pipe",
            "pipelineVersion": 4,
            "stageStates": [
                {
                    "stageName": "DeployToTest",
                    "inboundExecutions": [
                        {"pipelineExecutionId": OTHER, "status": "InProgress"},
                        {"pipelineExecutionId": ID, "status": "Stopped"},
                    ],
                    "inboundTransitionState": {
                        "enabled": False,
                        "disabledReason": "why",
                        "lastChangedBy": "arn:aws:iam::1:user/ada",
                        "lastChangedAt": AT,
                    },
                    "latestExecution": {"pipelineExecutionId": ID, "status": "InProgress"},
                    "actionStates": [
                        {
                            "actionName": "Deploy",
                            "latestExecution": {"actionExecutionId": "action-1"},
                        },
                        {"actionName": "Approve", "latestExecution": {"token": ID}},
                    ],
                }
            ],
        },
        {"name": "pipe"},
    )
    kinds = {"Deploy": "Deploy", "Approve": "Approval"}
    stub.add_response(
        "get_pipeline",
        {
            "pipeline": {
                "name": "pipe",
                "roleArn": "arn:aws:iam::123456789012:role/r",
                "stages": [
                    {
                        "name": "DeployToTest",
                        "actions": [
                            {
                                "name": name,
                                "actionTypeId": {
                                    "category": category,
                                    "owner": "AWS",
                                    "provider": "Any",
                                    "version": "1",
                                },
                            }
                            for name, category in kinds.items()
                        ],
                    }
                ],
            }
        },
        {"name": "pipe"},
    )


def test_reads_a_stage_with_its_approval_and_its_transition(stubbed: Stubbed) -> None:
    client, stub = stubbed("codepipeline")
    stage_state(stub)
    stage = pipeline(client).stage("DeployToTest")
    assert (stage.has_approval, stage.approval_action, stage.approval_token) == (
        True,
        "Approve",
        ID,
    )
    assert stage.inbound == (OTHER,)
    assert stage.action_execution_id == "action-1"
    assert (stage.transition.is_enabled, stage.transition.reason) == (False, "why")


def test_reads_every_approval_that_waits_whoever_waits_longest_first(stubbed: Stubbed) -> None:
    """An action that runs has no token; an approval that was answered has none any more."""
    client, stub = stubbed("codepipeline")

    def state(name: str, **latest: Any) -> dict[str, Any]:
        return {"actionName": name, "latestExecution": latest}

    stub.add_response(
        "get_pipeline_state",
        {
            "stageStates": [
                {"stageName": "Source", "actionStates": [{"actionName": "Source"}]},
                {"stageName": "Empty"},
                {
                    "stageName": "DeployToTest",
                    "actionStates": [
                        state("Deploy", status="InProgress", lastStatusChange=AT),
                        state("Approve", status="InProgress", lastStatusChange=AT, token=ID),
                        state("Second", status="Succeeded", lastStatusChange=AT, token=ID),
                    ],
                },
                {
                    "stageName": "Extra",
                    "actionStates": [
                        state(
                            "Ask",
                            status="InProgress",
                            lastStatusChange=AT - timedelta(hours=3),
                            token=OTHER,
                        )
                    ],
                },
            ]
        },
        {"name": "pipe"},
    )
    assert [(one.stage, one.action) for one in pipeline(client).approvals()] == [
        ("Extra", "Ask"),
        ("DeployToTest", "Approve"),
    ]


def test_a_stage_that_is_not_there_is_named(stubbed: Stubbed) -> None:
    client, stub = stubbed("codepipeline")
    stub.add_response("get_pipeline_state", {"stageStates": []}, {"name": "pipe"})
    with pytest.raises(NoSuchStageError, match="no deploy action in Elsewhere"):
        pipeline(client).stage("Elsewhere")


def test_rolls_a_stage_back_and_finds_a_rollback_that_began(stubbed: Stubbed) -> None:
    client, stub = stubbed("codepipeline")
    stub.add_response(
        "rollback_stage",
        {"pipelineExecutionId": OTHER},
        {
            "pipelineName": "pipe",
            "stageName": "DeployToProd",
            "targetPipelineExecutionId": ID,
        },
    )
    back = {"rollbackTargetPipelineExecutionId": ID}
    stub.add_response(
        "list_pipeline_executions",
        {
            "pipelineExecutionSummaries": [
                summary(OTHER, 5, executionType="ROLLBACK", rollbackMetadata=back),
                summary(ID, 1),
            ]
        },
    )
    stub.add_response("list_pipeline_executions", {"pipelineExecutionSummaries": []})
    assert pipeline(client).roll_back("DeployToProd", ID) == OTHER
    begun = pipeline(client).rollback_begun(ID, AT)
    assert begun is not None
    assert begun.execution_id == OTHER
    assert pipeline(client).rollback_begun(ID, AT + timedelta(hours=1)) is None


@pytest.mark.parametrize(
    ("reason", "sent"),
    [
        ("Trellis: v2 failed, see https://x/y_z #1", "Trellis v2 failed see https x y z 1"),
        ("é", "frozen"),
        ("x" * 400, "x" * 300),
    ],
)
def test_a_reason_fits_what_the_api_takes(stubbed: Stubbed, reason: str, sent: str) -> None:
    client, stub = stubbed("codepipeline")
    wanted = {"pipelineName": "pipe", "stageName": "S", "transitionType": "Inbound"}
    stub.add_response("disable_stage_transition", {}, {**wanted, "reason": sent})
    stub.add_response("enable_stage_transition", {}, wanted)
    pipeline(client).disable("S", reason)
    pipeline(client).enable("S")
    assert reason_for_api(reason) == sent


def test_rejects_an_approval_in_as_many_words_as_fit(stubbed: Stubbed) -> None:
    client, stub = stubbed("codepipeline")
    stub.add_response(
        "put_approval_result",
        {"approvedAt": AT},
        {
            "pipelineName": "pipe",
            "stageName": "DeployToTest",
            "actionName": "Approve",
            "result": {"summary": "w" * 512, "status": "Rejected"},
            "token": ID,
        },
    )
    pipeline(client).reject("DeployToTest", "Approve", ID, "w" * 600)


# Elastic Beanstalk


def beanstalk(client: Any) -> Beanstalk:
    return Beanstalk(client, client, "app")


def test_looks_at_an_environment_and_each_of_its_instances(stubbed: Stubbed) -> None:
    client, stub = stubbed("elasticbeanstalk")
    stub.add_response(
        "describe_environments",
        {
            "Environments": [
                {
                    "EnvironmentName": "prod",
                    "Status": "Ready",
                    "VersionLabel": "label-1",
                    "PlatformArn": "arn:aws:elasticbeanstalk:us-east-1::platform/P/1",
                    "AbortableOperationInProgress": False,
                }
            ]
        },
        {"ApplicationName": "app", "EnvironmentNames": ["prod"], "IncludeDeleted": False},
    )
    stub.add_response(
        "describe_environment_health",
        {"HealthStatus": "Degraded", "Causes": ["1 of 2 instances failed."]},
        {"EnvironmentName": "prod", "AttributeNames": ["HealthStatus", "Causes"]},
    )
    asked = {"EnvironmentName": "prod", "AttributeNames": ["HealthStatus", "Deployment"]}
    stub.add_response(
        "describe_instances_health",
        {
            "InstanceHealthList": [
                {
                    "InstanceId": "i-2",
                    "HealthStatus": "No Data",
                    "Deployment": {"VersionLabel": "label-2", "DeploymentTime": AT},
                }
            ],
            "NextToken": "more",
        },
        asked,
    )
    stub.add_response(
        "describe_instances_health",
        {"InstanceHealthList": [{"InstanceId": "i-1", "HealthStatus": "Ok"}]},
        {**asked, "NextToken": "more"},
    )
    look = beanstalk(client).look("prod", AT)
    assert (look.health, look.causes) == (Health.DEGRADED, ("1 of 2 instances failed.",))
    assert [(one.id, one.version_label, one.health) for one in look.instances] == [
        ("i-1", None, Health.OK),
        ("i-2", "label-2", Health.NO_DATA),
    ]
    assert look.instances[1].deployed_at == AT


def test_basic_health_leaves_instances_unknown(stubbed: Stubbed) -> None:
    client, stub = stubbed("elasticbeanstalk")
    stub.add_response(
        "describe_environments",
        {"Environments": [{"EnvironmentName": "prod", "Status": "Updating", "HealthStatus": "Ok"}]},
    )
    stub.add_client_error("describe_environment_health", "InvalidRequestException")
    stub.add_client_error("describe_instances_health", "InvalidRequestException")
    look = beanstalk(client).look("prod", AT)
    assert (look.health, look.instances) == (Health.OK, ())


def test_an_environment_that_may_not_be_seen_is_no_empty_answer(stubbed: Stubbed) -> None:
    client, stub = stubbed("elasticbeanstalk")
    stub.add_response("describe_environments", {"Environments": []})
    with pytest.raises(NoSuchEnvironmentError, match="no environment prod to be seen"):
        beanstalk(client).look("prod", AT)


def test_reads_what_was_told_and_whether_an_update_began(stubbed: Stubbed) -> None:
    client, stub = stubbed("elasticbeanstalk")
    told = {
        "Events": [
            {"EventDate": AT, "Message": "Environment update is starting.", "RequestId": "r"},
            {"EventDate": AT - timedelta(minutes=1), "Message": "Environment health has …"},
        ]
    }
    asked = {
        "ApplicationName": "app",
        "EnvironmentName": "prod",
        "StartTime": AT - timedelta(hours=1),
        "MaxRecords": 1000,
    }
    since = AT - timedelta(hours=1)
    for events in (told["Events"], told["Events"], told["Events"][1:]):
        stub.add_response("describe_events", {"Events": events}, asked)
    incidents = beanstalk(client).incidents("prod", since)
    assert [one.at for one in incidents] == [AT - timedelta(minutes=1), AT]
    assert has_update_begun(incidents)
    assert not has_update_begun(incidents[:1])
    assert beanstalk(client).update_begun("prod", since)
    assert not beanstalk(client).update_begun("prod", since)


def test_finds_the_versions_that_hold_a_bundle(stubbed: Stubbed) -> None:
    client, stub = stubbed("elasticbeanstalk")

    def version(label: str, key: str) -> dict[str, Any]:
        bundle = {"S3Bucket": "artifacts", "S3Key": key}
        return {"VersionLabel": label, "DateCreated": AT, "SourceBundle": bundle}

    bare = {"VersionLabel": "Sample Application"}
    found = [version("l-2", "two"), version("l-1", "one"), version("l-3", "two"), bare]
    stub.add_response(
        "describe_application_versions",
        {"ApplicationVersions": found},
        {"ApplicationName": "app"},
    )
    held = beanstalk(client).versions_of("artifacts", "two")
    assert [(one.label, one.created) for one in held] == [("l-2", AT), ("l-3", AT)]


def test_what_is_too_long_for_a_label_is_none(stubbed: Stubbed) -> None:
    client, _ = stubbed("elasticbeanstalk")
    assert beanstalk(client).version("e" * 101) is None


def test_a_version_that_is_there_already_is_left_as_it_is(stubbed: Stubbed) -> None:
    client, stub = stubbed("elasticbeanstalk")
    stub.add_client_error(
        "create_application_version",
        "InvalidParameterValue",
        "Application Version trellis-1 already exists.",
        expected_params={
            "ApplicationName": "app",
            "VersionLabel": "trellis-1",
            "Description": "Known good: v1",
            "SourceBundle": {"S3Bucket": "b", "S3Key": "k"},
        },
    )
    beanstalk(client).register("trellis-1", "b", "k", "Known good: v1")


def test_finds_versions_updates_and_aborts(stubbed: Stubbed) -> None:
    client, stub = stubbed("elasticbeanstalk")
    asked = {"ApplicationName": "app", "VersionLabels": ["l"]}
    stub.add_response("describe_application_versions", {"ApplicationVersions": []}, asked)
    stub.add_response(
        "describe_application_versions",
        {
            "ApplicationVersions": [
                {
                    "VersionLabel": "l",
                    "Status": "Processed",
                    "SourceBundle": {"S3Bucket": "b", "S3Key": "k"},
                }
            ]
        },
        asked,
    )
    stub.add_response(
        "update_environment",
        {},
        {"ApplicationName": "app", "EnvironmentName": "prod", "VersionLabel": "l"},
    )
    stub.add_response("abort_environment_update", {}, {"EnvironmentName": "prod"})
    assert beanstalk(client).version("l") is None
    found = beanstalk(client).version("l")
    assert found is not None
    assert (found.status, found.bucket, found.key) == ("Processed", "b", "k")
    assert beanstalk(client).update("prod", "l") == "l"
    beanstalk(client).abort("prod")


# The others


def test_knows_a_bundle_that_is_gone_from_one_that_may_not_be_seen(stubbed: Stubbed) -> None:
    client, stub = stubbed("s3")
    bundles = Bundles(client, "artifacts")
    stub.add_response("head_object", {}, {"Bucket": "b", "Key": "k"})
    stub.add_client_error("head_object", "404", "Not Found", 404)
    stub.add_client_error("head_object", "403", "Forbidden", 403)
    assert bundles.is_there("b", "k")
    assert not bundles.is_there("b", "k")
    with pytest.raises(RefusedError):
        bundles.is_there("b", "k")
    assert not bundles.is_there(None, "k")


def test_copies_a_bundle_to_a_key_of_its_own(stubbed: Stubbed) -> None:
    client, stub = stubbed("s3")
    stub.add_response(
        "copy_object",
        {},
        {
            "Bucket": "artifacts",
            "Key": "known-good/prod/action-1.zip",
            "CopySource": {"Bucket": "b", "Key": "a/b c"},
        },
    )
    stub.add_response("delete_object", {}, {"Bucket": "artifacts", "Key": "known-good/prod/0.zip"})
    bundles = Bundles(client, "artifacts")
    assert bundles.copy("b", "a/b c", "prod", "action-1") == "known-good/prod/action-1.zip"
    bundles.forget("known-good/prod/0.zip")


def test_sees_the_alarms_that_go_off(stubbed: Stubbed) -> None:
    client, stub = stubbed("cloudwatch")
    stub.add_response(
        "describe_alarms",
        {
            "MetricAlarms": [
                {
                    "AlarmName": "a",
                    # It moves with the evaluation's own state too.
                    "StateUpdatedTimestamp": AT + timedelta(minutes=7),
                    "StateTransitionedTimestamp": AT,
                    "EvaluationPeriods": 3,
                    "Metrics": [
                        {
                            "Id": "m",
                            "MetricStat": {
                                "Metric": {"Namespace": "N", "MetricName": "M"},
                                "Period": 60,
                                "Stat": "Sum",
                            },
                        }
                    ],
                }
            ],
            "CompositeAlarms": [{"AlarmName": "b", "StateUpdatedTimestamp": AT}],
        },
        {
            "AlarmNames": ["a", "b"],
            "AlarmTypes": ["MetricAlarm", "CompositeAlarm"],
            "StateValue": "ALARM",
            "MaxRecords": 100,
        },
    )
    assert Alarms(client).going_off(("a", "b")) == {
        "a": AlarmOff(since=AT, window=timedelta(minutes=3)),
        "b": AlarmOff(since=AT, window=timedelta(minutes=5)),
    }
    assert Alarms(client).going_off(()) == {}


def test_tells_a_living_execution_from_a_dead_or_forgotten_one(stubbed: Stubbed) -> None:
    client, stub = stubbed("lambda")
    arn = (
        "arn:aws:lambda:us-east-1:123456789012:function:f:1/durable-execution/"
        "0123456789abcdef/0123456789abcdef"
    )
    for status in ("RUNNING", "FAILED"):
        stub.add_response(
            "get_durable_execution",
            {
                "DurableExecutionArn": arn,
                "DurableExecutionName": "n",
                "FunctionArn": "arn:aws:lambda:us-east-1:123456789012:function:f",
                "StartTimestamp": AT,
                "Status": status,
            },
            {"DurableExecutionArn": arn},
        )
    stub.add_client_error("get_durable_execution", "ResourceNotFoundException", "", 404)
    stub.add_response(
        "invoke",
        {"StatusCode": 202},
        {"FunctionName": "f:live", "InvocationType": "Event", "Payload": b'{"sweep": {}}'},
    )
    executions = Executions(client, "f:live")
    assert [executions.is_alive(arn) for _ in range(3)] == [True, False, False]
    executions.begin({"sweep": {}})


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("ThrottlingException", 400, ThrottledError),
        ("Throttling", 400, ThrottledError),
        ("Anything", 429, ThrottledError),
        ("InternalFailure", 500, UnansweredError),
        ("ServiceUnavailable", 503, UnansweredError),
        ("AccessDeniedException", 403, RefusedError),
        ("ConflictException", 400, RefusedError),
    ],
)
def test_every_failure_says_whether_it_may_have_happened(
    stubbed: Stubbed, code: str, status: int, error: type[Exception]
) -> None:
    client, stub = stubbed("codepipeline")
    stub.add_client_error("get_pipeline", code, "words", status)
    with pytest.raises(error, match=f"get_pipeline answered {code}: words"):
        call(client.get_pipeline, name="pipe")


def test_no_answer_is_no_refusal() -> None:
    def get_pipeline(**_: Any) -> None:
        raise ReadTimeoutError(endpoint_url="https://aws")

    with pytest.raises(UnansweredError, match="ReadTimeoutError"):
        call(get_pipeline)
