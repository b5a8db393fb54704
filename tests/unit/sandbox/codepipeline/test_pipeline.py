"""What the service takes as a pipeline, and how it refuses the rest."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.codepipeline.pipeline import InvalidDeclarationError, OnFailure, parse
from tests.unit.sandbox.codepipeline.declared import action, gate, pipeline, source, stage

BUCKET = "artifacts"
STRUCTURE = "InvalidStructureException"
STAGE = "InvalidStageDeclarationException"
ACTION = "InvalidActionDeclarationException"


def good() -> dict[str, Any]:
    build = action(
        "Build",
        "Build",
        "CodeBuild",
        {"ProjectName": "shop"},
        inputs=["SourceArtifact"],
        outputs=["BuildArtifact"],
    )
    deploy = action(
        "Deploy",
        "Deploy",
        "ElasticBeanstalk",
        {"ApplicationName": "shop", "EnvironmentName": "shop-dev"},
        inputs=["BuildArtifact"],
    )
    return pipeline(
        BUCKET,
        stage("Build", build),
        stage("Dev", deploy, gate("Gate", order=2), onFailure={"result": "ROLLBACK"}),
    )


def test_a_good_pipeline_is_read() -> None:
    read = parse(good(), "us-east-1", 3)
    assert [one.name for one in read.stages] == ["Source", "Build", "Dev"]
    assert read.stages[2].on_failure is OnFailure.ROLLBACK
    assert read.stages[2].run_orders() == [1, 2]
    assert read.stores["us-east-1"].bucket == BUCKET
    assert read.declaration["version"] == 3
    assert read.declaration["executionMode"] == "SUPERSEDED"


Change = Callable[[dict[str, Any]], None]


def _first_action(declared: dict[str, Any], index: int) -> dict[str, Any]:
    found: dict[str, Any] = declared["stages"][index]["actions"][0]
    return found


def _v1(extra: str, value: Any) -> Change:
    def change(declared: dict[str, Any]) -> None:
        declared["pipelineType"] = "V1"
        del declared["stages"][2]["onFailure"]
        declared[extra] = value

    return change


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (lambda d: d.update(stages=d["stages"][:1]), STRUCTURE, "at least two stages"),
        (lambda d: d["stages"].append(stage("Dev", gate("G"))), STAGE, "'Dev' is used more than"),
        (lambda d: d["stages"].append(stage("Empty")), STAGE, "at least one action"),
        (
            lambda d: d["stages"][0]["actions"].append(gate("G")),
            STRUCTURE,
            "Pipeline should start with a stage that only contains source actions",
        ),
        (
            lambda d: d["stages"].append(
                stage("Late", source(BUCKET, outputArtifacts=[{"name": "More"}], namespace="M"))
            ),
            STRUCTURE,
            "Source actions can only be included in the first stage of the pipeline",
        ),
        (
            lambda d: d.update(
                stages=[
                    d["stages"][0],
                    stage("Again", source(BUCKET, outputArtifacts=[{"name": "More"}])),
                ]
            ),
            STRUCTURE,
            "Pipeline should contain at least 1 action whose category is not Source",
        ),
        (
            lambda d: _first_action(d, 0)["configuration"].pop("S3Bucket"),
            ACTION,
            "Action configuration for action 'Source' is missing required configuration 'S3Bucket'",
        ),
        (
            lambda d: _first_action(d, 0)["configuration"].pop("S3ObjectKey"),
            ACTION,
            "'S3ObjectKey'",
        ),
        (
            lambda d: _first_action(d, 2)["configuration"].pop("EnvironmentName"),
            ACTION,
            "'EnvironmentName'",
        ),
        (
            lambda d: _first_action(d, 2)["configuration"].pop("ApplicationName"),
            ACTION,
            "'ApplicationName'",
        ),
        (
            lambda d: _first_action(d, 1)["configuration"].pop("ProjectName"),
            ACTION,
            "'ProjectName'",
        ),
        (
            lambda d: _first_action(d, 2)["configuration"].update(VersionLabel="v1"),
            ACTION,
            "unknown configuration 'VersionLabel'",
        ),
        (
            lambda d: _first_action(d, 1).update(inputArtifacts=[{"name": "Nothing"}]),
            ACTION,
            "Input Artifact Bundle Nothing in action Build",
        ),
        (
            lambda d: _first_action(d, 1).update(outputArtifacts=[{"name": "SourceArtifact"}]),
            ACTION,
            "must be unique within the pipeline",
        ),
        (
            lambda d: _first_action(d, 2).update(inputArtifacts=[]),
            ACTION,
            "Action Deploy declares 0 input artifacts which is less than the minimum count (1)",
        ),
        (
            lambda d: d["stages"][1]["actions"].append(copy.deepcopy(_first_action(d, 1))),
            STAGE,
            "Action name 'Build' is used more than once",
        ),
        (
            lambda d: _first_action(d, 1)["actionTypeId"].update(provider="ElasticBeanstalk"),
            ACTION,
            "ActionType (Category: 'Build', Provider: 'ElasticBeanstalk', Owner: 'AWS', Version: "
            "'1') in action 'Build' is not available in region US_EAST_1",
        ),
        (
            lambda d: _first_action(d, 0)["configuration"].update(PollForSourceChanges="true"),
            ACTION,
            "does not model polling",
        ),
        (
            lambda d: _first_action(d, 1).update(timeoutInMinutes=10),
            ACTION,
            "only manual approval actions",
        ),
        (
            lambda d: d["stages"][2]["actions"][1]["configuration"].update(CustomData="#{No.Key}"),
            ACTION,
            "VariableReferenceText=[No.Key]",
        ),
        (
            lambda d: _first_action(d, 0)["configuration"].update(S3ObjectKey="#{variables.Key}"),
            STRUCTURE,
            "cannot be used in source actions",
        ),
        (
            lambda d: d["stages"][2]["actions"][1]["configuration"].update(
                NotificationArn="arn:aws:sqs:us-east-1:123456789012:queue"
            ),
            ACTION,
            "the AWS service for this ARN cannot be used to send approval requests",
        ),
        (
            lambda d: d["stages"][2]["actions"][1]["configuration"].update(
                NotificationArn="arn:aws:sns:us-west-2:123456789012:topic"
            ),
            ACTION,
            "not in the same region as the pipeline",
        ),
        (_v1("executionMode", "QUEUED"), STRUCTURE, "can only be used with V2 pipelines"),
        (_v1("variables", [{"name": "Safe"}]), STRUCTURE, "Pipeline variable can only be used"),
        (
            lambda d: d.update(pipelineType="V1"),
            STAGE,
            "Stage level conditions can only be used with V2 pipelines.",
        ),
        (
            lambda d: d.update(executionMode="PARALLEL"),
            STAGE,
            "Failure conditions with rollback result type cannot be added to a PARALLEL pipeline.",
        ),
        (
            lambda d: (
                d["stages"][2].pop("onFailure"),
                d.update(executionMode="PARALLEL"),
            ),
            STRUCTURE,
            "does not model execution mode PARALLEL",
        ),
        (
            lambda d: d["stages"][0].update(onFailure={"result": "ROLLBACK"}),
            STAGE,
            "source stage cannot be rolled back",
        ),
        (
            lambda d: d["stages"][1].update(
                beforeEntry={"conditions": [{"result": "FAIL", "rules": []}]}
            ),
            STAGE,
            "does not model stage conditions",
        ),
        (
            lambda d: d.update(variables=[{"name": "Safe"}, {"name": "Safe"}]),
            STRUCTURE,
            "The following variable name is already in use: Safe",
        ),
        (
            lambda d: d.update(artifactStores={"us-west-2": d.pop("artifactStore")}),
            STRUCTURE,
            "The following region is missing in 'pipeline.artifactStores': us-east-1.",
        ),
        (lambda d: d.pop("artifactStore"), STRUCTURE, "exactly one of artifactStore"),
        (lambda d: _first_action(d, 1).update(region="eu-west-1"), STRUCTURE, "eu-west-1"),
    ],
)
def test_a_mistake_is_refused_by_name(change: Change, code: str, message: str) -> None:
    declared = good()
    change(declared)
    with pytest.raises(InvalidDeclarationError) as caught:
        parse(declared, "us-east-1", 1)
    assert (caught.value.code, message in caught.value.message) == (code, True), caught.value


def test_an_artifact_of_the_same_run_order_is_not_there_yet() -> None:
    declared = good()
    check = action("Check", "Test", "CodeBuild", {"ProjectName": "check"}, inputs=["BuildArtifact"])
    declared["stages"][1]["actions"].append(check)
    with pytest.raises(InvalidDeclarationError, match="BuildArtifact in action Check"):
        parse(declared, "us-east-1", 1)
    check["runOrder"] = 2
    parse(declared, "us-east-1", 1)
