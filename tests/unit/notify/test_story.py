"""What is told, when, and under which name."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from notify.deliver import untold
from notify.happening import FailedAction, ReleaseEvent
from notify.recognise import recognise
from notify.story import (
    Occasion,
    Step,
    Story,
    change,
    failed_actions,
    is_expired,
    judge,
    names,
    sighting,
    sightings_of,
    trigger,
    true_occasion,
)
from tests.unit.notify.bureau import Bureau, Recorder
from tests.unit.notify.runs import SILENCE, Pipeline
from tests.unit.notify.samples import sample
from tests.unit.notify.scenes import BUILD, CHECKS, seen
from tests.unit.trellis.memory_table import MemoryTable
from trellis.ledger import Ledger

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
ANSWERED = Story(failed_actions=(BUILD,))


def event(name: str, **detail: Any) -> ReleaseEvent:
    found = recognise(sample(name, **detail))
    assert isinstance(found, ReleaseEvent)
    return found


@pytest.mark.parametrize(
    ("name", "story", "step", "fact"),
    [
        ("pipeline-started", Story(), Step.TELL, "started#1"),
        ("pipeline-resumed", Story(), Step.TELL, "resumed#2"),
        ("pipeline-succeeded", Story(), Step.TELL, "succeeded#1"),
        ("pipeline-stopped", Story(), Step.TELL, "stopped#1"),
        ("pipeline-canceled", Story(), Step.TELL, "canceled#1"),
        ("pipeline-superseded", Story(), Step.TELL, "superseded#1"),
        ("pipeline-stopping", Story(), Step.SKIP, ""),
        ("stage-started", Story(), Step.SKIP, ""),
        ("stage-succeeded", Story(), Step.SKIP, ""),
        ("build-action-started", Story(), Step.SKIP, ""),
        ("action-abandoned", Story(), Step.SKIP, ""),
        ("approval-requested", Story(), Step.TELL, "approval#DeployToTest/Approve#1"),
        ("approval-approved", Story(), Step.TELL, "approved#DeployToTest/Approve#1"),
        ("stage-failed", ANSWERED, Step.TELL, "failed#1"),
        ("pipeline-failed", ANSWERED, Step.TELL, "failed#1"),
        ("pipeline-failed-from-codestar", Story(), Step.TELL, "failed#1"),
        ("stage-failed", Story(), Step.WAIT, "failed#1"),
        ("stage-failed", Story(failed_actions=()), Step.WAIT, "failed#1"),
        ("build-action-failed", Story(), Step.WAIT, "failed#1"),
        ("approval-rejected", Story(), Step.WAIT, "failed#1"),
    ],
)
def test_judges_a_first_event(name: str, story: Story, step: Step, fact: str) -> None:
    verdict = judge(event(name), story, has_waited=False)
    assert (verdict.step, verdict.fact) == (step, fact)
    assert verdict.reason


@pytest.mark.parametrize("name", ["stage-failed", "build-action-failed", "approval-rejected"])
def test_what_has_waited_once_is_told(name: str) -> None:
    assert judge(event(name), Story(), has_waited=True).step is Step.TELL


@pytest.mark.parametrize("ended", ["SUCCEEDED", "FAILED", "STOPPED", "SUPERSEDED", "CANCELED"])
def test_a_start_that_comes_after_the_end_is_not_told(ended: str) -> None:
    over = Story(sightings=(seen("pipeline", ended),))
    assert judge(event("pipeline-started"), over, has_waited=False).step is Step.SKIP
    assert judge(event("approval-requested"), over, has_waited=False).step is Step.SKIP


def test_a_retry_after_the_end_is_told() -> None:
    over = Story(sightings=(seen("pipeline", "FAILED"),))
    assert judge(event("pipeline-resumed"), over, has_waited=False).step is Step.TELL


def test_an_approval_that_was_answered_is_not_asked_for_again() -> None:
    answered = Story(sightings=(seen("action/DeployToTest/Approve", "SUCCEEDED"),))
    assert judge(event("approval-requested"), answered, has_waited=False).step is Step.SKIP
    again = event("approval-requested", pipeline_execution_attempt=2.0)
    assert judge(again, answered, has_waited=False).step is Step.TELL


def test_a_rejection_is_no_failure() -> None:
    reviewer = FailedAction(name="Approve", stage="DeployToTest", category="Approval")
    story = Story(failed_actions=(reviewer,))
    rejected = event("stage-failed", stage="DeployToTest")
    assert true_occasion(rejected, story) is Occasion.REJECTED
    assert true_occasion(event("approval-rejected"), Story()) is Occasion.REJECTED
    assert true_occasion(rejected, Story(failed_actions=(BUILD,))) is Occasion.FAILED


@pytest.mark.parametrize(
    ("words", "by", "expired"),
    [
        ("The approval action timed out", None, True),
        ("Approval expired after 7 days", None, True),
        ("no", None, False),
        (None, None, False),
        ("it timed out for me", "arn:aws:iam::123456789012:user/jo", False),
    ],
)
def test_tells_a_timeout_from_a_rejection_where_it_can(
    words: str | None, by: str | None, expired: bool
) -> None:
    assert is_expired(FailedAction(name="a", category="Approval", reason=words, by=by)) is expired


SOURCE_FAILED = FailedAction(name="Source", stage="Source", category="Source")


@pytest.mark.parametrize(
    ("name", "trigger", "occasion"),
    [
        ("source-action-failed", "CreatePipeline", Occasion.WAITING_FOR_UPLOAD),
        ("source-action-failed", "CloudWatchEvent", Occasion.FAILED),
        ("source-action-failed", None, Occasion.FAILED),
        ("build-action-failed", "CreatePipeline", Occasion.FAILED),
    ],
)
def test_the_run_that_creating_a_pipeline_starts_waits_for_its_first_upload(
    name: str, trigger: str | None, occasion: Occasion
) -> None:
    assert true_occasion(event(name), Story(trigger=trigger)) is occasion


def test_knows_how_a_run_was_started_from_what_was_seen_of_it() -> None:
    story = Story(
        sightings=(seen("start", "STARTED", trigger="CreatePipeline"),),
        failed_actions=(SOURCE_FAILED,),
    )
    assert true_occasion(event("pipeline-failed"), story) is Occasion.WAITING_FOR_UPLOAD


def test_a_failed_action_is_known_by_all_that_was_said_of_it() -> None:
    said_by_api = replace(BUILD, reason=None, execution_id=None)
    (found,) = failed_actions(event("build-action-failed"), Story(failed_actions=(said_by_api,)))
    assert found.reason is not None
    assert found.reason.startswith("Build terminated")
    assert found.log_tail == BUILD.log_tail
    assert found.execution_id == "a0000000-1111-4222-8333-000000000003"


def test_failures_of_an_earlier_try_are_not_this_ones() -> None:
    story = Story(sightings=(seen("action/Build/Build", "FAILED", reason="old"),))
    again = event("stage-failed", pipeline_execution_attempt=2.0)
    assert failed_actions(again, story) == ()


def test_the_end_of_a_try_outweighs_its_beginning_and_a_retry_outweighs_both() -> None:
    orders = [
        sighting(event(name, **detail), NOW).order
        for name, detail in (
            ("stage-started", {}),
            ("stage-stopping", {}),
            ("stage-failed", {}),
            ("stage-started", {"pipeline_execution_attempt": 2.0}),
            ("stage-resumed", {}),
            ("stage-failed", {"pipeline_execution_attempt": 2.0}),
        )
    ]
    assert orders == sorted(orders)
    assert len(set(orders)) == len(orders)


def test_what_was_named_without_an_id_is_not_named_again_with_one() -> None:
    with_id = names((BUILD, CHECKS))
    without = names((replace(BUILD, execution_id=None), replace(CHECKS, execution_id=None)))
    assert untold(with_id, without) == ()
    assert untold(without, with_id) == ()
    assert untold(with_id, with_id[:1]) == with_id[1:]
    retried = names((replace(BUILD, execution_id="another"),))
    assert untold(retried, with_id) == retried


def test_a_rollback_that_ran_through_recovers_nothing_and_is_no_release() -> None:
    mailbox = Recorder()
    bureau = Bureau(senders=[mailbox], routes="error=email success=email info=email")
    bureau.tell(sample("stage-failed"), with_queue=False)
    for name in ("pipeline-started", "pipeline-succeeded"):
        made = sample(name, execution_id="22222222-0000-4000-8000-000000000002")
        made["detail"]["execution-trigger"] = {"trigger-type": "ManualRollback"}
        bureau.tell({**made, "time": "2026-11-24T09:50:00Z"})
    assert [headline.split(":")[0] for headline in mailbox.headlines[1:]] == [
        "Going back",
        "Gone back",
    ]
    bureau.tell({**sample("pipeline-succeeded"), "time": "2026-11-24T11:00:00Z"})
    assert "recovered after 1 failure" in mailbox.headlines[-1]


def test_what_started_a_run_is_still_known_when_it_has_ended() -> None:
    table, started = MemoryTable(), event("pipeline-started-by-git-push")
    ledger = Ledger(table)
    for name in ("pipeline-started-by-git-push", "pipeline-succeeded"):
        for one in sightings_of(event(name), NOW):
            ledger.see(one)
    story = Story(sightings=tuple(ledger.sightings(started.pipeline, started.execution_id or "")))
    found = change(event("pipeline-succeeded"), story)
    assert found is not None
    assert (found.author, found.branch) == ("Mina Park", "main")
    assert trigger(event("pipeline-succeeded"), story) == "GitHub"


def test_creating_a_pipeline_is_one_message_that_asks_for_the_first_upload() -> None:
    mailbox = Recorder()
    bureau = Bureau(senders=[mailbox], routes="action=email info=email error=email")
    created = {"trigger-type": "CreatePipeline", "trigger-detail": "arn"}
    bureau.pipeline = Pipeline(SILENCE)
    for one in (
        sample("pipeline-started", execution_trigger=created),
        sample("source-action-failed"),
        sample("stage-failed", stage="Source"),
        sample("pipeline-failed"),
    ):
        bureau.queue.put(one)
    bureau.work()
    (headline,) = mailbox.headlines
    assert headline == "shop-pipeline-main (us-east-1) is ready and waiting for the first upload"


def test_what_the_environments_run_is_named_by_its_code_where_the_ledger_knows_it() -> None:
    mailbox = Recorder()
    bureau = Bureau(senders=[mailbox])
    Ledger(bureau.table).set_revision("shop-prod-main", "v7", "17e0c4b2a9d8", NOW)

    class Answering(Pipeline):
        def list_action_executions(self, **request: Any) -> dict[str, Any]:
            answer = super().list_action_executions(**request)
            answer["actionExecutionDetails"][0]["input"]["configuration"] = {
                "EnvironmentName": "shop-prod-main"
            }
            return answer

        def describe_environments(self, **_: Any) -> dict[str, Any]:
            one = {"EnvironmentName": "shop-prod-main", "VersionLabel": "v7", "HealthStatus": "Ok"}
            return {"Environments": [one]}

    bureau.pipeline = Answering()
    bureau.tell(sample("pipeline-succeeded"))
    facts = {fact.name: fact.value for fact in mailbox.sent[0].facts}
    assert facts["Running now"] == "shop-prod-main: S3 version 17e0c4b2a9d8 (Ok)"
