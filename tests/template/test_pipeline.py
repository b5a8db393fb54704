"""The pipeline: five stages, artifacts by name, one approval in its place."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from operations.template import Node
from rollback.facts import Run
from rollback.gather import marked_unsafe
from tests.template.faults import properties, turns_red_when
from tests.template.rendered import CONNECTION, FORMS, Template


def stages(template: Template, **parameters: str) -> dict[str, list[Node]]:
    pipeline = template.resolved(**parameters).properties("Pipeline")
    return {stage["Name"]: stage["Actions"] for stage in pipeline["Stages"]}


def stage_in(source: Node, name: str) -> Node:
    return next(
        stage for stage in properties(source, "Pipeline")["Stages"] if stage["Name"] == name
    )


def provider(action: Node) -> str:
    return str(action["ActionTypeId"]["Provider"])


@turns_red_when("no Test stage", lambda source: properties(source, "Pipeline")["Stages"].pop(3))
@turns_red_when(
    "production before Test", lambda source: properties(source, "Pipeline")["Stages"].reverse()
)
def test_five_stages_in_their_order(template: Template) -> None:
    for form in FORMS.values():
        assert list(stages(template, **form)) == [
            "Source",
            "Build",
            "DeployToDev",
            "DeployToTest",
            "DeployToProd",
        ]


def _approve_in_production(source: Node) -> None:
    approve = stage_in(source, "DeployToTest")["Actions"].pop()
    stage_in(source, "DeployToProd")["Actions"].insert(0, approve)


@turns_red_when("the approval halts rollbacks of production", _approve_in_production)
@turns_red_when("no approval", lambda source: stage_in(source, "DeployToTest")["Actions"].pop())
@turns_red_when(
    "approved before it is deployed",
    lambda source: stage_in(source, "DeployToTest")["Actions"][1].update(RunOrder=1),
)
def test_the_approval_is_the_last_action_before_production(template: Template) -> None:
    found = stages(template)
    approvals = [
        (stage, action["Name"])
        for stage, actions in found.items()
        for action in actions
        if action["ActionTypeId"]["Category"] == "Approval"
    ]
    assert approvals == [("DeployToTest", "Approve")]
    deploy, approve = found["DeployToTest"]
    assert deploy["RunOrder"] < approve["RunOrder"]


@turns_red_when(
    "the approver is not told what to look at",
    lambda source: stage_in(source, "DeployToTest")["Actions"][1]["Configuration"].pop(
        "ExternalEntityLink"
    ),
)
@turns_red_when(
    "a variable that an upload does not have",
    lambda source: stage_in(source, "DeployToTest")["Actions"][1]["Configuration"].update(
        CustomData="#{SourceVariables.CommitId}"
    ),
)
@turns_red_when(
    "it waits for ever",
    lambda source: stage_in(source, "DeployToTest")["Actions"][1].pop("TimeoutInMinutes"),
)
def test_the_approval_shows_what_is_approved(template: Template) -> None:
    """An S3 source has VersionId, a connection CommitId.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-variables.html
    """
    for parameters, variable in (
        ({}, "#{SourceVariables.VersionId}"),
        ({"SourceConnectionArn": CONNECTION}, "#{SourceVariables.CommitId}"),
    ):
        approve = stages(template, **parameters)["DeployToTest"][-1]
        [name] = [
            part
            for part in ("VersionId", "CommitId")
            if part in approve["Configuration"]["CustomData"]
        ]
        assert variable == f"#{{SourceVariables.{name}}}"
        assert len(approve["Configuration"]["CustomData"]) <= 1000
        assert "<TestEnvironment.EndpointURL>" in approve["Configuration"]["ExternalEntityLink"]
        assert approve["TimeoutInMinutes"] == 10080
        assert stages(template, **parameters)["Source"][0]["Namespace"] == "SourceVariables"


@turns_red_when(
    "Test gets what was not built",
    lambda source: stage_in(source, "DeployToTest")["Actions"][0].update(
        InputArtifacts=[{"Name": "SourceArtifact"}]
    ),
)
@turns_red_when(
    "the build hands nothing on",
    lambda source: stage_in(source, "Build")["Actions"][0].pop("OutputArtifacts"),
)
def test_artifacts_are_passed_by_name(template: Template) -> None:
    for form in FORMS.values():
        handed: dict[str, tuple[list[str], list[str]]] = {
            f"{stage}/{action['Name']}": (
                [artifact["Name"] for artifact in action.get("InputArtifacts", [])],
                [artifact["Name"] for artifact in action.get("OutputArtifacts", [])],
            )
            for stage, actions in stages(template, **form).items()
            for action in actions
        }
        assert handed["Source/Source"] == ([], ["SourceArtifact"])
        assert handed["Build/Build"] == (["SourceArtifact"], ["BuildArtifact"])
        for stage in ("DeployToDev", "DeployToTest", "DeployToProd"):
            assert handed[f"{stage}/Deploy"] == (["BuildArtifact"], [])


@turns_red_when(
    "all deploy to Dev",
    lambda source: stage_in(source, "DeployToProd")["Actions"][0]["Configuration"].update(
        EnvironmentName={"Ref": "DevEnvironment"}
    ),
)
@turns_red_when(
    "no application named",
    lambda source: stage_in(source, "DeployToDev")["Actions"][0]["Configuration"].pop(
        "ApplicationName"
    ),
)
def test_each_stage_deploys_to_its_own_environment(template: Template) -> None:
    """cfn-lint accepts a deploy action without a configuration."""
    for name in ("Dev", "Test", "Prod"):
        deploy = stages(template)[f"DeployTo{name}"][0]
        assert provider(deploy) == "ElasticBeanstalk"
        assert deploy["Configuration"] == {
            "ApplicationName": "<BeanstalkApplication>",
            "EnvironmentName": f"<{name}Environment>",
        }


@turns_red_when(
    "an old kind of pipeline",
    lambda source: properties(source, "Pipeline").update(PipelineType="V1"),
)
@turns_red_when(
    "no lock on a stage",
    lambda source: properties(source, "Pipeline").update(ExecutionMode="PARALLEL"),
)
@turns_red_when(
    "two owners of a failure",
    lambda source: stage_in(source, "DeployToProd").update(OnFailure={"Result": "ROLLBACK"}),
)
def test_rollback_has_one_owner_and_a_lock(template: Template) -> None:
    """cfn-lint accepts a V1 or PARALLEL pipeline with stage rollback, which AWS does not."""
    pipeline = template.resolved().properties("Pipeline")
    assert pipeline["PipelineType"] == "V2"
    assert pipeline["ExecutionMode"] == "SUPERSEDED"
    for stage in pipeline["Stages"]:
        assert not {"OnFailure", "OnSuccess", "BeforeEntry"} & stage.keys(), stage["Name"]


@turns_red_when(
    "no variable that says a release is unsafe",
    lambda source: properties(source, "Pipeline").pop("Variables"),
)
@turns_red_when(
    "a variable without a default, which a run that an upload starts cannot give",
    lambda source: properties(source, "Pipeline")["Variables"][0].pop("DefaultValue"),
)
def test_a_run_may_say_that_it_is_not_safe_to_roll_back(template: Template) -> None:
    """A variable that is not declared cannot be given."""
    (variable,) = template.resolved().properties("Pipeline")["Variables"]
    run = Run(execution_id="run", status="Succeeded", started=datetime.now(UTC))
    for value, is_unsafe in ((variable["DefaultValue"], False), ("no", True)):
        said = replace(run, variables=((variable["Name"], value),))
        assert (marked_unsafe(said) is not None) is is_unsafe


def _source_action(source: Node, form: int) -> Any:
    return stage_in(source, "Source")["Actions"][0]["Fn::If"][form]


@turns_red_when(
    "it polls",
    lambda source: _source_action(source, 2)["Configuration"].update(PollForSourceChanges="true"),
)
@turns_red_when(
    "no key to read",
    lambda source: _source_action(source, 2)["Configuration"].pop("S3ObjectKey"),
)
def test_without_a_connection_the_source_is_an_uploaded_bundle(template: Template) -> None:
    [source] = stages(template)["Source"]
    assert provider(source) == "S3"
    assert source["Configuration"] == {
        "S3Bucket": "<ArtifactBucket>",
        "S3ObjectKey": "source/acme/storefront/main.zip",
        "PollForSourceChanges": "false",
    }
    outputs = template.resolved().outputs
    assert outputs["SourceObjectKey"]["Value"] == source["Configuration"]["S3ObjectKey"]
    assert outputs["SourceBucketName"]["Value"] == source["Configuration"]["S3Bucket"]


@turns_red_when(
    "changes are not seen",
    lambda source: _source_action(source, 1)["Configuration"].update(DetectChanges="false"),
)
@turns_red_when(
    "an upload starts it as well",
    lambda source: source["Resources"]["StartRule"].pop("Condition"),
)
def test_with_a_connection_the_source_is_the_repository(template: Template) -> None:
    form = template.resolved(SourceConnectionArn=CONNECTION)
    [source] = stages(template, SourceConnectionArn=CONNECTION)["Source"]
    assert provider(source) == "CodeStarSourceConnection"
    assert source["Configuration"] == {
        "ConnectionArn": CONNECTION,
        "FullRepositoryId": "acme/storefront",
        "BranchName": "main",
        "OutputArtifactFormat": "CODE_ZIP",
        "DetectChanges": "true",
    }
    assert "StartRule" not in form.resources
    [use] = [
        entry
        for entry in form.properties("PipelinePolicy")["PolicyDocument"]["Statement"]
        if "codeconnections:UseConnection" in entry["Action"]
    ]
    assert use["Resource"] == CONNECTION


@turns_red_when(
    "two builds at once by default",
    lambda source: source["Parameters"]["ParallelBuildActions"].update(Default="true"),
)
@turns_red_when(
    "never at once",
    lambda source: stage_in(source, "Build")["Actions"][1]["Fn::If"][1].update(RunOrder=2),
)
def test_build_and_checks_run_at_once_only_when_asked(template: Template) -> None:
    """A new account may allow one build at a time: the default has to work there."""

    def orders(**parameters: str) -> dict[str, int]:
        return {
            action["Name"]: action["RunOrder"] for action in stages(template, **parameters)["Build"]
        }

    assert orders() == {"Build": 1, "Checks": 2}
    assert orders(ParallelBuildActions="true") == {"Build": 1, "Checks": 1}
    assert orders(ChecksBuildspec="") == {"Build": 1}


@turns_red_when(
    "a build that could leave its container",
    lambda source: properties(source, "BuildProject")["Environment"].update(PrivilegedMode=True),
)
@turns_red_when(
    "a build without a log",
    lambda source: properties(source, "ChecksProject").pop("LogsConfig"),
)
@turns_red_when(
    "two projects share a cache",
    lambda source: properties(source, "ChecksProject")["Cache"].update(
        Location=properties(source, "BuildProject")["Cache"]["Location"]
    ),
)
def test_builds_are_unprivileged_logged_and_cached(template: Template) -> None:
    projects = template.resolved().of_type("AWS::CodeBuild::Project")
    assert set(projects) == {"BuildProject", "ChecksProject"}
    for name, project in projects.items():
        assert project["Environment"]["PrivilegedMode"] is False, name
        assert project["LogsConfig"]["CloudWatchLogs"]["Status"] == "ENABLED", name
        assert project["Source"]["Type"] == project["Artifacts"]["Type"] == "CODEPIPELINE", name
        assert project["Cache"]["Type"] == "S3", name
        assert "EnvironmentVariables" not in project["Environment"], name
    assert len({project["Cache"]["Location"] for project in projects.values()}) == len(projects)
