"""A release through five stages: artifacts really zipped, a build that really runs."""

from __future__ import annotations

import io
import json
import os
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.codebuild.service import CodeBuild
from sandbox.processes import Processes
from tests.unit.sandbox import object_store
from tests.unit.sandbox.codepipeline.beanstalk import FakeBeanstalk
from tests.unit.sandbox.codepipeline.conftest import World
from tests.unit.sandbox.codepipeline.declared import KEY, action, gate, pipeline, source, stage
from tests.unit.sandbox.local_cloud import client, serve

BUILD_ROLE = "arn:aws:iam::123456789012:role/build"
BUILDSPEC = json.dumps(
    {
        "version": 0.2,
        "env": {"exported-variables": ["LABEL"]},
        "phases": {
            "build": {
                "commands": [
                    "echo $CODEBUILD_INITIATOR $CODEBUILD_RESOLVED_SOURCE_VERSION $RELEASE",
                    "test ! -e broken || sh -c 'exit 1'",
                    "export LABEL=$(cat release.txt)",
                    "tr a-z A-Z < release.txt > built.txt",
                ]
            }
        },
        "artifacts": {"files": ["built.txt"]},
    }
)


@pytest.fixture
def codebuild(world: World, tmp_path: Path) -> Iterator[CodeBuild]:
    processes = Processes()
    service = CodeBuild(
        world.cloud,
        state_directory=tmp_path,
        processes=processes,
        runtime_path=os.path.dirname(sys.executable),
        account_concurrency=1,
    )
    with serve(service) as endpoint:
        made = world.cloud.clients["codebuild"] = client(endpoint, "codebuild")
        made.create_project(
            name="shop-build",
            source={"type": "CODEPIPELINE", "buildspec": BUILDSPEC},
            artifacts={"type": "CODEPIPELINE"},
            environment={
                "type": "LINUX_CONTAINER",
                "image": "aws/codebuild/standard:7.0",
                "computeType": "BUILD_GENERAL1_SMALL",
            },
            serviceRole=BUILD_ROLE,
        )
        yield service
        service.close()
    processes.close()


@pytest.fixture
def beanstalk(world: World) -> FakeBeanstalk:
    made = world.cloud.clients["elasticbeanstalk"] = FakeBeanstalk()
    return made


def build_action(name: str = "Build", **changes: Any) -> dict[str, Any]:
    variables = [{"name": "RELEASE", "value": "#{codepipeline.PipelineExecutionId}"}]
    return action(
        name,
        "Build",
        "CodeBuild",
        {"ProjectName": "shop-build", "EnvironmentVariables": json.dumps(variables)},
        inputs=["SourceArtifact"],
        outputs=["BuildArtifact"],
    ) | {"namespace": "BuildVariables", **changes}


def deploy_action(environment: str) -> dict[str, Any]:
    return action(
        "Deploy",
        "Deploy",
        "ElasticBeanstalk",
        {"ApplicationName": "shop", "EnvironmentName": environment},
        inputs=["BuildArtifact"],
    )


def five_stages(world: World, **changes: Any) -> dict[str, Any]:
    approve = gate("Approval", order=2)
    approve["configuration"] = {"CustomData": "Release #{BuildVariables.LABEL}"}
    return pipeline(
        world.bucket,
        stage("Build", build_action()),
        stage("DeployToDev", deploy_action("shop-dev")),
        stage("DeployToTest", deploy_action("shop-test"), approve),
        stage("DeployToProd", deploy_action("shop-prod")),
        **changes,
    )


def unzipped(world: World, location: dict[str, str]) -> dict[str, str]:
    body = world.s3.get_object(Bucket=location["bucket"], Key=location["key"])["Body"].read()
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def test_a_release_travels_five_stages_with_its_artifacts(
    world: World, codebuild: CodeBuild, beanstalk: FakeBeanstalk
) -> None:
    key = object_store.client("kms").create_key()["KeyMetadata"]["Arn"]
    version = world.upload("v1", summary="Add a cart")
    store = {
        "type": "S3",
        "location": world.bucket,
        "encryptionKey": {"id": key, "type": "KMS"},
    }
    execution = world.create(five_stages(world, artifactStore=store))
    world.answer("DeployToTest", "Approval", summary="looks good")
    world.until(execution, "Succeeded")

    details = {d["stageName"] + "/" + d["actionName"]: d for d in world.actions()}
    picked_up = details["Source/Source"]["output"]["outputArtifacts"][0]
    assert picked_up["name"] == "SourceArtifact"
    assert picked_up["s3location"]["key"].startswith("shop/SourceArti/")
    assert unzipped(world, picked_up["s3location"]) == {"release.txt": "v1"}
    head = world.s3.head_object(Bucket=world.bucket, Key=picked_up["s3location"]["key"])
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key)
    assert details["Source/Source"]["output"]["outputVariables"] == {
        "BucketName": world.bucket,
        "ETag": world.s3.head_object(Bucket=world.bucket, Key=KEY)["ETag"].strip('"'),
        "ObjectKey": KEY,
        "VersionId": version,
    }

    build = details["Build/Build"]
    assert build["input"]["inputArtifacts"] == [picked_up]
    [built] = build["output"]["outputArtifacts"]
    assert built["s3location"]["key"].startswith("shop/BuildArtif/")
    assert unzipped(world, built["s3location"]) == {"built.txt": "V1"}
    result = build["output"]["executionResult"]
    assert result["externalExecutionId"].startswith("shop-build:")
    assert f"#/builds/{result['externalExecutionId']}/view/new" in result["externalExecutionUrl"]
    assert build["output"]["outputVariables"] == {"LABEL": "v1"}
    uuid = result["externalExecutionId"].partition(":")[2]
    log = world.cloud.logs["/aws/codebuild/shop-build", uuid]
    assert f"codepipeline/shop {version} {execution}" in log

    assert [v["SourceBundle"] for v in beanstalk.versions] == [
        {"S3Bucket": world.bucket, "S3Key": built["s3location"]["key"]}
    ] * 3
    labels = {name: e["VersionLabel"] for name, e in beanstalk.environments.items()}
    assert set(labels) == {"shop-dev", "shop-test", "shop-prod"}
    for label in labels.values():
        assert label.startswith("code-pipeline-")
        assert label.endswith(f"-BuildArtifact-{uuid}")
    deployed = details["DeployToProd/Deploy"]
    assert deployed["input"]["resolvedConfiguration"]["EnvironmentName"] == "shop-prod"
    named = {
        stage: details[f"{stage}/Deploy"]["output"]["executionResult"].get("externalExecutionId")
        for stage in ("DeployToDev", "DeployToTest", "DeployToProd")
    }
    assert named == {
        "DeployToDev": None,
        "DeployToTest": labels["shop-test"],
        "DeployToProd": "e-shop-prod",
    }
    approval = details["DeployToTest/Approval"]
    assert approval["input"]["resolvedConfiguration"]["CustomData"] == "Release v1"
    assert approval["updatedBy"] == "arn:aws:iam::123456789012:root"
    assert approval["output"]["executionResult"] == {"externalExecutionSummary": "looks good"}
    # Newest first.
    assert [d["stageName"] for d in world.actions()][-1] == "Source"


