"""What the ledger keeps of watches: claims, acts, helms, holds and labels, on both twins."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from trellis.ledger import Ledger
from trellis.records import Act, Claim, Helm, Hold, OpenWatch, PastRollback
from trellis.table import Table

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
PROD = "bakery-prod-demo"


def claim(holder: str) -> Claim:
    return Claim(action_execution_id="a-1", holder=holder, environment=PROD, at=NOW)


def test_a_deployment_is_taken_over_from_a_dead_holder_alone(table: Table) -> None:
    ledger = Ledger(table)
    assert ledger.claim(claim("first")).holder == "first"
    assert ledger.take_over(claim("second"), "somebody else").holder == "first"
    assert ledger.take_over(claim("second"), "first").holder == "second"
    assert ledger.take_over(claim("third"), "first").holder == "second"
    standing = ledger.claimed("a-1")
    assert standing is not None
    assert standing.holder == "second"


def test_an_unclaimed_deployment_is_simply_claimed(table: Table) -> None:
    assert Ledger(table).take_over(claim("second"), "first").holder == "second"


def test_of_many_that_take_over_one_gets_it(table: Table) -> None:
    ledger = Ledger(table)
    ledger.claim(claim("dead"))
    got: list[str] = []

    def try_it(name: str) -> None:
        if ledger.take_over(claim(name), "dead").holder == name:
            got.append(name)

    threads = [threading.Thread(target=try_it, args=(f"h-{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1


def test_a_watch_stays_open_until_it_is_closed(table: Table) -> None:
    ledger = Ledger(table)
    watch = OpenWatch(
        pipeline="p",
        stage="DeployToProd",
        action="Deploy",
        execution_id="e-1",
        action_execution_id="a-1",
        environment=PROD,
        holder="h",
        at=NOW,
        tries=2,
    )
    ledger.open_watch(watch)
    assert ledger.open_watches("p") == [watch]
    assert ledger.open_watches("another") == []
    ledger.close_watch("p", "a-1")
    assert ledger.open_watches("p") == []


def test_the_first_act_stands_until_it_is_dropped(table: Table) -> None:
    ledger = Ledger(table)
    first = Act(
        action_execution_id="a-1", route="RollbackStage", target="e-0", revision="v1", at=NOW
    )
    second = Act(
        action_execution_id="a-1",
        route="UpdateEnvironment",
        target="label",
        revision="v1",
        at=NOW + timedelta(minutes=1),
    )
    assert ledger.act("a-1") is None
    assert ledger.begin_act(first) == first
    assert ledger.begin_act(second) == first
    assert ledger.act("a-1") == first
    ledger.drop_act("a-1")
    assert ledger.begin_act(second) == second


def test_one_steers_an_environment_and_only_the_holder_leaves(table: Table) -> None:
    ledger = Ledger(table)
    assert ledger.helm(PROD) is None
    mine = Helm(environment=PROD, holder="h-1", at=NOW)
    other = Helm(environment=PROD, holder="h-2", at=NOW)
    assert ledger.take_helm(mine) == mine
    assert ledger.take_helm(mine).holder == "h-1"
    assert ledger.take_helm(other).holder == "h-1"
    ledger.leave_helm(PROD, "h-2")
    assert ledger.helm(PROD) == mine
    ledger.leave_helm(PROD, "h-1")
    assert ledger.take_helm(other) == other


def test_a_hold_stands_until_a_person_decides(table: Table) -> None:
    ledger = Ledger(table)
    hold = Hold(
        environment=PROD,
        pipeline="p",
        stage="DeployToProd",
        execution_id="e-1",
        action_execution_id="a-1",
        reason="marked",
        at=NOW,
    )
    assert ledger.hold(PROD) is None
    ledger.set_hold(hold)
    assert ledger.hold(PROD) == hold
    ledger.release_hold(PROD)
    assert ledger.hold(PROD) is None


def test_labels_tell_their_revision(table: Table) -> None:
    ledger = Ledger(table)
    ledger.set_revision(PROD, "label-1", "v1", NOW)
    ledger.set_revision(PROD, "label-2", "v1", NOW + timedelta(days=1))
    ledger.set_revision("another", "label-3", "v3", NOW)
    assert list(ledger.revisions(PROD).items()) == [("label-2", "v1"), ("label-1", "v1")]


def test_a_forgiven_revision_still_counts_against_the_cap(table: Table) -> None:
    ledger = Ledger(table)
    for number, revision in enumerate(("v2", "v3")):
        ledger.count_rollback(
            PastRollback(environment=PROD, watch_id=f"w-{number}", at=NOW, bad_revision=revision)
        )
    ledger.forgive(PROD, "v2")
    past = ledger.rollbacks(PROD, NOW - timedelta(days=1))
    assert len(past) == 2
    assert {one.bad_revision for one in past} == {None, "v3"}
