"""What AWS is asked, and what becomes of its answers, in botocore's own shapes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    ReadTimeoutError,
    SSLError,
)
from botocore.session import get_session
from botocore.stub import ANY, Stubber

from notify.gather import Gatherer, log_tail
from notify.happening import ReleaseEvent
from notify.recognise import recognise
from notify.story import Running, Story
from tests.unit.notify.samples import EXECUTION, PIPELINE, sample

AT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
BUILD_ID = "shop-build-main:2f6d8b1c"


class Aws:
    """The clients, each answering from its own list, in order."""

    def __init__(self) -> None:
        names = ("codepipeline", "codebuild", "logs", "elasticbeanstalk")
        session: Any = get_session()
        self.clients: dict[str, Any] = {name: session.create_client(name) for name in names}
        self.stubs = {name: Stubber(client) for name, client in self.clients.items()}
        for stub in self.stubs.values():
            stub.activate()
        self.unanswered: list[str] = []
        self.now = 0.0

    def answers(self, service: str, operation: str, answer: Any, asked: Any = None) -> None:
        self.stubs[service].add_response(operation, answer, asked)

    def story(self, name: str, **detail: Any) -> Story:
        event = recognise(sample(name, **detail))
        assert isinstance(event, ReleaseEvent)
        gatherer = Gatherer(
            self.clients.__getitem__,
            lambda question, error: self.unanswered.append(question),
            lambda: self.now,
        )
        return gatherer.story(event, ())

    def everything_was_asked(self) -> None:
        for stub in self.stubs.values():
            stub.assert_no_pending_responses()


@pytest.fixture
def aws() -> Aws:
    return Aws()


def execution(**more: Any) -> dict[str, Any]:
    return {
        "pipelineExecution": {
            "pipelineName": PIPELINE,
            "pipelineExecutionId": EXECUTION,
            "trigger": {"triggerType": "CloudWatchEvent", "triggerDetail": "rule"},
            "executionType": "STANDARD",
            "artifactRevisions": [
                {
                    "name": "SourceArtifact",
                    "revisionId": "3HL4kqtJlcpXroDTDmJ",
                    "revisionSummary": "8c1f2e9 Show the delivery date",
                    "revisionUrl": "https://console.aws.amazon.com/s3/object",
                }
            ],
            **more,
        }
    }


def action(
    stage: str,
    name: str,
    category: str,
    provider: str,
    status: str,
    *,
    start: datetime = AT,
    configuration: dict[str, str] | None = None,
    result: dict[str, Any] | None = None,
    by: str | None = None,
) -> dict[str, Any]:
    detail: dict[str, Any] = {
        "pipelineExecutionId": EXECUTION,
        "actionExecutionId": f"id-{stage}-{name}-{start:%M}",
        "stageName": stage,
        "actionName": name,
        "startTime": start,
        "status": status,
        "input": {
            "actionTypeId": {
                "category": category,
                "owner": "AWS",
                "provider": provider,
                "version": "1",
            },
            "resolvedConfiguration": configuration or {},
        },
        "output": {"executionResult": result or {}},
    }
    return detail | ({"updatedBy": by} if by else {})


SOURCE = action("Source", "Source", "Source", "S3", "Succeeded")
DEPLOY = {"ApplicationName": "shop-main", "EnvironmentName": "shop-prod-main"}


def about_the_pipeline(aws: Aws, *actions: dict[str, Any]) -> None:
    aws.answers(
        "codepipeline",
        "get_pipeline_execution",
        execution(),
        {"pipelineName": PIPELINE, "pipelineExecutionId": EXECUTION},
    )
    aws.answers(
        "codepipeline",
        "list_action_executions",
        {"actionExecutionDetails": [SOURCE, *actions]},
        {"pipelineName": PIPELINE, "filter": {"pipelineExecutionId": EXECUTION}},
    )


def test_names_every_failed_action_with_its_build_and_the_end_of_its_log(aws: Aws) -> None:
    about_the_pipeline(
        aws,
        action(
            "Build",
            "Build",
            "Build",
            "CodeBuild",
            "Failed",
            result={"externalExecutionId": BUILD_ID, "externalExecutionUrl": "https://build"},
        ),
        action("Build", "Checks", "Test", "CodeBuild", "Failed"),
        action("Build", "Lint", "Test", "CodeBuild", "Succeeded"),
    )
    aws.answers(
        "codebuild",
        "batch_get_builds",
        {
            "builds": [
                {
                    "id": BUILD_ID,
                    "phases": [
                        {"phaseType": "INSTALL", "phaseStatus": "SUCCEEDED"},
                        {
                            "phaseType": "BUILD",
                            "phaseStatus": "FAILED",
                            "contexts": [
                                {
                                    "statusCode": "COMMAND_EXECUTION_ERROR",
                                    "message": "Error while executing command: make",
                                }
                            ],
                        },
                    ],
                    "logs": {
                        "groupName": "/aws/codebuild/shop-build-main",
                        "streamName": "2f6d8b1c",
                        "deepLink": "https://log",
                    },
                }
            ]
        },
        {"ids": [BUILD_ID]},
    )
    aws.answers(
        "logs",
        "get_log_events",
        {"events": [{"message": "FAIL: test_total\n"}, {"message": "\n"}]},
        {
            "logGroupName": "/aws/codebuild/shop-build-main",
            "logStreamName": "2f6d8b1c",
            "limit": 100,
            "startFromHead": False,
        },
    )
    story = aws.story("stage-failed")
    assert story.failed_actions is not None
    build, checks = story.failed_actions
    assert (build.name, checks.name) == ("Build", "Checks")
    assert (build.phase, build.log_url, build.log_tail) == (
        "BUILD",
        "https://log",
        ("FAIL: test_total",),
    )
    assert build.reason == "COMMAND_EXECUTION_ERROR: Error while executing command: make"
    assert story.change is not None
    assert (story.change.revision, story.change.provider) == ("3HL4kqtJlcpXroDTDmJ", "S3")
    aws.everything_was_asked()


def test_of_a_retried_action_only_the_newest_try_counts(aws: Aws) -> None:
    later = AT.replace(minute=20)
    about_the_pipeline(
        aws,
        action("Build", "Build", "Build", "CodeBuild", "Failed"),
        action("Build", "Build", "Build", "CodeBuild", "Succeeded", start=later),
        action("Build", "Checks", "Test", "CodeBuild", "Failed", start=later),
    )
    story = aws.story("stage-failed")
    assert story.failed_actions is not None
    assert [one.name for one in story.failed_actions] == ["Checks"]


def test_reads_all_pages_of_a_long_release(aws: Aws) -> None:
    aws.answers("codepipeline", "get_pipeline_execution", execution())
    for token, name in ((None, "Build"), ("more", "Checks")):
        answer: dict[str, Any] = {
            "actionExecutionDetails": [action("Build", name, "Test", "CodeBuild", "Failed")]
        }
        if token is None:
            answer["nextToken"] = "more"
        aws.answers("codepipeline", "list_action_executions", answer)
    story = aws.story("stage-failed")
    assert story.failed_actions is not None
    assert len(story.failed_actions) == 2


def test_a_failed_deployment_comes_with_what_its_environment_says_and_what_all_of_them_run(
    aws: Aws,
) -> None:
    about_the_pipeline(
        aws,
        action(
            "DeployToProd", "Deploy", "Deploy", "ElasticBeanstalk", "Failed", configuration=DEPLOY
        ),
    )
    aws.answers(
        "elasticbeanstalk",
        "describe_environment_health",
        {"HealthStatus": "Severe", "Causes": ["100.0 % of the requests are failing"]},
        {"EnvironmentName": "shop-prod-main", "AttributeNames": ["HealthStatus", "Causes"]},
    )
    aws.answers(
        "elasticbeanstalk",
        "describe_events",
        {"Events": [{"Message": "Failed to deploy application."}, {"Message": "It broke."}]},
        {"EnvironmentName": "shop-prod-main", "Severity": "WARN", "MaxRecords": ANY},
    )
    aws.answers(
        "elasticbeanstalk",
        "describe_environments",
        {
            "Environments": [
                {
                    "EnvironmentName": "shop-prod-main",
                    "VersionLabel": "v7",
                    "HealthStatus": "Severe",
                    "CNAME": "shop.example",
                }
            ]
        },
        {"EnvironmentNames": ["shop-prod-main"]},
    )
    story = aws.story("stage-failed", stage="DeployToProd")
    assert story.failed_actions is not None
    assert story.failed_actions[0].evidence == (
        "100.0 % of the requests are failing",
        "Failed to deploy application.",
        "It broke.",
    )
    assert story.running == (
        Running(
            environment="shop-prod-main", version_label="v7", health="Severe", url="shop.example"
        ),
    )
    aws.everything_was_asked()


def test_an_approval_comes_with_what_is_asked_and_who_answered(aws: Aws) -> None:
    about_the_pipeline(
        aws,
        action(
            "DeployToTest",
            "Approve",
            "Approval",
            "Manual",
            "Succeeded",
            configuration={"CustomData": "Look at it", "ExternalEntityLink": "http://test"},
            result={"externalExecutionSummary": "fine"},
            by="arn:aws:sts::123456789012:assumed-role/Reviewer/jo.berg",
        ),
    )
    approval = aws.story("approval-approved").approval
    assert approval is not None
    assert (approval.asks, approval.url, approval.words) == ("Look at it", "http://test", "fine")
    assert approval.by == "arn:aws:sts::123456789012:assumed-role/Reviewer/jo.berg"


def test_a_connections_commit_comes_with_its_author_and_not_as_json(aws: Aws) -> None:
    summary = '{"ProviderType":"GitHub","CommitMessage":"Show the delivery date\\n\\nMore."}'
    revision = {"name": "SourceArtifact", "revisionId": "8c1f2e9", "revisionSummary": summary}
    source = action("Source", "Source", "Source", "CodeStarSourceConnection", "Succeeded")
    for variables in ({}, {"AuthorDisplayName": "Mina Park", "BranchName": "main"}):
        source["output"]["outputVariables"] = variables
        aws.answers(
            "codepipeline", "get_pipeline_execution", execution(artifactRevisions=[revision])
        )
        aws.answers("codepipeline", "list_action_executions", {"actionExecutionDetails": [source]})
        change = aws.story("pipeline-stopped").change
        assert change is not None
        assert change.summary == "Show the delivery date\n\nMore."
        assert change.author == variables.get("AuthorDisplayName")


def test_knows_a_rollback_by_codepipelines_word(aws: Aws) -> None:
    aws.answers("codepipeline", "get_pipeline_execution", execution(executionType="ROLLBACK"))
    aws.answers("codepipeline", "list_action_executions", {"actionExecutionDetails": []})
    assert aws.story("pipeline-succeeded").is_rollback


@pytest.mark.parametrize("name", ["pipeline-started", "pipeline-resumed", "stage-started"])
def test_asks_nothing_where_the_event_says_enough(aws: Aws, name: str) -> None:
    assert aws.story(name) == Story()
    assert aws.unanswered == []


class Silent:
    """A service that does not answer, and counts how often it was asked."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        def ask(**_: Any) -> None:
            self.asked += 1
            raise self.error

        return ask


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (ReadTimeoutError(endpoint_url="https://x"), 1),
        (ConnectTimeoutError(endpoint_url="https://x"), 1),
        # Once more over a new connection, as the old one may have been forgotten; no third time.
        (ConnectionClosedError(endpoint_url="https://x"), 2),
        (SSLError(endpoint_url="https://x", error=EOFError()), 2),
        (ClientError({"Error": {"Code": "ThrottlingException"}}, "GetPipelineExecution"), 2),
    ],
)
def test_a_silent_service_is_waited_for_once_and_then_left_alone_for_a_while(
    error: Exception, asked: int
) -> None:
    service, now, unanswered = Silent(error), [0.0], []
    gatherer = Gatherer(
        lambda name: service, lambda question, _: unanswered.append(question), lambda: now[0]
    )
    event = recognise(sample("stage-failed"))
    assert isinstance(event, ReleaseEvent)
    story = gatherer.story(event, ())
    assert (story.failed_actions, story.change, service.asked) == (None, None, asked)
    assert unanswered
    now[0] = 31.0
    gatherer.story(event, ())
    assert service.asked == 2 * asked


def test_a_service_that_hangs_up_late_is_not_waited_for_twice() -> None:
    service, now = Silent(ConnectionClosedError(endpoint_url="https://x")), [0.0]

    def client(_: str) -> Any:
        now[0] += 2.0  # as if the answer had been waited for
        return service

    event = recognise(sample("stage-failed"))
    assert isinstance(event, ReleaseEvent)
    Gatherer(client, lambda question, _: None, lambda: now[0]).story(event, ())
    assert service.asked == 1


def test_the_log_that_matters_ends_where_the_command_failed() -> None:
    messages = [
        *(f"line {number}\n" for number in range(40)),
        "[Container] Command did not exit successfully make exit status 2\n",
        "[Container] Phase complete: BUILD State: FAILED\n",
        "[Container] Entering phase POST_BUILD\n",
    ]
    tail = log_tail(messages)
    assert len(tail) == 15
    assert tail[-1] == "[Container] Command did not exit successfully make exit status 2"
    assert log_tail(["a\n\nb\n"]) == ("a", "b")
    assert log_tail([]) == ()
