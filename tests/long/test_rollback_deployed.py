"""The deployed rollback function under shuffled events, and with each of its permissions gone."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from sandbox import running
from sandbox.stories import rollbacks
from sandbox.stories.world import StoryError, World
from tests.sandbox.test_rollback_stories import UNSEEN
from tests.sandbox.test_stories import Silent
from tests.template.rendered import Template, as_list

REGION = "us-east-1"
SEEDS = range(10)
pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A stack of its own in a sandbox of its own."""
    folder = tmp_path_factory.mktemp("rollback-deployed")
    with running.sandbox(folder / "state", port=0) as target:
        running.build(folder / "build.log")
        yield World(target, REGION, running.deploy(target, REGION, folder / "deploy.log"), Silent())


def play(name: str, here: World) -> World:
    told = World(here.sandbox, here.region, here.outputs, Silent())
    importlib.import_module(f"sandbox.stories.{name}").play(told)
    return told


@pytest.mark.parametrize("seed", SEEDS)
def test_shuffled_and_repeated_events_make_one_rollback(seed: int, here: World) -> None:
    begun = {run["pipelineExecutionId"] for run in here.runs()}
    faults = {
        "seed": seed,
        "copies": 5,
        "reorder": 3,
        "pattern": {"source": ["aws.codepipeline"], "detail": {"type": {"category": ["Deploy"]}}},
    }
    rollbacks.accident(here, "PUT", "faults", faults)
    try:
        play("mixed_fleet", here)
    finally:
        rollbacks.accident(here, "DELETE", "faults", {})
    fresh = [run for run in here.runs() if run["pipelineExecutionId"] not in begun]
    assert [run["executionType"] for run in fresh].count("ROLLBACK") == 1


def granted() -> list[str]:
    """Every action of the function's own policy that the stories use."""
    form = Template.of_the_project().resolved()
    statements = form.properties("RollbackFunctionPolicy")["PolicyDocument"]["Statement"]
    found = {action for one in statements for action in as_list(one["Action"])}
    return sorted(found - set(UNSEEN))


NEEDED_BY = {
    "codepipeline:PutApprovalResult": "bad_test_bake",
    "codepipeline:RollbackStage": "bad_bake",  # elsewhere the second route takes over
    "elasticbeanstalk:AbortEnvironmentUpdate": "not_ready",
    "elasticbeanstalk:CreateApplicationVersion": "old_artifact_expired",
    "elasticbeanstalk:UpdateEnvironment": "old_artifact_expired",
    "kms:GenerateDataKey": "old_artifact_expired",
    "lambda:InvokeFunction": "lost_events",
    "s3:PutObject": "old_artifact_expired",
}
"""The story that needs an action, where `mixed_fleet` does not."""

NOT_TOLD = {
    "lambda:GetDurableExecution": "asked only of a watch that is open",
    "logs:CreateLogStream": "without its log a function still works",
    "logs:PutLogEvents": "without its log a function still works",
    "s3:DeleteObject": "an old copy that stays is no failure of a release",
}
"""Actions whose lack no story tells, with the reason."""


@contextmanager
def without(action: str, here: World) -> Iterator[None]:
    """Take one action out of the function's policy, and put it back."""
    iam = here.client("iam")
    role = here.outputs["RollbackFunctionRoleArn"].rpartition("/")[2]
    attached = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    [arn] = [one["PolicyArn"] for one in attached if "RollbackFunctionPolicy" in one["PolicyArn"]]
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    written: dict[str, Any] = json.loads(document) if isinstance(document, str) else document
    left = []
    for statement in written["Statement"]:
        kept = [one for one in as_list(statement["Action"]) if one != action]
        if kept:
            left.append({**statement, "Action": kept})
    spoil = json.dumps({**written, "Statement": left})
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=spoil, SetAsDefault=True)
    try:
        yield
    finally:
        # A policy has at most five versions.
        iam.create_policy_version(
            PolicyArn=arn, PolicyDocument=json.dumps(written), SetAsDefault=True
        )
        for one in iam.list_policy_versions(PolicyArn=arn)["Versions"]:
            if not one["IsDefaultVersion"]:
                iam.delete_policy_version(PolicyArn=arn, VersionId=one["VersionId"])


@pytest.mark.parametrize("action", [one for one in granted() if one not in NOT_TOLD])
def test_a_story_fails_without_any_one_action(
    action: str, here: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollbacks, "LONG", 25.0)
    with without(action, here), pytest.raises(StoryError):
        play(NEEDED_BY.get(action, "mixed_fleet"), here)


def test_every_story_goes_well_again_afterwards(here: World) -> None:
    """What was taken away above was all put back, so it was that which made the stories fail."""
    play("mixed_fleet", here)
