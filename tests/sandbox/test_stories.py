"""Every story, played in both Regions at once against one sandbox."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from sandbox.running import Sandbox
from sandbox.stories import build_failed, does_not_start, release, untagged
from sandbox.stories.rollbacks import stop
from sandbox.stories.world import Mark, World


class Silent:
    """An audience that keeps what it was told, for the failure report."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def happened(self, where: str, mark: Mark, text: str) -> None:
        self.told.append(f"{where}: {mark}: {text}")

    def letter(self, letter: Mapping[str, Any]) -> None:
        self.told.append(f"e-mail: {letter['subject']}")


def in_production(world: World) -> str:
    """The version that production serves; AWS's sample application has none."""
    try:
        return world.served("Prod")
    except (OSError, ValueError, KeyError):
        return "nothing of ours"


def play(
    story: ModuleType, sandbox: Sandbox, stacks: Mapping[str, dict[str, str]]
) -> dict[str, tuple[str, str]]:
    """Play a story in both Regions at once; returns what production served before and after."""

    def in_region(region: str) -> tuple[str, str]:
        world = World(sandbox, region, stacks[region], Silent())
        before = in_production(world)
        story.play(world)
        return before, in_production(world)

    with ThreadPoolExecutor(len(stacks)) as pool:
        return dict(zip(stacks, pool.map(in_region, stacks), strict=True))


def test_release_reaches_production_in_both_regions(
    sandbox: Sandbox, stacks: dict[str, dict[str, str]]
) -> None:
    assert [after for _, after in play(release, sandbox, stacks).values()] == ["v2", "v2"]


@contextmanager
def nothing_enters(world: World, stage: str) -> Iterator[None]:
    """Close the way into a stage for a while."""
    codepipeline = world.client("codepipeline")
    way = {
        "pipelineName": world.outputs["PipelineName"],
        "stageName": stage,
        "transitionType": "Inbound",
    }
    codepipeline.disable_stage_transition(**way, reason="only the build is looked at")
    try:
        yield
    finally:
        codepipeline.enable_stage_transition(**way)


def built(world: World, run: str) -> dict[str, dict[str, Any]]:
    """The actions of the Build stage, by name, once all of them have ended."""

    def ended() -> dict[str, dict[str, Any]] | None:
        found = {one["actionName"]: one for one in world.actions(run)}
        actions = [found[name] for name in ("Build", "Checks") if name in found]
        done = len(actions) == 2 and all(one["status"] != "InProgress" for one in actions)
        return found if done else None

    found = world.wait("the end of the Build stage", ended)
    assert [found[name]["status"] for name in ("Build", "Checks")] == ["Succeeded", "Succeeded"]
    return found


def log_of(world: World, build_id: str) -> str:
    """What a build said."""
    [build] = world.client("codebuild").batch_get_builds(ids=[build_id])["builds"]
    events = world.client("logs").get_log_events(
        logGroupName=build["logs"]["groupName"],
        logStreamName=build["logs"]["streamName"],
        startFromHead=True,
    )["events"]
    return "\n".join(str(event["message"]) for event in events)


def test_the_second_build_of_a_source_hits_the_cache_and_the_checks_run_beside_it(
    sandbox: Sandbox, stacks: dict[str, dict[str, str]]
) -> None:
    """The sandbox's sections of samconfig.toml set ParallelBuildActions."""
    region = "us-east-1"
    world = World(sandbox, region, stacks[region], Silent())
    codebuild, codepipeline = world.client("codebuild"), world.client("codepipeline")
    with nothing_enters(world, "DeployToDev"):
        first = world.upload("v2", "Sell sourdough")
        once = built(world, first)
        second = codepipeline.start_pipeline_execution(name=world.outputs["PipelineName"])[
            "pipelineExecutionId"
        ]
        again = built(world, second)
        stop(world, second)
        world.wait_until_ended(second)

    def source(actions: dict[str, dict[str, Any]]) -> str:
        return str(actions["Source"]["output"]["outputVariables"]["VersionId"])

    def build_id(actions: dict[str, dict[str, Any]]) -> str:
        return str(actions["Build"]["output"]["executionResult"]["externalExecutionId"])

    assert source(again) == source(once)
    assert "Cache hit: restored" in log_of(world, build_id(again))
    very_first = codebuild.list_builds_for_project(
        projectName=world.outputs["BuildProjectName"], sortOrder="ASCENDING"
    )["ids"][0]
    assert "Cache miss" in log_of(world, very_first)
    build, checks = again["Build"], again["Checks"]
    assert build["startTime"] < checks["lastUpdateTime"]
    assert checks["startTime"] < build["lastUpdateTime"]


def test_a_failed_build_deploys_nothing_and_mails_what_the_tests_said(
    sandbox: Sandbox, stacks: dict[str, dict[str, str]]
) -> None:
    assert all(before == after for before, after in play(build_failed, sandbox, stacks).values())


def test_a_version_that_does_not_start_goes_no_further_than_dev(
    sandbox: Sandbox, stacks: dict[str, dict[str, str]]
) -> None:
    assert [after for _, after in play(does_not_start, sandbox, stacks).values()] == ["v1", "v1"]


def test_lost_tags_are_told_put_back_and_nothing_else_is_found(
    sandbox: Sandbox, stacks: dict[str, dict[str, str]]
) -> None:
    """The stack's own audit finds what the story takes away, and not one thing more."""
    assert all(before == after for before, after in play(untagged, sandbox, stacks).values())
