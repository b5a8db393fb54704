"""How source and deploy actions fail, and what pins a source."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from sandbox.cloud import AccessDeniedError
from sandbox.codepipeline.actions.work import Pace
from tests.unit.sandbox import object_store
from tests.unit.sandbox.codepipeline.beanstalk import FakeBeanstalk, client_error
from tests.unit.sandbox.codepipeline.conftest import World, eventually
from tests.unit.sandbox.codepipeline.declared import ROLE, action, gate, pipeline, source, stage

CONNECTION = "arn:aws:codeconnections:us-east-1:123456789012:connection/1f"


def simple(world: World, **changes: Any) -> dict[str, Any]:
    declared = pipeline(world.bucket, stage("Test", gate("Gate")))
    declared["stages"][0] = stage("Source", source(world.bucket, **changes))
    return declared


def deploying(world: World) -> tuple[FakeBeanstalk, dict[str, Any]]:
    beanstalk = world.cloud.clients["elasticbeanstalk"] = FakeBeanstalk()
    deploy = action(
        "Deploy",
        "Deploy",
        "ElasticBeanstalk",
        {"ApplicationName": "shop", "EnvironmentName": "shop-prod"},
        inputs=["SourceArtifact"],
    )
    return beanstalk, pipeline(world.bucket, stage("Prod", deploy))


def error_of(world: World, stage_name: str, action_name: str) -> dict[str, str]:
    return dict(world.action(stage_name, action_name)["errorDetails"])


def source_error(world: World) -> dict[str, str]:
    [execution, *_] = world.executions()
    world.until(execution["pipelineExecutionId"], "Failed")
    return error_of(world, "Source", "Source")


# Source/S3


def test_a_pinned_version_wins_over_a_newer_upload(world: World) -> None:
    first = world.upload("v1")
    world.upload("v2")
    world.create(simple(world))
    pinned = world.start(
        sourceRevisions=[
            {
                "actionName": "Source",
                "revisionType": "S3_OBJECT_VERSION_ID",
                "revisionValue": first,
            }
        ]
    )
    eventually(lambda: world.execution(pinned)["artifactRevisions"])
    assert world.execution(pinned)["artifactRevisions"][0]["revisionId"] == first


def test_a_pinned_version_that_is_gone_fails_the_source(world: World) -> None:
    world.upload()
    world.create(simple(world))
    pinned = world.start(
        sourceRevisions=[
            {
                "actionName": "Source",
                "revisionType": "S3_OBJECT_VERSION_ID",
                "revisionValue": "b3f1a2d4-0000-4000-8000-000000000000",
            }
        ]
    )
    world.until(pinned, "Failed")
    message = error_of(world, "Source", "Source")["message"]
    assert "at version b3f1a2d4" in message


def test_another_object_key_is_taken_only_where_it_is_allowed(world: World) -> None:
    world.upload("v1")
    other = world.upload("v2", key="hotfix.zip")
    declared = simple(world)
    world.create(declared)
    override = [
        {"actionName": "Source", "revisionType": "S3_OBJECT_KEY", "revisionValue": "hotfix.zip"}
    ]
    with pytest.raises(world.client.exceptions.ValidationException, match="AllowOverride"):
        world.start(sourceRevisions=override)
    declared["stages"][0]["actions"][0]["configuration"]["AllowOverrideForS3ObjectKey"] = "true"
    world.client.update_pipeline(pipeline=declared)
    execution = world.start(sourceRevisions=override)
    eventually(lambda: world.execution(execution)["artifactRevisions"])
    assert world.execution(execution)["artifactRevisions"][0]["revisionId"] == other


@pytest.mark.parametrize(
    ("action_name", "revision_type"), [("Nothing", "S3_OBJECT_VERSION_ID"), ("Source", "COMMIT_ID")]
)
def test_an_override_must_fit_a_source_action(
    world: World, action_name: str, revision_type: str
) -> None:
    world.upload()
    world.create(simple(world))
    with pytest.raises(world.client.exceptions.ValidationException, match=action_name):
        world.start(
            sourceRevisions=[
                {
                    "actionName": action_name,
                    "revisionType": revision_type,
                    "revisionValue": "x",
                }
            ]
        )


def test_without_a_summary_in_the_metadata_the_version_is_the_summary(world: World) -> None:
    version = world.upload()
    execution = world.create(simple(world))
    world.token("Test", of=execution)
    [revision] = world.executions()[0]["sourceRevisions"]
    assert revision["revisionSummary"] == f"Amazon S3 version id: {version}"
    current = world.stage("Source")["actionStates"][0]["currentRevision"]
    assert current["revisionId"] == version


def test_a_source_bucket_that_is_not_there_is_named(world: World) -> None:
    declared = simple(world)
    declared["stages"][0]["actions"][0]["configuration"]["S3Bucket"] = "nowhere-at-all"
    world.create(declared)
    assert source_error(world) == {
        "code": "ConfigurationError",
        "message": "No bucket with the name nowhere-at-all was found",
    }


def test_a_source_bucket_without_versions_is_refused(world: World) -> None:
    plain = f"{world.bucket}-plain"
    world.s3.create_bucket(Bucket=plain)
    declared = simple(world)
    declared["stages"][0]["actions"][0]["configuration"]["S3Bucket"] = plain
    world.create(declared)
    assert "Versioning is not enabled" in source_error(world)["message"]


def test_a_role_that_may_not_read_the_source_is_a_permission_error(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: Any) -> None:
        raise client_error("GetObject", "AccessDenied", "Access Denied", 403)

    monkeypatch.setattr(world.s3, "get_object", refuse)
    world.create(simple(world))
    error = source_error(world)
    assert error["code"] == "PermissionError"
    assert error["message"] == (
        "The provided role does not have permissions to perform this action. Underlying error: "
        "Access Denied"
    )


def test_a_role_that_trusts_codepipeline_no_more_is_a_permission_error(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **named: Any) -> None:
        raise AccessDeniedError(named["service_principal"], "sts:AssumeRole", named["role_arn"])

    monkeypatch.setattr(world.cloud, "client", refuse)
    world.create(simple(world))
    assert source_error(world) == {
        "code": "PermissionError",
        "message": f"CodePipeline is not authorized to perform AssumeRole on role {ROLE}",
    }


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_defect_of_an_action_fails_it_and_is_not_swallowed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_: Any) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(world.s3, "get_object", broken)
    world.upload()
    world.create(simple(world))
    assert source_error(world) == {"code": "InternalError", "message": "RuntimeError: a defect"}
    [failure] = eventually(lambda: world.cloud.failures)
    assert str(failure) == "a defect"
    world.cloud.failures.clear()


# Source/CodeStarSourceConnection


def repository(folder: Path) -> Path:
    def git(*arguments: str) -> None:
        subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)

    folder.mkdir()
    git("init", "--initial-branch=main")
    git("config", "user.name", "Ada")
    git("config", "user.email", "ada@example.com")
    (folder / "release.txt").write_text("from git")
    git("add", ".")
    git("commit", "-m", "Add a cart\n\nRollback-Safe: no")
    return folder


def connected(world: World) -> dict[str, Any]:
    declared = simple(world)
    origin = action(
        "Source",
        "Source",
        "CodeStarSourceConnection",
        {
            "ConnectionArn": CONNECTION,
            "FullRepositoryId": "shop/web",
            "BranchName": "main",
        },
        outputs=["SourceArtifact"],
    )
    declared["stages"][0] = stage("Source", origin | {"namespace": "SourceVariables"})
    approve = declared["stages"][1]["actions"][0]
    approve["configuration"] = {"CustomData": "#{SourceVariables.CommitMessage}"}
    return declared


def test_a_pending_connection_fails_the_source(world: World) -> None:
    world.create(connected(world))
    assert source_error(world) == {
        "code": "ConfigurationError",
        "message": f"Connection {CONNECTION} is not available",
    }


def test_a_role_that_may_not_use_the_connection_fails_the_source(world: World) -> None:
    world.cloud.denied.add("codeconnections:UseConnection")
    world.create(connected(world))
    assert source_error(world)["message"] == (
        f"Unable to use Connection: {CONNECTION}. The provided role does not have sufficient "
        "permissions."
    )


def test_a_connected_repository_gives_its_commit(world: World, tmp_path: Path) -> None:
    folder = repository(tmp_path / "web")
    world.service.register_repository(CONNECTION, "shop/web", folder)
    execution = world.create(connected(world))
    world.answer("Test")
    world.until(execution, "Succeeded")
    details = {d["actionName"]: d for d in world.actions()}
    variables = details["Source"]["output"]["outputVariables"]
    assert set(variables) == {
        "AuthorDate",
        "BranchName",
        "CommitId",
        "CommitMessage",
        "ConnectionArn",
        "FullRepositoryName",
    }
    assert variables["CommitMessage"] == "Add a cart\n\nRollback-Safe: no"
    assert details["Gate"]["input"]["resolvedConfiguration"]["CustomData"].startswith("Add a")
    revision = world.execution(execution)["artifactRevisions"][0]
    assert revision["revisionId"] == variables["CommitId"]
    assert '"CommitMessage": "Add a cart' in revision["revisionSummary"]


@pytest.mark.parametrize(("value", "acl"), [("none", None), ("owner", "bucket-owner-full-control")])
def test_a_source_artifact_is_written_with_the_acl_that_is_assumed(
    value: str, acl: str | None, world: World
) -> None:
    written: list[Any] = []
    world.s3.meta.events.register(
        "before-parameter-build.s3.PutObject", lambda params, **_: written.append(params.get("ACL"))
    )
    world.cloud.assumptions.change({"source-acl": value})
    world.upload()
    world.create(simple(world))
    world.token("Test")
    assert written == [None, acl]


# Deploy/ElasticBeanstalk


@pytest.mark.parametrize("kind", ["label", "environment", "none"])
def test_a_deployment_identifies_itself_as_is_assumed(kind: str, world: World) -> None:
    world.cloud.assumptions.change({"external-id": kind})
    world.upload()
    beanstalk, declared = deploying(world)
    world.until(world.create(declared), "Succeeded")
    result = next(d for d in world.actions() if d["actionName"] == "Deploy")["output"]
    assert (
        result["executionResult"].get("externalExecutionId")
        == {
            "label": beanstalk.versions[0]["VersionLabel"],
            "environment": "e-shop-prod",
            "none": None,
        }[kind]
    )


def test_a_version_points_to_a_copy_of_the_artifact_where_that_is_assumed(world: World) -> None:
    world.cloud.assumptions.change({"bundle-location": "copy"})
    world.upload("the bundle")
    beanstalk, declared = deploying(world)
    beanstalk.bucket = world.bucket
    world.until(world.create(declared), "Succeeded")
    [version] = beanstalk.versions
    bundle = version["SourceBundle"]
    assert bundle["S3Key"] == f"{version['ApplicationName']}/{version['VersionLabel']}.zip"
    body = world.s3.get_object(Bucket=bundle["S3Bucket"], Key=bundle["S3Key"])["Body"].read()
    assert b"the bundle" in body


def test_a_failed_deployment_tells_the_environments_errors_newest_first(world: World) -> None:
    world.upload()
    beanstalk, declared = deploying(world)
    beanstalk.failures = [
        "During an aborted deployment, some instances may have deployed the new application "
        "version. To ensure all instances are running the same version, re-deploy the appropriate "
        "application version.",
        "Failed to deploy application.",
    ]
    execution = world.create(declared)
    world.until(execution, "Failed")
    error = error_of(world, "Prod", "Deploy")
    assert error["code"] == "JobFailed"
    assert error["message"] == "Deployment completed, but with errors: " + " ".join(
        beanstalk.failures
    )
    result = next(d for d in world.actions() if d["actionName"] == "Deploy")["output"]
    assert result["executionResult"]["externalExecutionId"] == "e-shop-prod"


def test_an_environment_that_is_not_ready_refuses_the_deployment(world: World) -> None:
    world.upload()
    beanstalk, declared = deploying(world)
    refusal = (
        "Environment named shop-prod is in an invalid state for this operation. Must be Ready."
    )
    beanstalk.refusals["UpdateEnvironment"] = client_error(
        "UpdateEnvironment", "InvalidParameterValue", refusal
    )
    execution = world.create(declared)
    world.until(execution, "Failed")
    assert error_of(world, "Prod", "Deploy") == {
        "code": "JobFailed",
        "message": f"Deployment failed. {refusal} (Service: AWSElasticBeanstalk; Status Code: 400; "
        "Error Code: InvalidParameterValue; Request ID: 4f1b; Proxy: null)",
    }


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (
            "User: arn:aws:sts::123456789012:assumed-role/pipeline/x is not authorized to perform: "
            "elasticbeanstalk:CreateApplicationVersion",
            "Service:AWSElasticBeanstalk, User: arn",
        ),
        (
            "Access Denied: Service:AmazonElasticLoadBalancing, Message: not authorized",
            "Service:AmazonElasticLoadBalancing",
        ),
    ],
)
def test_a_role_that_may_not_deploy_is_a_permission_error(
    world: World, message: str, told: str
) -> None:
    world.upload()
    beanstalk, declared = deploying(world)
    beanstalk.refusals["CreateApplicationVersion"] = client_error(
        "CreateApplicationVersion", "AccessDenied", message, 403
    )
    execution = world.create(declared)
    world.until(execution, "Failed")
    error = error_of(world, "Prod", "Deploy")
    assert error["code"] == "PermissionError"
    assert error["message"].startswith(
        "Deployment failed. The provided role does not have sufficient permissions: "
    )
    assert told in error["message"]


def test_an_artifact_that_expired_fails_the_deployment(world: World) -> None:
    world.upload()
    beanstalk, declared = deploying(world)
    execution = world.create(declared)
    world.until(execution, "Succeeded")
    [artifact] = next(d for d in world.actions() if d["stageName"] == "Source")["output"][
        "outputArtifacts"
    ]
    for found in object_store.client().list_object_versions(
        Bucket=world.bucket, Prefix=artifact["s3location"]["key"]
    )["Versions"]:
        world.s3.delete_object(Bucket=world.bucket, Key=found["Key"], VersionId=found["VersionId"])
    rollback = world.client.rollback_stage(
        pipelineName="shop", stageName="Prod", targetPipelineExecutionId=execution
    )["pipelineExecutionId"]
    world.until(rollback, "Failed")
    assert error_of(world, "Prod", "Deploy")["message"] == (
        "The action failed because either the artifact or the Amazon S3 bucket could not be "
        f"found. Name of artifact bucket: {world.bucket}. Verify that this bucket exists. If it "
        "exists, check the life cycle policy, then try releasing a change."
    )
    assert len(beanstalk.versions) == 1


class TestHanging:
    @pytest.fixture
    def pace(self) -> Pace:
        return Pace(minute=0.005, poll=0.01)

    def test_without_the_right_to_see_events_the_deployment_hangs_until_its_time_is_up(
        self, world: World
    ) -> None:
        world.upload()
        beanstalk, declared = deploying(world)
        beanstalk.refusals["DescribeEvents"] = client_error(
            "DescribeEvents", "AccessDenied", "not authorized", 403
        )
        execution = world.create(declared)
        world.until(execution, "Failed")
        assert "timed out" in error_of(world, "Prod", "Deploy")["message"]
        # It did take the version all the same.
        assert beanstalk.environments["shop-prod"]["Status"] == "Ready"
