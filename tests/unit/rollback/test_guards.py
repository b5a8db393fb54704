"""Each guard is needed: with any one of them off, the story that is its own goes wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from rollback import policy
from tests.unit.rollback import test_workflow as stories
from tests.unit.rollback.release_world import Release, World
from trellis.events import RollbackMode
from trellis.records import Quarantine


def observed() -> None:
    stories.test_only_says_what_it_would_do_in_mode_observe()


def asked() -> None:
    world = World(mode=RollbackMode.APPROVE)
    stories.good_first(world)
    world.release(Release("v2", turns_bad_after=stories.SOON))
    world.play(timedelta(minutes=20))
    assert world.states() == ["AWAITING_APPROVAL"]


def newer_good() -> None:
    """A version that proved itself after the bad deployment began is no way back from it."""
    world = World()
    stories.good_first(world)
    action = world.release(Release("v2", turns_bad_after=timedelta(seconds=90)))
    world.play(timedelta(seconds=60))
    good = world.ledger.known_good("bakery-prod-demo")
    assert good is not None
    world.ledger.set_known_good(replace(good, since=action.started + timedelta(seconds=1)))
    world.play()
    assert world.acts == []
    assert "newer than this deployment" in world.last()["reason"]


def everywhere() -> None:
    """Beanstalk kept the old instances: there is nothing to go back from."""
    world = World()
    stories.good_first(world)
    world.environments["DeployToProd"].heals_by_immutable = True
    world.release(Release("v2", fails=True))
    world.play()
    assert world.acts == []
    assert "already runs the known-good v1" in world.last()["reason"]


def changing() -> None:
    """CodePipeline gave up waiting while the old instances served; then the new ones turn bad."""
    world = World()
    stories.good_first(world)
    action = world.release(Release("v2", is_bad=True))
    world.play(timedelta(seconds=5))
    world._end(action, "Failed", "FAILED", "timed out")
    world.play()
    assert world.running() == {"v1"}
    assert world.states() == ["STARTED", "SUCCEEDED"]


def quarantined() -> None:
    world = World()
    stories.good_first(world)
    world.ledger.quarantine(
        Quarantine(
            environment="bakery-prod-demo",
            revision="v1",
            reason="found bad since",
            execution_id="e",
            since=world.clock.now(),
        )
    )
    world.release(Release("v2", turns_bad_after=stories.SOON))
    world.play()
    assert world.acts == []
    assert "in quarantine" in world.last()["reason"]


STORIES: dict[str, Callable[[], None]] = {
    "stopped_by_a_person": stories.test_stands_down_when_a_person_stopped_the_run,
    "nothing_was_deployed": stories.test_does_nothing_when_nothing_reached_the_environment,
    "a_newer_deployment": stories.test_a_newer_deployment_after_a_failure_wins,
    "a_rollback_itself": stories.test_a_rollback_of_a_persons_that_fails_is_escalated,
    "rolled_back_before": stories.test_escalates_when_the_same_revision_comes_again,
    "cap_is_reached": stories.test_escalates_when_the_cap_is_reached,
    "closed_by_a_person": stories.test_a_transition_that_a_person_closed_is_a_decision,
    "not_rollback_safe": lambda: (
        stories.test_holds_a_release_that_is_marked_as_not_safe_until_a_person_releases_it(
            Release("v2", "Migrate\n\nRollback-Safe: no", turns_bad_after=stories.SOON)
        )
    ),
    "no_known_good": stories.test_escalates_for_a_first_release,
    "known_good_is_newer": newer_good,
    "environment_is_changing": changing,
    "known_good_is_everywhere": everywhere,
    "known_good_is_quarantined": quarantined,
    "bundle_is_gone": stories.test_escalates_when_the_bundle_is_gone_from_every_place,
    "only_observed": observed,
    "asks_first": asked,
    "environment_is_not_ready": stories.test_aborts_an_update_that_never_ends_and_goes_on,
}
"""For each row that keeps from rolling back, the story that would go wrong without it."""


def test_every_guard_has_its_story() -> None:
    acting = {"mixed_fleet", "otherwise"}
    assert set(STORIES) == {row.__name__ for row in policy.ROWS} - acting


OWN = [guard for guard, story in STORIES.items() if story.__module__ == __name__]
"""Those whose story is told here alone; the others are told in test_workflow."""


@pytest.mark.parametrize("guard", OWN)
def test_its_story_is_told_with_the_guard(guard: str) -> None:
    STORIES[guard]()


@pytest.mark.parametrize("guard", STORIES)
def test_its_story_goes_wrong_without_the_guard(
    guard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tuple(row for row in policy.ROWS if row.__name__ != guard)
    assert len(left) == len(policy.ROWS) - 1
    monkeypatch.setattr(policy, "ROWS", left)
    with pytest.raises((AssertionError, KeyError, ValueError, IndexError)):
        STORIES[guard]()
