"""When a message that failed comes again, and where it ends."""

from __future__ import annotations

from typing import Any

import pytest

from notify.deliver import BusyError, DeliveryError
from notify.parcel import Parcel
from notify.queue import NotifyQueue
from notify.retry import is_settled, pause_after

QUEUE, GRAVE = "https://queue", "https://grave"


class Sqs:
    """Remembers what it was asked, and refuses when told to."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, name: str) -> Any:
        def ask(**request: Any) -> None:
            self.asked.append((name, request))
            if self.error is not None:
                raise self.error

        return ask


def parcel(received: int) -> Parcel:
    return Parcel(content={}, message_id="m", body="{}", receipt_handle="handle", received=received)


def settled(received: int, error: Exception, sqs: Sqs, grave: str | None = GRAVE) -> bool:
    return is_settled(parcel(received), error, NotifyQueue(lambda: sqs, QUEUE, grave), 5)


FAILED = DeliveryError("slack: hooks.slack.com answered 500")


def test_the_pauses_grow_to_ride_out_an_outage() -> None:
    assert [pause_after(n, FAILED) for n in (1, 2, 3, 4)] == [30, 90, 270, 810]
    assert pause_after(9, FAILED) > 900


def test_a_channel_that_asked_for_more_gets_more() -> None:
    assert pause_after(1, DeliveryError("429", retry_after=120)) == 120
    assert pause_after(3, DeliveryError("429", retry_after=1)) == 270
    assert pause_after(1, ValueError("a bug")) == 30


def test_what_another_worker_sends_is_looked_at_when_that_one_must_be_done() -> None:
    assert pause_after(4, BusyError("another worker", 12.0)) == 12


def test_comes_again_after_its_pause_and_never_later_than_the_queue_can() -> None:
    sqs = Sqs()
    assert not settled(2, FAILED, sqs)
    assert not settled(4, DeliveryError("429", retry_after=9999), sqs)
    assert [(name, request["VisibilityTimeout"]) for name, request in sqs.asked] == [
        ("change_message_visibility", 90),
        ("change_message_visibility", 900),
    ]


def test_is_buried_after_the_last_try_with_its_reason_and_without_its_secrets() -> None:
    sqs = Sqs()
    error = DeliveryError("refused, token=abc123def456: try later")
    assert settled(5, error, sqs)
    ((name, request),) = sqs.asked
    assert (name, request["QueueUrl"], request["MessageBody"]) == ("send_message", GRAVE, "{}")
    reason = request["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"]
    assert reason.startswith("refused, token=[secret]")


def test_is_left_to_the_redrive_policy_where_there_is_no_grave_of_ours() -> None:
    sqs = Sqs()
    assert not settled(5, FAILED, sqs, grave=None)
    assert sqs.asked == []


def test_what_another_worker_sends_is_no_lost_cause() -> None:
    sqs = Sqs()
    assert settled(5, BusyError("another worker", 12.0), sqs)
    ((name, request),) = sqs.asked
    assert (name, request["QueueUrl"], request["DelaySeconds"]) == ("send_message", QUEUE, 12)


@pytest.mark.parametrize("received", [1, 5])
def test_stays_in_the_queue_when_nothing_can_be_arranged(received: int) -> None:
    assert not settled(received, FAILED, Sqs(RuntimeError("SQS is away")))


def test_an_event_without_a_queue_is_lambdas_to_retry() -> None:
    assert not is_settled(Parcel(content={}), FAILED, None, 5)
    assert not is_settled(parcel(5), FAILED, None, 5)
