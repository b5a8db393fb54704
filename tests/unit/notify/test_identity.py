"""What is one thing to tell, and what is another."""

from __future__ import annotations

from typing import Any

import pytest

from notify.happening import OwnHappening
from notify.identity import identity
from notify.recognise import recognise
from tests.unit.notify.bureau import Bureau, Recorder
from tests.unit.notify.samples import sample

GAVE_UP = "The watch over shop-prod-main could not go on: DescribeEvents did not answer"
FAILED_AFTER_ALL = "The rollback failed: shop-prod-main was not proven to be well again"


def rollback(**detail: Any) -> dict[str, Any]:
    return sample("rollback-refused", **detail)


def fact(event: dict[str, Any]) -> str:
    own = recognise(event)
    assert isinstance(own, OwnHappening)
    return identity(own)[1]


@pytest.mark.parametrize("state", ["FAILED", "REFUSED"])
def test_a_watch_that_ends_badly_for_another_reason_is_told_again(state: str) -> None:
    mailbox = Recorder()
    bureau = Bureau(senders=[mailbox])
    bureau.tell(rollback(state=state, reason=GAVE_UP))
    bureau.tell(rollback(state="STARTED", reason="taken over: rolling back"))
    bureau.tell(rollback(state=state, reason=FAILED_AFTER_ALL))
    reasons = [fact.value for one in mailbox.sent for fact in one.facts if fact.name == "Reason"]
    assert reasons == [GAVE_UP, "taken over: rolling back", FAILED_AFTER_ALL]


@pytest.mark.parametrize("state", ["FAILED", "REFUSED", "SUCCEEDED"])
def test_an_end_that_is_published_again_is_told_once(state: str) -> None:
    mailbox = Recorder()
    bureau = Bureau(senders=[mailbox])
    for _ in range(3):
        bureau.tell(rollback(state=state, reason=FAILED_AFTER_ALL))
    assert len(mailbox.sent) == 1


@pytest.mark.parametrize("state", ["STARTED", "SUCCEEDED", "HELD", "AWAITING_APPROVAL"])
def test_what_is_no_bad_end_is_one_fact_whatever_the_reason(state: str) -> None:
    assert fact(rollback(state=state, reason="one")) == fact(rollback(state=state, reason="two"))


def test_a_long_reason_makes_no_long_key() -> None:
    short, long = (fact(rollback(state="FAILED", reason=text)) for text in ("x", "x" * 5000))
    assert len(short) == len(long)
    assert short != long
    assert short.startswith(f"{fact(rollback(state='STARTED')).removesuffix('STARTED')}FAILED#")