def test_a_failed_build_is_told_in_the_services_words(
    world: World, codebuild: CodeBuild, beanstalk: FakeBeanstalk
) -> None:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("release.txt", "v2")
        archive.writestr("broken", "")
    world.s3.put_object(Bucket=world.bucket, Key=KEY, Body=written.getvalue())
    execution = world.create(five_stages(world))
    world.until(execution, "Failed")

    error = world.action("Build", "Build")["errorDetails"]
    assert error["code"] == "JobFailed"
    assert error["message"] == (
        "Build terminated with state: FAILED. Phase: BUILD, Code: COMMAND_EXECUTION_ERROR, "
        "Message: Error while executing command: test ! -e broken || sh -c 'exit 1'. Reason: exit "
        "status 1"
    )
    assert world.action("Build", "Build")["summary"] == error["message"]
    assert world.action("DeployToDev", "Deploy") == {}
    assert beanstalk.versions == []


def test_a_build_over_the_quota_fails_the_action(
    world: World, codebuild: CodeBuild, beanstalk: FakeBeanstalk
) -> None:
    world.upload()
    checks = build_action("Checks", outputArtifacts=[], namespace="CheckVariables")
    slow = json.loads(BUILDSPEC)
    slow["phases"]["build"]["commands"] = ["sleep 0.3", "touch built.txt"]
    world.cloud.clients["codebuild"].update_project(
        name="shop-build", source={"type": "CODEPIPELINE", "buildspec": json.dumps(slow)}
    )
    execution = world.create(pipeline(world.bucket, stage("Build", build_action(), checks)))
    world.until(execution, "Failed")
    failed = [d for d in world.actions() if d["status"] == "Failed"]
    message = failed[0]["output"]["executionResult"]["errorDetails"]["message"]
    assert message.startswith(
        "Error calling startBuild: Cannot have more than 1 builds in queue for the account "
        "(Service: AWSCodeBuild; Status Code: 400; Error Code: AccountLimitExceededException;"
    )
    assert len(failed) == 1


def test_a_project_that_is_not_there_fails_the_action(
    world: World, codebuild: CodeBuild, beanstalk: FakeBeanstalk
) -> None:
    world.upload()
    world.cloud.clients["codebuild"].delete_project(name="shop-build")
    execution = world.create(five_stages(world))
    world.until(execution, "Failed")
    message = world.action("Build", "Build")["errorDetails"]["message"]
    assert message.startswith(
        "Error calling startBuild: Project cannot be found: arn:aws:codebuild"
    )


def test_a_source_artifact_deploys_under_its_revision(
    world: World, beanstalk: FakeBeanstalk
) -> None:
    version = world.upload()
    deploy = deploy_action("shop-dev") | {"inputArtifacts": [{"name": "SourceArtifact"}]}
    execution = world.create(pipeline(world.bucket, stage("Deploy", deploy)))
    world.until(execution, "Succeeded")
    assert beanstalk.versions[0]["VersionLabel"].endswith(f"-{version}")


def test_several_inputs_reach_the_build_in_folders_of_their_own(
    world: World, codebuild: CodeBuild
) -> None:
    world.upload("first")
    world.upload("second", key="other.zip")
    spec = json.loads(BUILDSPEC)
    spec["phases"]["build"]["commands"] = [
        "cat release.txt $CODEBUILD_SRC_DIR_Other/release.txt > built.txt"
    ]
    world.cloud.clients["codebuild"].update_project(
        name="shop-build", source={"type": "CODEPIPELINE", "buildspec": json.dumps(spec)}
    )
    other = action(
        "Other",
        "Source",
        "S3",
        {"S3Bucket": world.bucket, "S3ObjectKey": "other.zip"},
        outputs=["Other"],
    )
    build = build_action(inputArtifacts=[{"name": "SourceArtifact"}, {"name": "Other"}])
    build["configuration"]["PrimarySource"] = "SourceArtifact"
    declared = pipeline(world.bucket, stage("Build", build))
    declared["stages"][0] = stage("Source", source(world.bucket), other)
    execution = world.create(declared)
    world.until(execution, "Succeeded")
    [built] = next(d for d in world.actions() if d["actionName"] == "Build")["output"][
        "outputArtifacts"
    ]
    assert unzipped(world, built["s3location"]) == {"built.txt": "firstsecond"}
