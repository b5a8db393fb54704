"""Projects, through boto3 and through CloudFormation's resource type."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.cloud import AccessDeniedError, Scope
from sandbox.cloudformation import ResourceFailedError, Stack
from sandbox.codebuild.resources import resource_types
from tests.unit.sandbox.codebuild.conftest import ROLE, Builds
from tests.unit.sandbox.codebuild.test_builds import spec
from tests.unit.sandbox.local_cloud import ACCOUNT

STACK = Stack(Scope(ACCOUNT, "us-east-1"), "shop-stack")


def properties(**changes: Any) -> dict[str, Any]:
    return {
        "Name": "from-template",
        "ServiceRole": ROLE,
        "Source": {"Type": "NO_SOURCE", "BuildSpec": spec(build=["echo $COLOUR"])},
        "Artifacts": {"Type": "NO_ARTIFACTS"},
        "Environment": {
            "Type": "LINUX_CONTAINER",
            "Image": "aws/codebuild/standard:7.0",
            "ComputeType": "BUILD_GENERAL1_SMALL",
            "PrivilegedMode": "false",
            "EnvironmentVariables": [{"Name": "COLOUR", "Value": "teal"}],
        },
        "TimeoutInMinutes": "15",
        "LogsConfig": {"CloudWatchLogs": {"Status": "ENABLED", "GroupName": "/own"}},
        "Tags": [{"Key": "Owner", "Value": "Team Ärger"}],
        **changes,
    }


def test_a_project_is_answered_as_it_was_created(builds: Builds) -> None:
    builds.project(buildspec=spec(), tags=[{"key": "Owner", "value": "Team Ärger"}])
    answer = builds.client.batch_get_projects(names=["shop", "missing"])
    assert answer["projectsNotFound"] == ["missing"]
    [project] = answer["projects"]
    assert project["arn"] == "arn:aws:codebuild:us-east-1:123456789012:project/shop"
    assert project["timeoutInMinutes"] == 60
    assert project["tags"] == [{"key": "Owner", "value": "Team Ärger"}]
    assert ("iam:PassRole", ROLE) in builds.cloud.authorized


def test_an_update_changes_only_what_it_names(builds: Builds) -> None:
    builds.project(buildspec=spec(), description="before")
    builds.client.update_project(name="shop", timeoutInMinutes=10)
    [project] = builds.client.batch_get_projects(names=["shop"])["projects"]
    assert (project["description"], project["timeoutInMinutes"]) == ("before", 10)


def test_projects_are_listed_and_deleted(builds: Builds) -> None:
    builds.project("shop-b", buildspec=spec())
    builds.project("shop-a", buildspec=spec())
    assert builds.client.list_projects()["projects"] == ["shop-a", "shop-b"]
    builds.client.delete_project(name="shop-a")
    builds.client.delete_project(name="shop-a")
    assert builds.client.list_projects(sortOrder="DESCENDING")["projects"] == ["shop-b"]


def test_errors_are_the_models_own(builds: Builds) -> None:
    errors = builds.client.exceptions
    builds.project(buildspec=spec())
    with pytest.raises(errors.ResourceAlreadyExistsException):
        builds.project(buildspec=spec())
    with pytest.raises(errors.ResourceNotFoundException, match="project/missing"):
        builds.client.start_build(projectName="missing")
    with pytest.raises(errors.ResourceNotFoundException):
        builds.client.stop_build(id="shop:missing")
    with pytest.raises(errors.InvalidInputException, match="CODEPIPELINE"):
        builds.project("mixed", artifacts={"type": "CODEPIPELINE"})
    with pytest.raises(errors.InvalidInputException, match="reserved"):
        builds.start(environmentVariablesOverride=[{"name": "CODEBUILD_INITIATOR", "value": "x"}])
    assert builds.client.batch_get_builds(ids=["shop:missing"])["buildsNotFound"]
    with pytest.raises(errors.ClientError, match="does not implement codebuild:CreateWebhook"):
        builds.client.create_webhook(projectName="shop")


def test_only_a_pipeline_starts_a_pipelines_project(builds: Builds) -> None:
    builds.project(source={"type": "CODEPIPELINE"}, artifacts={"type": "CODEPIPELINE"})
    with pytest.raises(builds.client.exceptions.InvalidInputException, match="only a pipeline"):
        builds.start()


def test_a_role_that_does_not_trust_codebuild_is_refused(
    builds: Builds, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **named: Any) -> dict[str, str]:
        raise AccessDeniedError(named["service_principal"], "sts:AssumeRole", named["role_arn"])

    monkeypatch.setattr(builds.cloud, "environment", refuse)
    with pytest.raises(builds.client.exceptions.InvalidInputException, match="sts:AssumeRole"):
        builds.project(buildspec=spec())


@pytest.mark.parametrize(
    ("operation", "request_body", "resource"),
    [
        ("StartBuild", {"projectName": "shop"}, "project/shop"),
        ("BatchGetBuilds", {"ids": ["shop:1"]}, "project/shop"),
        (
            "StopBuild",
            {"id": "arn:aws:codebuild:us-east-1:123456789012:build/shop:1"},
            "project/shop",
        ),
        ("BatchGetProjects", {"names": ["shop"]}, "project/shop"),
        ("CreateProject", {"name": "shop"}, "project/shop"),
        ("CreateReportGroup", {"name": "unit"}, "report-group/unit"),
        (
            "BatchGetReports",
            {"reportArns": ["arn:aws:codebuild:us-east-1:123456789012:report/unit:1"]},
            "report-group/unit",
        ),
    ],
)
def test_iam_judges_builds_on_their_project(
    builds: Builds, operation: str, request_body: dict[str, Any], resource: str
) -> None:
    arn = builds.service.resource_arn(STACK.scope, operation, request_body)
    assert arn == f"arn:aws:codebuild:us-east-1:123456789012:{resource}"


def test_a_template_makes_changes_and_removes_a_project(builds: Builds) -> None:
    kind = resource_types(builds.service)["AWS::CodeBuild::Project"]
    name, attributes = kind.create(STACK, "BuildProject", properties())
    assert name == "from-template"
    assert attributes == {"Arn": "arn:aws:codebuild:us-east-1:123456789012:project/from-template"}
    build = builds.run("from-template")
    assert build["timeoutInMinutes"] == 15
    assert "teal" in builds.log(build["id"], "/own")

    changed = properties(TimeoutInMinutes=20)
    del changed["LogsConfig"]
    assert kind.update(STACK, "BuildProject", name, properties(), changed) == (name, attributes)
    [project] = builds.client.batch_get_projects(names=[name])["projects"]
    assert project["timeoutInMinutes"] == 20
    assert "logsConfig" not in project

    moved, _ = kind.update(STACK, "BuildProject", name, changed, properties(Name="renamed"))
    assert moved == "renamed"
    kind.delete(STACK, name, changed)
    assert builds.client.list_projects()["projects"] == ["renamed"]


def test_a_project_without_a_name_gets_a_stable_one(builds: Builds) -> None:
    kind = resource_types(builds.service)["AWS::CodeBuild::Project"]
    nameless = properties()
    del nameless["Name"]
    name, _ = kind.create(STACK, "BuildProject", nameless)
    assert name.startswith("shop-stack-BuildProject-")
    assert kind.update(STACK, "BuildProject", name, nameless, nameless)[0] == name


def test_a_project_that_cannot_be_made_says_why(builds: Builds) -> None:
    kind = resource_types(builds.service)["AWS::CodeBuild::Project"]
    kind.create(STACK, "BuildProject", properties())
    with pytest.raises(ResourceFailedError, match="already exists"):
        kind.create(STACK, "BuildProject", properties())


def test_a_template_makes_and_removes_a_report_group(builds: Builds) -> None:
    kind = resource_types(builds.service)["AWS::CodeBuild::ReportGroup"]
    wanted = {"Name": "unit", "Type": "TEST", "ExportConfig": {"ExportConfigType": "NO_EXPORT"}}
    arn, _ = kind.create(STACK, "UnitReports", wanted)
    tagged = wanted | {"Tags": [{"Key": "Owner", "Value": "shop"}]}
    assert kind.update(STACK, "UnitReports", arn, wanted, tagged)[0] == arn
    [group] = builds.client.batch_get_report_groups(reportGroupArns=[arn])["reportGroups"]
    assert (group["name"], group["tags"]) == ("unit", [{"key": "Owner", "value": "shop"}])
    kind.delete(STACK, arn, tagged)
    assert builds.client.list_report_groups()["reportGroups"] == []
