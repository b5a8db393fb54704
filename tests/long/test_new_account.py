"""A brand-new account as a whole: no default VPC, one build and ten Lambda executions at a time.

What it does not have is said in one sentence with the mend, and the mends lead to a release. The
tests are one story and run in their order. Sources of the three numbers:
https://docs.aws.amazon.com/vpc/latest/userguide/deleting-default-vpc.html
https://docs.aws.amazon.com/codebuild/latest/userguide/limits.html
https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox import running
from sandbox.stories.world import World
from tests.sandbox.test_forms import REGION, Form, new_account, told_of_the_failure
from tests.sandbox.test_stories import Silent
from tests.template import rendered

EXECUTIONS = 10
pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def form(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Form]:
    folder = tmp_path_factory.mktemp("new-account")
    running.build(folder / "build.log")
    with running.sandbox(folder / "state", port=0, builds_at_once=1) as target:
        form = Form(target, folder)
        with new_account(form):
            yield form


@pytest.fixture(scope="module")
def outputs(form: Form) -> dict[str, str]:
    """The stack in the VPC that the first sentence asks for, with two builds side by side."""
    return form.deploy(**rendered.IN_A_VPC, ParallelBuildActions="true")


def test_without_a_default_vpc_the_mend_is_one_sentence(form: Form) -> None:
    assert told_of_the_failure(form) == (
        "  what to do: the account has no default VPC in this Region: set VpcId, "
        "InstanceSubnetIds and LoadBalancerSubnetIds"
    )
    form.forget()


def test_two_builds_at_once_fail_with_the_mend_and_the_mend_leads_to_a_release(
    form: Form, outputs: dict[str, str]
) -> None:
    world = World(form.sandbox, REGION, outputs, Silent())
    world.confirm_subscription()
    run = world.upload("v1", "Open the bakery")
    world.expect_ended(run, "Failed")
    failed = [one["actionName"] for one in world.actions(run) if one["status"] == "Failed"]
    assert len(failed) == 1
    assert "Cannot have more than 1 builds in queue" in world.failure(run)
    world.wait_for_letter(
        "This account may not run that many builds at a time: retry the stage",
        "set ParallelBuildActions to false",
    )
    _retry(form, outputs, run)
    world.wait_for_approval(run)
    world.approve(run)
    world.expect_ended(run, "Succeeded")
    world.expect_served("Prod", "v1")


def test_the_retry_comes_before_the_change_and_afterwards_none_is_needed(
    form: Form, outputs: dict[str, str]
) -> None:
    world = World(form.sandbox, REGION, outputs, Silent())
    failed = world.upload("v2", "Sell sourdough")
    world.expect_ended(failed, "Failed")
    form.deploy(**rendered.IN_A_VPC, ParallelBuildActions="false")
    with pytest.raises(form.client("codepipeline").exceptions.ClientError) as refused:
        _retry(form, outputs, failed)
    assert refused.value.response["Error"]["Code"] == "StageNotRetryableException"
    run = world.release("v3", "Sell more sourdough")
    assert {one["status"] for one in world.actions(run)} == {"Succeeded"}


def test_ten_executions_at_once_were_enough(form: Form, outputs: dict[str, str]) -> None:
    """What the functions' own logs say: no more ran at once, though here all takes seconds."""
    logs = form.client("logs")
    listed = logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/")["logGroups"]
    of_each = {group["logGroupName"]: _edges(logs, group["logGroupName"]) for group in listed}
    for name in ("Notify", "Rollback"):
        function = outputs[f"{name}FunctionArn"].split(":")[6]
        assert of_each[f"/aws/lambda/{function}"], f"{name} did not run, or left no report"
    edges = [edge for found in of_each.values() for edge in found]
    running_now = most = 0
    for _, change in sorted(edges):
        running_now += change
        most = max(most, running_now)
    print(f"\n{len(edges) // 2} executions, {most} at once at most")  # noqa: T201  # for people
    assert 1 <= most <= EXECUTIONS


def _retry(form: Form, outputs: dict[str, str], run: str) -> None:
    """What Retry does in the console, for the build that was one too many."""
    form.client("codepipeline").retry_stage_execution(
        pipelineName=outputs["PipelineName"],
        stageName="Build",
        pipelineExecutionId=run,
        retryMode="FAILED_ACTIONS",
    )


def _edges(logs: Any, group: str) -> list[tuple[float, int]]:
    """When each execution of a log group began (1) and ended (-1), in milliseconds."""
    found: list[tuple[float, int]] = []
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
    for page in pages:
        for event in page["events"]:
            if told := re.search(r"^REPORT .*\tDuration: ([\d.]+) ms", event["message"]):
                found += [(event["timestamp"] - float(told[1]), 1), (event["timestamp"], -1)]
    return found
