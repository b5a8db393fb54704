"""SNS as a channel: what each of its answers means, and how fast it is asked."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from botocore.session import get_session
from botocore.stub import Stubber

from notify.channels.email import Email, Pace
from notify.deliver import DeliveryError, RefusedError, UncertainError
from notify.notice import Notice, Severity
from tests.unit.notify.bureau import Bureau, Clock, Recorder
from tests.unit.notify.runs import failed_run
from tests.unit.notify.samples import sample
from trellis.observability import logger

TOPIC = "arn:aws:sns:us-east-1:123456789012:shop"
NOTICE = Notice(severity=Severity.ERROR, state="FAILED", headline="It failed")


class Sns:
    """A client whose publish ends in one way."""

    def __init__(self, outcome: Any) -> None:
        self.outcome = outcome

    def publish(self, **_: Any) -> Any:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def no_pace() -> Pace:
    return Pace(1000, lambda: 0.0, lambda _: None)


def refusal(code: str, status: int) -> ClientError:
    return ClientError(
        {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}},  # type: ignore[typeddict-item]  # as much of it as is read
        "Publish",
    )


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        (refusal("Throttling", 400), RefusedError),
        (refusal("NotFound", 404), RefusedError),
        (refusal("AuthorizationError", 403), RefusedError),
        (refusal("KMSDisabled", 400), RefusedError),
        (EndpointConnectionError(endpoint_url="https://sns"), RefusedError),
        (ConnectTimeoutError(endpoint_url="https://sns"), RefusedError),
        (refusal("InternalError", 500), UncertainError),
        (refusal("ServiceUnavailable", 503), UncertainError),
        (ReadTimeoutError(endpoint_url="https://sns"), UncertainError),
        (ConnectionClosedError(endpoint_url="https://sns"), UncertainError),
    ],
)
def test_says_what_is_known_after_each_way_to_fail(
    outcome: Exception, error: type[DeliveryError]
) -> None:
    with pytest.raises(error):
        Email(lambda: Sns(outcome), TOPIC, no_pace()).send(NOTICE, None)  # type: ignore[arg-type]  # mail needs nothing of it


def test_publishes_subject_and_body_to_the_topic() -> None:
    session: Any = get_session()
    client = session.create_client("sns", config=Config(region_name="us-east-1"))
    with Stubber(client) as stub:
        stub.add_response(
            "publish",
            {"MessageId": "m-1"},
            {"TopicArn": TOPIC, "Subject": "[FAILED] It failed", "Message": "It failed\n"},
        )
        sent = Email(lambda: client, TOPIC, no_pace()).send(NOTICE, None)  # type: ignore[arg-type]  # mail needs nothing of it
    assert sent == "m-1"


def test_a_subject_that_is_refused_for_its_characters_goes_out_without_them() -> None:
    subjects = []

    class Old:
        def publish(self, **message: Any) -> Any:
            subjects.append(message["Subject"])
            if not message["Subject"].isascii():
                raise refusal("InvalidParameter", 400)
            return {"MessageId": "m-1"}

    notice = Notice(severity=Severity.ERROR, state="FAILED", headline="“Brötchen” failed")
    sent = Email(Old, TOPIC, no_pace()).send(notice, None)  # type: ignore[arg-type]  # mail needs nothing of it
    assert sent == "m-1"
    assert subjects == ["[FAILED] “Brötchen” failed", "[FAILED] ?Br?tchen? failed"]


def test_a_throttled_mail_is_sent_once_and_is_no_repeat() -> None:
    answers: list[Any] = [refusal("Throttling", 400), {"MessageId": "m-1"}]
    bodies = []

    class Busy:
        def publish(self, **message: Any) -> Any:
            bodies.append(message["Message"])
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

    bureau = Bureau(senders=[Email(Busy, TOPIC, no_pace())])
    bureau.tell(sample("approval-requested"))
    assert len(bodies) == 2
    assert "may repeat" not in bodies[1]


def test_a_mail_of_unknown_outcome_is_sent_again_and_says_so() -> None:
    answers: list[Any] = [ReadTimeoutError(endpoint_url="https://sns"), {"MessageId": "m-1"}]
    bodies = []

    class Silent:
        def publish(self, **message: Any) -> Any:
            bodies.append(message["Message"])
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

    bureau = Bureau(senders=[Email(Silent, TOPIC, no_pace())])
    bureau.tell(sample("approval-requested"))
    assert ["may repeat" in body for body in bodies] == [False, True]


def test_a_burst_is_paced_to_four_publishes_a_second_of_one_worker() -> None:
    clock, sent = Clock(), []
    pace = Pace(4, clock.seconds, clock.pass_)
    for _ in range(100):
        pace.wait()
        sent.append(clock.now())
    for first, later in zip(sent, sent[5:], strict=False):
        assert later - first >= timedelta(seconds=1)
    clock.pass_(60)
    before = clock.now()
    pace.wait()
    assert clock.now() == before


def test_a_thousand_events_of_forty_runs_are_told_each_and_never_too_fast() -> None:
    """Two workers with four publishes a second each stay below SNS's ten."""
    logger.setLevel("CRITICAL")
    clock, lock = Clock(), threading.Lock()
    published: list[datetime] = []

    class Counting(Recorder):
        def send(self, notice: Any, delivery: Any) -> str:
            with lock:
                pace.wait()
                published.append(clock.now())
            return super().send(notice, delivery)

    pace = Pace(8, clock.seconds, clock.pass_)  # the two workers' paces as one, on one clock
    mailbox = Counting()
    bureau = Bureau(senders=[mailbox], clock=clock, routes="error=email info=email")
    for number in range(40):
        for event in failed_run(f"{number:08d}-0000-4000-8000-000000000000"):
            bureau.queue.put(event)
    for number in range(200):
        bureau.queue.put(sample("stage-started", execution_id=f"other-{number}"))
    bureau.work(workers=2)
    logger.setLevel("INFO")
    failures = [notice for notice in mailbox.sent if notice.severity is Severity.ERROR]
    assert len({notice.execution_id for notice in failures}) == len(failures) == 40
    assert bureau.queue.dead == []
    assert len(published) > 40
    for first, tenth in zip(published, published[10:], strict=False):
        assert tenth - first > timedelta(seconds=1)
