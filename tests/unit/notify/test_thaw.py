"""After a rest: connections that were kept, and that the other side no longer knows.

Lambda closes what an execution environment keeps open while it is frozen
(https://docs.aws.amazon.com/lambda/latest/dg/best-practices.html).
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from notify import wiring
from notify.channels.email import Email, Pace
from notify.config import Config
from notify.deliver import Delivery, UncertainError
from notify.gather import Gatherer
from notify.happening import ReleaseEvent
from notify.notice import Notice, Severity
from notify.recognise import recognise
from notify.wiring import Fresh
from tests.unit.notify.bureau import START
from tests.unit.notify.samples import sample
from trellis.session import Clients

TOPIC = "arn:aws:sns:us-east-1:123456789012:shop"
NOTICE = Notice(severity=Severity.ERROR, state="FAILED", headline="It failed")
DELIVERY = Delivery(id="d", about="a", owner="o", until=START, now=START)
SNS = (
    b'<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult>'
    b"<MessageId>m-1</MessageId></PublishResult></PublishResponse>"
)
CODEPIPELINE = json.dumps(
    {"pipelineExecution": {"executionType": "STANDARD"}, "actionExecutionDetails": []}
).encode()


class Aws:
    """SNS and CodePipeline, over connections that they keep until they forget them."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.connections = 0
        """How many were made."""
        self.answered = 0
        self.known = 0
        """Connections up to this number are forgotten."""

    def forget(self) -> None:
        """Reset every connection of now as soon as something is asked over it."""
        self.known = self.connections

    def serve(self) -> None:
        """Accept connections until the listener is closed."""
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                work = threading.Thread(
                    target=self._serve_one, args=(connection, self.connections), daemon=True
                )
                work.start()

    def close(self) -> None:
        """Accept no more."""
        # Closing alone does not wake who waits in accept.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve_one(self, connection: socket.socket, number: int) -> None:
        with connection, connection.makefile("rb") as sent:
            while (body := _body(sent)) is not None:
                if number <= self.known:
                    reset = struct.pack("ii", 1, 0)
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                    return
                self.answered += 1
                said = SNS if b"Action=Publish" in body else CODEPIPELINE
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(said)}\r\n\r\n"
                connection.sendall(head.encode() + said)


def _body(sent: Any) -> bytes | None:
    """The next request's body, or None when there is none to come."""
    length = 0
    if not sent.readline():
        return None
    while line := sent.readline().strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return bytes(sent.read(length))


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    served = Aws()
    monkeypatch.setenv("AWS_ENDPOINT_URL", served.url)
    thread = threading.Thread(target=served.serve)
    thread.start()
    wiring._fittings.cache_clear()
    yield served
    wiring._fittings.cache_clear()
    served.close()
    thread.join()


def config() -> Config:
    return Config(topic_arn=TOPIC, ledger_table="ledger", region="us-east-1")


def email(now: list[float]) -> Email:
    fresh = Fresh(Clients("us-east-1"), lambda: now[0])
    return Email(
        lambda: fresh.get("sns", attempts=1), TOPIC, Pace(1000, lambda: 0.0, lambda _: None)
    )


def test_a_mail_after_a_rest_goes_over_a_new_connection(aws: Aws) -> None:
    now = [0.0]
    mail = email(now)
    assert mail.send(NOTICE, DELIVERY) == "m-1"
    aws.forget()
    now[0] += 31
    assert mail.send(NOTICE, DELIVERY) == "m-1"
    assert (aws.connections, aws.answered) == (2, 2)


def test_mails_close_together_share_a_connection(aws: Aws) -> None:
    now = [0.0]
    mail = email(now)
    for _ in range(5):
        mail.send(NOTICE, DELIVERY)
        now[0] += 29
    assert (aws.connections, aws.answered) == (1, 5)


def test_a_mail_is_never_sent_again_unseen(aws: Aws) -> None:
    mail = email([0.0])
    mail.send(NOTICE, DELIVERY)
    aws.forget()
    with pytest.raises(UncertainError):
        mail.send(NOTICE, DELIVERY)
    assert (aws.connections, aws.answered) == (1, 1)


def test_the_function_mails_over_a_new_connection_after_a_rest(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wiring, "_REST_SECONDS", -1)  # so that any time is a rest
    for _ in range(2):
        assert wiring._fittings(config()).email.send(NOTICE, DELIVERY) == "m-1"
        aws.forget()
    assert (aws.connections, aws.answered) == (2, 2)


def test_a_question_over_a_forgotten_connection_is_asked_again(aws: Aws) -> None:
    event = recognise(sample("stage-failed"))
    assert isinstance(event, ReleaseEvent)
    fittings = wiring._fittings(config())
    first = fittings.gatherer.story(event, ())
    aws.forget()
    assert first.failed_actions == ()
    assert fittings.gatherer.story(event, ()) == first
    assert (aws.connections, aws.answered) == (2, 4)


def test_questions_after_a_rest_go_over_a_new_connection(aws: Aws) -> None:
    event = recognise(sample("stage-failed"))
    assert isinstance(event, ReleaseEvent)
    now, unanswered = [0.0], []
    fresh = Fresh(Clients("us-east-1"), lambda: now[0])
    gatherer = Gatherer(
        lambda service: fresh.get(service, timeout_seconds=2, attempts=1),
        lambda question, _: unanswered.append(question),
        lambda: now[0],
    )
    first = gatherer.story(event, ())
    now[0] += 31
    assert gatherer.story(event, ()) == first
    assert (aws.connections, unanswered) == (2, [])
