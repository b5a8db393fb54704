"""What the ledger promises its functions, on DynamoDB and on the twin alike."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.trellis.memory_table import MemoryTable
from trellis.errors import LedgerError, SchemaError
from trellis.ledger import (
    Bake,
    FailedRun,
    Incident,
    Ledger,
    Message,
    Progress,
    Sighting,
    about_page,
    about_release,
)
from trellis.records import Claim, Freeze, KnownGood, Look, PastRollback, Quarantine
from trellis.table import Table

NOW = datetime(2026, 11, 24, 4, 0, tzinfo=UTC)
PROD = "shop-prod-main"


@pytest.fixture
def ledger(table: Table) -> Ledger:
    return Ledger(table)


def good(revision: str, since: datetime = NOW) -> KnownGood:
    return KnownGood(
        environment=PROD,
        revision=revision,
        version_label=f"code-pipeline-1-{revision}",
        execution_id="e-1",
        since=since,
        pipeline_version=3,
        bundle_bucket="artifacts",
        bundle_key=f"known-good/{PROD}/{revision}.zip",
        summary="Fix the basket",
    )


def test_keeps_the_newest_known_good_version(ledger: Ledger) -> None:
    assert ledger.known_good(PROD) is None
    assert ledger.set_known_good(good("aaa"))
    assert not ledger.set_known_good(good("old", NOW - timedelta(hours=1)))
    assert ledger.set_known_good(good("bbb", NOW + timedelta(hours=1)))
    assert ledger.known_good(PROD) == good("bbb", NOW + timedelta(hours=1))


def test_keeps_the_first_reason_of_a_quarantine_until_it_is_lifted(ledger: Ledger) -> None:
    bad = Quarantine(environment=PROD, revision="bad", reason="5xx", execution_id="e", since=NOW)
    ledger.quarantine(bad)
    ledger.quarantine(replace(bad, reason="another"))
    assert ledger.quarantined(PROD) == {"bad": bad}
    ledger.lift_quarantine(PROD, "bad")
    assert ledger.quarantined(PROD) == {}


def test_counts_the_rollbacks_of_a_window_once_for_each_watch(ledger: Ledger) -> None:
    for watch, hours in (("w1", 30), ("w2", 3), ("w2", 2), ("w3", 1)):
        ledger.count_rollback(
            PastRollback(environment=PROD, watch_id=watch, at=NOW - timedelta(hours=hours))
        )
    found = ledger.rollbacks(PROD, NOW - timedelta(hours=24))
    assert [past.watch_id for past in found] == ["w2", "w3"]


def test_gives_a_deployment_to_one_watch_which_may_claim_it_again(ledger: Ledger) -> None:
    first = Claim(action_execution_id="a-1", holder="one", environment=PROD, at=NOW)
    assert ledger.claimed("a-1") is None
    assert ledger.claim(first).holder == "one"
    assert ledger.claim(replace(first, holder="two")).holder == "one"
    assert ledger.claim(first).holder == "one"
    assert ledger.claimed("a-1") == first


def test_remembers_a_freeze_until_it_is_undone(ledger: Ledger) -> None:
    freeze = Freeze(
        pipeline="shop",
        stage="DeployToProd",
        reason="bad",
        execution_id="e",
        watch_id="a",
        at=NOW,
    )
    assert ledger.frozen("shop", "DeployToProd") is None
    ledger.freeze(freeze)
    assert ledger.frozen("shop", "DeployToProd") == freeze
    ledger.unfreeze("shop", "DeployToProd")
    assert ledger.frozen("shop", "DeployToProd") is None


def run(execution: str, minutes: int) -> FailedRun:
    return FailedRun(
        pipeline="shop",
        execution_id=execution,
        stage="Build",
        at=NOW + timedelta(minutes=minutes),
    )


def test_counts_failed_runs_once_each_up_to_the_success_that_makes_them_good(
    ledger: Ledger,
) -> None:
    for failed in (run("e1", 0), run("e1", 1), run("e2", 5), run("later", 90)):
        ledger.add_failed_run(failed)
    until = NOW + timedelta(hours=1)
    assert [one.execution_id for one in ledger.failed_runs("shop", until)] == ["e1", "e2"]
    ledger.recover("shop", until)
    assert ledger.failed_runs("shop", until) == []


def test_a_failure_heard_of_after_the_success_that_made_it_good_is_not_counted(
    ledger: Ledger,
) -> None:
    ledger.recover("shop", NOW + timedelta(minutes=10))
    ledger.add_failed_run(run("late", 5))
    assert ledger.failed_runs("shop", NOW + timedelta(hours=1)) == []
    ledger.recover("shop", NOW)
    assert ledger.failed_runs("shop", NOW + timedelta(hours=1)) == []


def test_keeps_pages_open_by_stage(ledger: Ledger) -> None:
    page = Incident(pipeline="shop", stage="Deploy", key="k", at=NOW)
    ledger.open_incident(page)
    ledger.open_incident(replace(page, stage="DeployToProd"))
    assert ledger.incidents("shop", "Deploy") == [page]
    assert len(ledger.incidents("shop")) == 2
    other = replace(page, key="k/rollback")
    ledger.open_incident(other)
    ledger.close_incident(page)
    assert ledger.incidents("shop", "Deploy") == [other]


def test_of_one_page_what_opened_it_last_counts(ledger: Ledger) -> None:
    page = Incident(pipeline="shop", stage="Deploy", key="k", at=NOW)
    ledger.open_incident(page)
    ledger.open_incident(replace(page, at=NOW - timedelta(minutes=1)))
    assert ledger.incidents("shop", "Deploy") == [page]


def test_of_a_mark_the_newest_time_is_kept(ledger: Ledger) -> None:
    about = about_page("k")
    assert ledger.marked(about, "ended") is None
    for minutes in (0, 2, 1):
        ledger.mark(about, "ended", NOW + timedelta(minutes=minutes))
    assert ledger.marked(about, "ended") == NOW + timedelta(minutes=2)
    assert ledger.marked(about, "opened") is None


def sighting(order: str, state: str) -> Sighting:
    return Sighting(
        pipeline="shop",
        execution_id="e",
        subject="stage/Build",
        state=state,
        order=order,
        at=NOW,
        attempt=2,
        details=(("reason", "tests failed"),),
    )


def test_a_late_start_never_covers_a_failure(ledger: Ledger) -> None:
    assert ledger.see(sighting("2", "FAILED"))
    assert not ledger.see(sighting("1", "STARTED"))
    assert not ledger.see(sighting("2", "FAILED"))
    assert ledger.sightings("shop", "e") == [sighting("2", "FAILED")]
    assert ledger.sightings("shop", "e")[0].detail("reason") == "tests failed"


def test_keeps_the_newest_word_on_a_bake(ledger: Ledger) -> None:
    bake = Bake(
        pipeline="shop",
        execution_id="e",
        environment="shop-test-main",
        state="WATCHING",
        reason="8 of 15 minutes",
        at=NOW,
        until=NOW + timedelta(minutes=7),
        health="Ok",
    )
    assert ledger.set_bake(bake)
    assert not ledger.set_bake(replace(bake, at=NOW - timedelta(minutes=1)))
    assert ledger.bakes("shop", "e") == [bake]


def wanted(owner: str, until: datetime = NOW + timedelta(seconds=30)) -> Message:
    return Message(
        about=about_release("shop", "e"),
        fact="failed#1",
        channel="email",
        progress=Progress.SENDING,
        owner=owner,
        until=until,
        content="Build/Compile",
    )


def test_a_message_is_sent_by_one_and_found_sent_by_all_others(ledger: Ledger) -> None:
    mine = ledger.begin_message(wanted("me"), NOW)
    assert (mine.progress, mine.owner, mine.may_repeat) == (Progress.SENDING, "me", False)
    theirs = ledger.begin_message(wanted("you"), NOW)
    assert (theirs.progress, theirs.owner) == (Progress.SENDING, "me")
    ledger.end_message(replace(mine, progress=Progress.SENT, message_id="m-1"), NOW)
    found = ledger.begin_message(wanted("you"), NOW)
    assert (found.progress, found.message_id, found.content) == (
        Progress.SENT,
        "m-1",
        "Build/Compile",
    )
    assert ledger.message(about_release("shop", "e"), "failed#1", "email") == found


def test_a_refused_message_is_taken_on_again_at_once_and_is_no_repeat(ledger: Ledger) -> None:
    mine = ledger.begin_message(wanted("me"), NOW)
    ledger.end_message(replace(mine, progress=Progress.REFUSED), NOW)
    again = ledger.begin_message(wanted("you"), NOW)
    assert (again.owner, again.attempts, again.may_repeat) == ("you", 2, False)


def test_a_message_of_unknown_outcome_is_taken_on_again_as_a_repeat(ledger: Ledger) -> None:
    mine = ledger.begin_message(wanted("me"), NOW)
    ledger.end_message(replace(mine, progress=Progress.UNKNOWN), NOW)
    assert ledger.begin_message(wanted("me"), NOW).may_repeat


def test_a_sender_that_died_is_taken_over_after_its_time_as_a_repeat(ledger: Ledger) -> None:
    mine = ledger.begin_message(wanted("me"), NOW)
    later = NOW + timedelta(minutes=1)
    theirs = ledger.begin_message(wanted("you", later + timedelta(seconds=30)), later)
    assert (theirs.owner, theirs.may_repeat) == ("you", True)
    with pytest.raises(LedgerError, match="taken over"):
        ledger.end_message(replace(mine, progress=Progress.SENT), later)


def test_a_sender_whose_own_writing_was_repeated_still_has_the_message(ledger: Ledger) -> None:
    ledger.begin_message(wanted("me"), NOW)
    again = ledger.begin_message(wanted("me"), NOW)
    assert (again.owner, again.may_repeat) == ("me", False)


def test_refuses_an_item_of_a_newer_schema() -> None:
    table = MemoryTable()
    Ledger(table).set_known_good(good("aaa"))
    item = table.get(f"environment#{PROD}", "known-good")
    assert item is not None
    table.put({**item, "schema": 2})
    with pytest.raises(SchemaError, match="known-good"):
        Ledger(table).known_good(PROD)


def test_every_item_carries_its_schema_and_what_may_go_an_expiry() -> None:
    table = MemoryTable()
    ledger = Ledger(table)
    ledger.see(sighting("1", "STARTED"))
    ledger.begin_message(wanted("me"), NOW)
    for item in table.query(about_release("shop", "e")):
        assert item["schema"] == 1
        assert item["expires_at"] == int((NOW + timedelta(days=90)).timestamp())
    ledger.set_known_good(good("aaa"))
    kept = table.get(f"environment#{PROD}", "known-good")
    assert kept is not None
    assert "expires_at" not in kept


def look(arn: str, order: str, tags: tuple[tuple[str, str], ...] | None = None) -> Look:
    return Look(scope="stack", arn=arn, order=order, due=NOW, tags=tags)


def test_a_look_is_remembered_once_for_each_reason_until_it_is_over(ledger: Ledger) -> None:
    first, second = look("arn:a", "0001"), look("arn:a", "0002", (("Owner", ""),))
    for one in (second, first, first, look("arn:b", "0001", ())):
        ledger.await_look(one)
    assert ledger.looks("stack") == [first, second, look("arn:b", "0001", ())]
    assert ledger.looks("account") == []
    ledger.end_look(first)
    assert [one.order for one in ledger.looks("stack")] == ["0002", "0001"]


def test_one_caller_sees_to_it_that_somebody_looks(ledger: Ledger) -> None:
    due = NOW + timedelta(minutes=10)
    assert ledger.call_look("stack", due, NOW)
    assert not ledger.call_look("stack", due, NOW)
    assert not ledger.call_look("stack", due, due + timedelta(minutes=29))
    assert ledger.call_look("account", due, NOW)
    ledger.answer_look("stack")
    assert ledger.call_look("stack", due, NOW)


def test_a_call_for_a_look_that_was_lost_is_made_again(ledger: Ledger) -> None:
    assert ledger.call_look("stack", NOW, NOW)
    later = NOW + timedelta(minutes=31)
    assert ledger.call_look("stack", later, later)
    assert not ledger.call_look("stack", later, later)
