"""Every story, played in both Regions at once against one sandbox."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

from sandbox.running import Sandbox
from sandbox.stories import build_failed, does_not_start, release, untagged
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
