"""What people are told of an order by hand, from the very events that rollback makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from notify.notice import Fact, IncidentMove, Notice, Severity
from notify.story import Story
from tests.unit.notify.bureau import Bureau, Recorder
from tests.unit.notify.samples import EXECUTION, PIPELINE, sample
from tests.unit.notify.scenes import Scene
from tests.unit.notify.test_pages import PROD, Pager
from tests.unit.rollback.release_world import Release, World
from tests.unit.rollback.test_commands import ordered
from tests.unit.rollback.test_workflow import SOON, good_first
from trellis.events import RollbackMode


def two_versions() -> World:
    """v1 has proven itself, v2 runs and is still watched."""
    world = World()
    good_first(world)
    world.release(Release("v2"))
    world.play(SOON)
    return world


def told(world: World) -> list[Notice]:
    """What the mailbox hears of all that rollback has said."""
    mail = Recorder()
    bureau = Bureau(senders=[mail])
    for detail in world.published:
        if detail["detail-type"] == "Trellis Rollback State Change":
            bureau.tell(event(detail))
    return mail.sent


def event(detail: dict[str, Any]) -> dict[str, Any]:
    return {
        "source": "trellis",
        "detail-type": detail["detail-type"],
        "account": "123456789012",
        "region": "us-east-1",
        "time": detail["at"],
        "detail": detail,
    }


@pytest.mark.parametrize("given", [{}, {"revision": "v2"}], ids=["given twice", "in quarantine"])
def test_an_order_that_is_refused_is_answered_and_pages_nobody(given: dict[str, str]) -> None:
    world = two_versions()
    first = ordered(world, command="roll-back", environment="prod")
    assert first["outcome"] == "rolled back"
    again = ordered(world, command="roll-back", environment="prod", **given)
    assert again["outcome"] == "refused"
    answer = told(world)[-1]
    assert (answer.severity, answer.incident) == (Severity.WARNING, None)
    assert answer.headline == (
        "Your order was refused: bakery-prod-demo (us-east-1) was not rolled back"
    )
    assert answer.failure_reason == again["reason"]
    assert "make plan" in " ".join(answer.next_steps)


def test_a_hold_that_is_no_longer_the_newest_is_refused_to_who_released_it() -> None:
    world = World()
    good_first(world)
    world.release(Release("v2", "Migrate\n\nRollback-Safe: no", turns_bad_after=SOON))
    world.play()
    world.release(Release("v3"))
    world.play(SOON)
    assert ordered(world, command="release", environment="prod")["outcome"] == "refused"
    held, answer = told(world)
    assert held.severity is Severity.CRITICAL
    assert (answer.severity, answer.incident) == (Severity.WARNING, None)


def test_the_page_of_what_a_watch_refused_stays_open_while_orders_are_refused() -> None:
    mail, pager = Recorder(), Pager()
    bureau = Bureau(senders=[mail, pager])
    bureau.tell(sample("rollback-refused"))
    bureau.tell(sample("rollback-order-refused"))
    assert pager.open == {f"{PROD}/rollback"}
    assert pager.opened == [f"{PROD}/rollback"]


def test_an_order_that_names_a_version_is_told_to_have_brought_it() -> None:
    world = World()
    good_first(world, "DeployToTest", "v0")
    for revision in ("v1", "v2"):
        world.release(Release(revision), "DeployToTest")
        world.play()
        world.approval = None
    ordered(world, command="roll-back", environment="test", revision="v0")
    began, done = told(world)[-2:]
    assert "the ordered version" in began.headline
    assert done.headline == (
        "Rolled back: bakery-test-demo (us-east-1) runs the ordered version again"
    )


def test_an_order_that_names_none_is_told_to_have_brought_the_last_good_one() -> None:
    world = two_versions()
    ordered(world, command="roll-back", environment="prod")
    assert told(world)[-1].headline.endswith("runs the last good version again")


def test_an_order_is_carried_out_in_an_environment_that_is_only_observed() -> None:
    world = World(mode=RollbackMode.OBSERVE)
    good_first(world)
    world.release(Release("v2"))
    world.play(SOON)
    ordered(world, command="roll-back", environment="prod")
    done = told(world)[-1]
    assert done.headline.startswith("Rolled back: ")
    assert done.incident is IncidentMove.CLOSE


@pytest.mark.parametrize(
    ("named", "what"),
    [({}, "the last good version"), ({"ordered_version": "v0"}, "the ordered version")],
)
def test_a_failure_that_is_heard_of_later_says_what_runs_since(
    named: dict[str, str], what: str
) -> None:
    bureau = Bureau()
    bureau.tell(sample("rollback-succeeded", ordered=True, **named))
    [seen] = bureau.office().desk.ledger.sightings(PIPELINE, EXECUTION)
    notice = Scene(sample("stage-failed", stage="DeployToProd"), Story(sightings=(seen,))).notice()
    assert Fact("Rollback", f"done: {what} runs again") in notice.facts


def test_a_refused_order_changes_nothing_in_what_became_of_the_release() -> None:
    bureau = Bureau()
    bureau.tell(sample("rollback-succeeded"))
    later = "2026-11-24T09:50:00.000Z"
    bureau.tell(sample("rollback-order-refused", at=later))
    [seen] = bureau.office().desk.ledger.sightings(PIPELINE, EXECUTION)
    assert (seen.subject, seen.state) == ("rollback/DeployToProd", "SUCCEEDED")
