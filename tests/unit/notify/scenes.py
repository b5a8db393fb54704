"""Releases with all that AWS knows of them, as people would get to read them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from notify.compose import compose
from notify.happening import Change, FailedAction, ReleaseEvent
from notify.notice import Notice
from notify.recognise import recognise
from notify.story import Approval, Running, Story
from tests.unit.notify.samples import EXECUTION, PIPELINE, sample
from trellis.ledger import Bake, Sighting

AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
COMMIT = Change(
    revision="8c1f2e9d4b7a6053c8e1f2a9d4b7a6053c8e1f2a",
    summary="Show the delivery date in the basket\n\nCloses the oldest wish we have.",
    url="https://github.com/example/shop/commit/8c1f2e9d4b7a6053c8e1f2a9d4b7a6053c8e1f2a",
    author="Mina Park",
    branch="main",
    provider="CodeStarSourceConnection",
)
UPLOAD = Change(
    revision="3HL4kqtJlcpXroDTDmJ.rmSpXd3dIbrH",
    summary="Amazon S3 version id: 3HL4kqtJlcpXroDTDmJ.rmSpXd3dIbrH",
    provider="S3",
)
_CODEBUILD = "https://us-east-1.console.aws.amazon.com/codebuild/home?region=us-east-1#/builds"
BUILD = FailedAction(
    name="Build",
    stage="Build",
    reason="Build terminated with state: FAILED. Phase: BUILD, Code: COMMAND_EXECUTION_ERROR, "
    "Message: Error while executing command: python -m unittest. Reason: exit status 1",
    url=f"{_CODEBUILD}/shop-build-main:2f6d8b1c/view/new",
    category="Build",
    provider="CodeBuild",
    execution_id="a0000000-1111-4222-8333-000000000003",
    phase="BUILD",
    log_url="https://console.aws.amazon.com/cloudwatch/home?region=us-east-1#logsV2:log-groups",
    log_tail=(
        "FAIL: test_total_includes_delivery (tests.test_basket.BasketTest)",
        "AssertionError: Decimal('41.90') != Decimal('46.85')",
        "Ran 14 tests in 0.212s",
        "FAILED (failures=1)",
        "[Container] 2026/11/24 09:06:27 Command did not exit successfully python -m unittest "
        "exit status 1",
    ),
)
CHECKS = FailedAction(
    name="Checks",
    stage="Build",
    reason="Build terminated with state: FAILED. Phase: BUILD, Code: COMMAND_EXECUTION_ERROR, "
    "Message: Error while executing command: ruff check . Reason: exit status 1",
    url=f"{_CODEBUILD}/shop-checks-main:7d5c4f0a/view/new",
    category="Test",
    provider="CodeBuild",
    execution_id="a0000000-1111-4222-8333-000000000006",
)
DEPLOY = FailedAction(
    name="Deploy",
    stage="DeployToProd",
    reason="Deployment failed. The environment shop-prod-main did not become healthy: 100.0 % of "
    "the requests are failing with HTTP 5xx.",
    url="https://us-east-1.console.aws.amazon.com/elasticbeanstalk/home?region=us-east-1"
    "#/environment/dashboard?environmentId=e-9d2kfhtzab",
    category="Deploy",
    provider="ElasticBeanstalk",
    environment="shop-prod-main",
    evidence=(
        "100.0 % of the requests are failing with HTTP 5xx.",
        "ELB processes are not healthy on all instances.",
        "Failed to deploy application.",
    ),
)
RUNNING = (
    Running(
        environment="shop-dev-main",
        version_label="code-pipeline-1795512980123-BuildArtifact-df293e2d",
        health="Ok",
    ),
    Running(
        environment="shop-test-main",
        version_label="code-pipeline-1795512985456-BuildArtifact-df293e2d",
        revision="8c1f2e9d4b7a6053c8e1f2a9d4b7a6053c8e1f2a",
        health="Ok",
    ),
    Running(
        environment="shop-prod-main",
        version_label="code-pipeline-1795426580123-BuildArtifact-1b7c9d31",
        revision="17e0c4b2a9d85f36417e0c4b2a9d85f36417e0c4",
        health="Severe",
    ),
)


def seen(subject: str, state: str, seconds: int = 0, **details: str) -> Sighting:
    at = AT.replace(minute=seconds // 60, second=seconds % 60)
    return Sighting(
        pipeline=PIPELINE,
        execution_id=EXECUTION,
        subject=subject,
        state=state,
        order="1",
        at=at,
        details=tuple((name.replace("_", "-"), value) for name, value in details.items()),
    )


@dataclass(frozen=True, slots=True)
class Scene:
    """An event, and what is known of its release."""

    event: Any
    story: Story
    recovered_from: int = 0

    def notice(self) -> Notice:
        happening = recognise(self.event)
        assert isinstance(happening, ReleaseEvent)
        return compose(happening, self.story, self.recovered_from)


SCENES = {
    "two-actions-failed": Scene(
        sample("stage-failed"),
        Story(
            failed_actions=(BUILD, CHECKS),
            change=COMMIT,
            sightings=(
                seen("stage/Source", "SUCCEEDED", 10),
                seen("stage/Build", "FAILED", 380),
            ),
        ),
    ),
    "build-failed": Scene(sample("stage-failed"), Story(failed_actions=(BUILD,), change=UPLOAD)),
    "build-quota-of-a-new-account": Scene(
        sample("stage-failed"),
        Story(
            failed_actions=(
                FailedAction(
                    name="Checks",
                    stage="Build",
                    category="Test",
                    provider="CodeBuild",
                    reason="Error calling startBuild: Cannot have more than 1 builds in queue for "
                    "the account (Service: AWSCodeBuild; Status Code: 400; Error Code: "
                    "AccountLimitExceededException)",
                ),
            ),
            change=UPLOAD,
        ),
    ),
    "production-deployment-failed": Scene(
        sample("stage-failed", stage="DeployToProd"),
        Story(failed_actions=(DEPLOY,), change=COMMIT, running=RUNNING),
    ),
    "failure-heard-of-after-its-rollback": Scene(
        sample("stage-failed", stage="DeployToProd"),
        Story(
            failed_actions=(DEPLOY,),
            change=COMMIT,
            sightings=(seen("rollback/DeployToProd", "SUCCEEDED", 500),),
        ),
    ),
    "failed-again-after-a-retry": Scene(
        sample("stage-failed", pipeline_execution_attempt=2.0),
        Story(failed_actions=(BUILD,), change=COMMIT),
    ),
    "nobody-knows-why": Scene(sample("pipeline-failed"), Story()),
    "waiting-for-the-first-upload": Scene(
        sample("source-action-failed"), Story(trigger="CreatePipeline")
    ),
    "approval-wanted": Scene(
        sample("approval-requested"),
        Story(
            change=COMMIT,
            running=RUNNING[:2],
            approval=Approval(
                asks="Commit 8c1f2e9 of example/shop runs in Test. Approve to release it to "
                "production.",
                url="http://shop-test-main.us-east-1.elasticbeanstalk.com",
            ),
            bakes=(
                Bake(
                    pipeline=PIPELINE,
                    execution_id=EXECUTION,
                    environment="shop-test-main",
                    state="WATCHING",
                    reason="healthy for 8 of 15 minutes",
                    at=AT,
                ),
            ),
        ),
    ),
    "approved": Scene(
        sample("approval-approved"),
        Story(
            change=COMMIT,
            approval=Approval(
                by="arn:aws:sts::123456789012:assumed-role/Reviewer/jo.berg",
                words="Looks good, the new date shows on every page",
            ),
        ),
    ),
    "rejected": Scene(
        sample("stage-failed", stage="DeployToTest"),
        Story(
            change=COMMIT,
            failed_actions=(
                FailedAction(
                    name="Approve",
                    stage="DeployToTest",
                    category="Approval",
                    provider="Manual",
                    reason="The delivery date is wrong for orders after noon",
                    by="arn:aws:sts::123456789012:assumed-role/Reviewer/jo.berg",
                ),
            ),
        ),
    ),
    "rollback-execution-started": Scene(
        sample(
            "pipeline-started",
            execution_trigger={"trigger-type": "AutomatedRollback", "trigger-detail": "arn"},
        ),
        Story(),
    ),
    "rollback-execution-ended": Scene(
        sample("pipeline-succeeded"), Story(change=COMMIT, is_rollback=True)
    ),
    "rollback-execution-failed": Scene(
        sample("stage-failed", stage="DeployToProd"),
        Story(change=COMMIT, is_rollback=True, failed_actions=(DEPLOY,)),
    ),
    "released": Scene(sample("pipeline-succeeded"), Story(change=COMMIT)),
    "released-from-an-upload": Scene(
        sample("pipeline-succeeded"),
        Story(
            change=Change(
                revision="a25282f3-ce04-4565-b970-9d94658f1592",
                summary="v2: Sell sourdough",
                url="https://console.aws.amazon.com/s3/home?region=us-east-1#",
                provider="S3",
            )
        ),
    ),
    "released-after-failures": Scene(
        sample("pipeline-succeeded"), Story(change=UPLOAD), recovered_from=2
    ),
    "released-and-ill": Scene(
        sample("pipeline-succeeded"), Story(change=UPLOAD, running=RUNNING), recovered_from=2
    ),
}
