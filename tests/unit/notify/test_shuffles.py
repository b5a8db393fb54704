"""One failed run is one message, whatever the order, the repeats, the batches and the workers."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from notify.channels import email
from tests.unit.notify.bureau import Bureau, Recorder, shuffled
from tests.unit.notify.runs import DENIED, SILENCE, Pipeline, failed_run
from trellis.observability import logger

SEEDS = 200
"""tests/long plays the orders after these."""
FIRST = "11111111-0000-4000-8000-000000000001"
SECOND = "22222222-0000-4000-8000-000000000002"


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Writing the log takes longer than the work, a hundred thousand times over."""
    logger.setLevel("CRITICAL")
    yield
    logger.setLevel("INFO")


def once_or_more(dice: random.Random) -> int:
    return 1 if dice.random() < 0.6 else dice.randint(2, 3)


def failures(mailbox: Recorder) -> list[str]:
    return [
        email.render(notice)["body"] for notice in mailbox.sent if notice.severity.value == "error"
    ]


def test_a_run_has_the_twenty_events_that_the_tests_speak_of() -> None:
    assert len(failed_run(FIRST)) == 20


def one_failure_mail(seed: int) -> None:
    """Play one order of a failed run's events, some of them more than once, to two workers."""
    mailbox = Recorder()
    bureau = Bureau(senders=[mailbox], seed=seed)
    for event in shuffled(failed_run(FIRST), seed, once_or_more):
        bureau.queue.put(event)
    bureau.work(workers=2)
    told = failures(mailbox)
    assert len(told) == 1, f"seed {seed}: {len(told)} failure mails"
    assert "Actions: Build and Checks" in told[0], f"seed {seed}: {told[0]}"
    assert "python -m unittest" in told[0]
    assert "ruff check" in told[0]
    assert bureau.queue.dead == [], f"seed {seed}"


@pytest.mark.parametrize("block", range(20))
def test_any_order_repeats_batches_and_two_workers_give_one_failure_mail(block: int) -> None:
    for seed in range(block, SEEDS, 20):
        one_failure_mail(seed)


@pytest.mark.parametrize("seed", range(40))
def test_two_runs_interleaved_give_two_failure_mails(seed: int) -> None:
    mailbox = Recorder()
    bureau = Bureau(senders=[mailbox], seed=seed)
    for event in shuffled(failed_run(FIRST) + failed_run(SECOND), seed, once_or_more):
        bureau.queue.put(event)
    bureau.work(workers=2)
    told = failures(mailbox)
    assert len(told) == 2
    assert sorted(execution in "".join(told) for execution in (FIRST, SECOND)) == [True, True]
    assert all("Actions: Build and Checks" in mail for mail in told)


@pytest.mark.parametrize("error", [SILENCE, DENIED])
@pytest.mark.parametrize("seed", range(20))
def test_without_an_answer_from_aws_the_events_themselves_name_both_actions(
    seed: int, error: Exception
) -> None:
    mailbox = Recorder()
    bureau = Bureau(senders=[mailbox], seed=seed, pipeline=Pipeline(error))
    for event in shuffled(failed_run(FIRST), seed, once_or_more):
        bureau.queue.put(event)
    bureau.work(workers=2)
    (told,) = failures(mailbox)
    assert "Actions: Build and Checks" in told


@pytest.mark.parametrize("missing", range(20))
def test_a_lost_event_loses_no_failure(missing: int) -> None:
    events = failed_run(FIRST)
    del events[missing]
    mailbox = Recorder()
    bureau = Bureau(senders=[mailbox], seed=missing)
    for event in events:
        bureau.queue.put(event)
    bureau.work()
    assert len(failures(mailbox)) == 1


def test_a_failed_action_whose_stage_never_speaks_is_told_after_its_time() -> None:
    mailbox = Recorder()
    bureau = Bureau(senders=[mailbox])
    began = bureau.clock.now()
    bureau.queue.put(failed_run(FIRST)[16])
    bureau.work()
    assert len(failures(mailbox)) == 1
    assert (bureau.clock.now() - began).total_seconds() == 300
