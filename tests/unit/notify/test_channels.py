"""Every channel against a server that answers well, badly, late, or not at all.

A channel that can tell repeats has one message whatever happened. The others have one where the
outcome was known, and a marked second one where nobody could know it. None ever loses one.
"""

from __future__ import annotations

import hashlib
import hmac
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from notify.channels import http
from notify.channels.http import post
from notify.channels.pagerduty import PagerDuty
from notify.channels.slack_bot import SlackBot
from notify.channels.slack_webhook import SlackWebhook
from notify.channels.teams import Teams
from notify.channels.webhook import Webhook
from notify.deliver import DeliveryError, RefusedError, UncertainError
from notify.route import Channel
from tests.unit.notify.bureau import Bureau, Recorder
from tests.unit.notify.chat_server import ChatServer, running
from tests.unit.notify.runs import failed_run
from tests.unit.notify.samples import sample
from trellis.ledger import Ledger
from trellis.observability import logger

KEY = "a signing key of some length"
EXECUTION = "11111111-0000-4000-8000-000000000001"
UNKNOWN_TO_US = ("500", "lost", "taken", "slow", "garbage")
"""After these nobody on our side can say whether the message arrived."""


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(http, "_TIMEOUT_SECONDS", 0.2)
    logger.setLevel("CRITICAL")
    yield
    logger.setLevel("INFO")


Make = Callable[[ChatServer, Bureau], Any]


def slack_bot(server: ChatServer, bureau: Bureau) -> Any:
    return SlackBot("xoxb-test", "C1", post, lambda: Ledger(bureau.table), f"{server.url}/api")


def slack_hook(server: ChatServer, bureau: Bureau) -> Any:
    return SlackWebhook(f"{server.url}/hook", post)


def teams(server: ChatServer, bureau: Bureau) -> Any:
    return Teams(f"{server.url}/teams", post)


def pagerduty(server: ChatServer, bureau: Bureau) -> Any:
    return PagerDuty("R" * 32, post, server.url)


def webhook(server: ChatServer, bureau: Bureau) -> Any:
    return Webhook(f"{server.url}/receiver", KEY, post, bureau.clock.seconds)


CHANNELS: dict[str, tuple[Make, Callable[[ChatServer], int]]] = {
    "slack bot": (slack_bot, lambda server: len(server.replies())),
    "slack webhook": (slack_hook, lambda server: len(server.hooks)),
    "teams": (teams, lambda server: len(server.cards)),
    "pagerduty": (pagerduty, lambda server: len(server.open_pages)),
    "webhook": (webhook, lambda server: len(server.deliveries)),
}
KNOWS_REPEATS = {"slack bot", "pagerduty", "webhook"}


def tell_until_told(bureau: Bureau, event: dict[str, Any], most: int = 12) -> int:
    """Hand an event over again and again, as the queue does; how often that was needed."""
    for tries in range(1, most + 1):
        try:
            bureau.tell(event, with_queue=False)
        except DeliveryError:
            bureau.clock.pass_(90)
        else:
            return tries
    raise AssertionError("never told")


@pytest.mark.parametrize("name", CHANNELS)
def test_a_channel_that_answers_gets_one_message(name: str) -> None:
    make, count = CHANNELS[name]
    with running(ChatServer()) as server:
        bureau = Bureau(senders=[])
        bureau.senders.append(make(server, bureau))
        for _ in range(3):
            bureau.tell(sample("stage-failed"), with_queue=False)
        assert count(server) == 1


@pytest.mark.parametrize("name", CHANNELS)
def test_a_429_is_obeyed_and_costs_no_message(name: str) -> None:
    make, count = CHANNELS[name]
    with running(ChatServer(["429", "429", "429"], retry_after="2")) as server:
        bureau = Bureau(senders=[])
        bureau.senders.append(make(server, bureau))
        began = bureau.clock.now()
        tell_until_told(bureau, sample("stage-failed"))
        assert count(server) == 1
        assert (bureau.clock.now() - began).total_seconds() >= 4
        assert b"may repeat" not in repr(server.__dict__).encode()


@pytest.mark.parametrize("name", CHANNELS)
def test_a_429_that_asks_for_long_is_left_to_the_queue(name: str) -> None:
    make, count = CHANNELS[name]
    with running(ChatServer(["429"], retry_after="300")) as server:
        bureau = Bureau(senders=[])
        bureau.senders.append(make(server, bureau))
        with pytest.raises(DeliveryError) as caught:
            bureau.tell(sample("stage-failed"), with_queue=False)
        assert caught.value.retry_after == 300
        bureau.tell(sample("stage-failed"), with_queue=False)
        assert count(server) == 1


@pytest.mark.parametrize("mood", UNKNOWN_TO_US)
@pytest.mark.parametrize("name", CHANNELS)
def test_an_unknown_outcome_is_never_a_lost_message(name: str, mood: str) -> None:
    make, count = CHANNELS[name]
    with running(ChatServer([mood])) as server:
        bureau = Bureau(senders=[])
        bureau.senders.append(make(server, bureau))
        tell_until_told(bureau, sample("stage-failed"))
        took_the_first = mood in ("taken", "slow", "garbage")
        if name in KNOWS_REPEATS or not took_the_first:
            assert count(server) == 1
        elif (name, mood) == ("teams", "garbage"):
            assert count(server) == 1  # Teams' answer has no content to judge by
        else:
            assert count(server) == 2
        seen = repr([server.hooks, server.cards, server.pages, server.slack, server.deliveries])
        is_marked = "may repeat" in seen
        assert is_marked == (name not in KNOWS_REPEATS and (name, mood) != ("teams", "garbage"))


@pytest.mark.parametrize("seed", range(60))
def test_whatever_the_moods_nothing_is_lost_and_repeats_are_where_they_may_be(seed: int) -> None:
    dice = random.Random(seed)
    moods = [dice.choice(["429", "ok", *UNKNOWN_TO_US]) for _ in range(12)]
    name = list(CHANNELS)[seed % len(CHANNELS)]
    make, count = CHANNELS[name]
    with running(ChatServer(moods)) as server:
        bureau = Bureau(senders=[])
        bureau.senders.append(make(server, bureau))
        tell_until_told(bureau, sample("stage-failed"), most=40)
        if name in KNOWS_REPEATS:
            assert count(server) == 1, moods
        else:
            assert 1 <= count(server) <= 1 + sum(mood in UNKNOWN_TO_US for mood in moods), moods


def test_a_sender_that_died_before_writing_it_down_repeats_only_where_it_must() -> None:
    for name, (make, count) in CHANNELS.items():
        with running(ChatServer()) as server:
            bureau = Bureau(senders=[])
            channel = make(server, bureau)
            bureau.senders.append(Dying(channel))
            with pytest.raises(DeathError):
                bureau.tell(sample("stage-failed"), with_queue=False)
            bureau.senders[:] = [channel]
            bureau.clock.pass_(600)
            bureau.tell(sample("stage-failed"), with_queue=False)
            assert count(server) == (1 if name in KNOWS_REPEATS else 2), name


class DeathError(BaseException):
    """When the worker is gone: nothing of ours may catch it."""


class Dying:
    """A channel whose worker dies right after the message is out."""

    def __init__(self, channel: Any) -> None:
        self._inner = channel
        self.channel, self.knows_repeats = channel.channel, channel.knows_repeats

    def send(self, notice: Any, delivery: Any) -> str:
        self._inner.send(notice, delivery)
        raise DeathError


def test_one_channel_that_is_down_keeps_no_other_from_its_message() -> None:
    with running(ChatServer()) as server:
        bureau = Bureau(senders=[])
        bureau.senders += [Teams("http://127.0.0.1:9/teams", post), slack_hook(server, bureau)]
        with pytest.raises(DeliveryError, match=r"teams: 127\.0\.0\.1 was not reached"):
            bureau.tell(sample("stage-failed"), with_queue=False)
        assert len(server.hooks) == 1
        bureau.senders[0] = teams(server, bureau)
        bureau.tell(sample("stage-failed"), with_queue=False)
        assert (len(server.hooks), len(server.cards)) == (1, 1)


def test_a_deleted_message_of_a_release_keeps_nobody_from_its_repeats() -> None:
    with running(ChatServer()) as server:
        bureau = Bureau(senders=[])
        bureau.senders.append(slack_bot(server, bureau))
        bureau.tell(sample("pipeline-started"))
        server.slack.clear()
        server.moods = ["lost"]
        tell_until_told(bureau, sample("approval-requested"))
        assert len(server.slack) == 1


def test_slack_without_the_right_to_look_back_may_repeat_and_goes_on() -> None:
    with running(ChatServer(["ok", "ok", "taken"])) as server:
        server.may_read_history = False
        bureau = Bureau(senders=[])
        bureau.senders.append(slack_bot(server, bureau))
        bureau.tell(sample("pipeline-started"))
        tell_until_told(bureau, sample("stage-failed"))
        assert len(server.roots()) == 1
        assert len(server.replies()) == 2


def test_a_release_is_one_slack_message_that_follows_it_and_a_thread() -> None:
    with running(ChatServer()) as server:
        bureau = Bureau(senders=[])
        bureau.senders.append(slack_bot(server, bureau))
        for event in failed_run(EXECUTION):
            bureau.tell(event)
        bureau.work()
        (root,) = server.roots()
        (reply,) = server.replies()
        assert "Build failed" in root["text"]
        assert "✅ Source   ❌ Build" in repr(root["blocks"])
        assert reply["thread_ts"] == root["ts"]
        assert reply["reply_broadcast"] is True
        assert server.edits > 3


@pytest.mark.parametrize("seed", range(15))
def test_the_slack_message_ends_right_whatever_the_order_and_the_workers(seed: int) -> None:
    with running(ChatServer()) as server:
        bureau = Bureau(senders=[], seed=seed)
        bureau.senders.append(slack_bot(server, bureau))
        events = failed_run(EXECUTION)
        random.Random(seed).shuffle(events)
        for event in events:
            bureau.queue.put(event)
        bureau.work(workers=2)
        (root,) = server.roots()
        assert "Build failed" in root["text"]
        assert len(server.replies()) == 1


def test_a_release_that_was_rolled_back_says_so_in_its_slack_message() -> None:
    with running(ChatServer()) as server:
        bureau = Bureau(senders=[])
        bureau.senders.append(slack_bot(server, bureau))
        for name in ("pipeline-started", "stage-failed", "rollback-started", "rollback-succeeded"):
            bureau.tell(sample(name), with_queue=False)
        (root,) = server.roots()
        assert "Rolled back" in root["text"]
        assert ["Rolled back" in one["text"] for one in server.replies()] == [False, False, True]


def test_a_page_stays_open_until_its_stage_works_again() -> None:
    with running(ChatServer()) as server:
        bureau = Bureau(senders=[])
        bureau.senders.append(pagerduty(server, bureau))
        bureau.tell(sample("stage-failed"), with_queue=False)
        assert server.open_pages == {"123456789012/us-east-1/shop-pipeline-main/Build"}
        other = {**sample("stage-succeeded"), "time": "2026-11-24T09:30:00Z"}
        bureau.tell(other)
        assert len(server.open_pages) == 1
        mended = sample("stage-succeeded", stage="Build", execution_id="another")
        bureau.tell({**mended, "time": "2026-11-24T09:30:00Z"})
        assert server.open_pages == set()
        assert len(server.pages) == 2


def test_a_success_from_before_a_failure_leaves_its_page_open() -> None:
    with running(ChatServer()) as server:
        bureau = Bureau(senders=[])
        bureau.senders.append(pagerduty(server, bureau))
        bureau.tell(sample("stage-failed"), with_queue=False)
        earlier = sample("stage-succeeded", stage="Build", execution_id="another")
        bureau.tell({**earlier, "time": "2026-11-24T08:00:00Z"})
        assert len(server.open_pages) == 1


def test_a_page_that_a_refused_rollback_opened_is_ended_by_the_stage_too() -> None:
    with running(ChatServer()) as server:
        bureau = Bureau(senders=[])
        bureau.senders.append(pagerduty(server, bureau))
        bureau.tell(sample("rollback-refused"))
        prod = "123456789012/us-east-1/shop-pipeline-main/DeployToProd"
        assert server.open_pages == {f"{prod}/rollback"}
        mended = sample("stage-succeeded", stage="DeployToProd", execution_id="another")
        bureau.tell({**mended, "time": "2026-11-24T11:00:00Z"})
        assert server.open_pages == set()


def test_a_released_pipeline_ends_every_page_that_was_opened_before_it() -> None:
    with running(ChatServer()) as server:
        bureau = Bureau(senders=[])
        bureau.senders.append(pagerduty(server, bureau))
        for stage in ("Build", "DeployToDev"):
            failed = sample("stage-failed", stage=stage, execution_id=f"run-{stage}")
            bureau.tell(failed, with_queue=False)
        late = {**sample("stage-failed", stage="DeployToProd", execution_id="run-late")}
        bureau.tell({**late, "time": "2026-11-24T12:00:00Z"}, with_queue=False)
        bureau.tell(sample("pipeline-succeeded"))
        assert server.open_pages == {"123456789012/us-east-1/shop-pipeline-main/DeployToProd"}


def test_the_webhooks_receiver_can_check_who_sent_it_and_when() -> None:
    with running(ChatServer()) as server:
        bureau = Bureau(senders=[])
        bureau.senders.append(webhook(server, bureau))
        bureau.tell(sample("approval-requested"))
        ((headers, body),) = server.signatures
        timestamp, delivery = headers["X-Trellis-Timestamp"], headers["X-Trellis-Delivery"]
        assert timestamp == str(int(bureau.clock.seconds()))
        signed = f"v1:{timestamp}:{delivery}:".encode() + body
        expected = hmac.new(KEY.encode(), signed, hashlib.sha256).hexdigest()
        assert headers["X-Trellis-Signature"] == f"v1={expected}"


def test_the_webhooks_retry_carries_the_same_delivery_id() -> None:
    with running(ChatServer(["taken"])) as server:
        bureau = Bureau(senders=[])
        bureau.senders.append(webhook(server, bureau))
        tell_until_told(bureau, sample("approval-requested"))
        assert len(server.signatures) == 2
        assert len({headers["X-Trellis-Delivery"] for headers, _ in server.signatures}) == 1


@pytest.mark.parametrize(
    ("mood", "error"),
    [("429", RefusedError), ("500", UncertainError), ("lost", UncertainError)],
)
def test_what_a_post_ended_in_is_named_after_what_is_known(
    mood: str, error: type[Exception]
) -> None:
    with running(ChatServer([mood])) as server, pytest.raises(error):
        post(f"{server.url}/hook", b"{}", {})


def test_nobody_listening_is_a_refusal() -> None:
    with pytest.raises(RefusedError, match="was not reached"):
        post("http://127.0.0.1:9/hook", b"{}", {})


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("http://127.0.0.1:PORT/secret", {}),
        ("http://[127.0.0.1]/secret", {}),
        ("http://127.0.0.1:{port}/secret/…", {}),
        ("http://127.0.0.1:{port}/secret here", {}),
        ("http://127.0.0.1:{port}/", {"Authorization": "Bearer secret…"}),
        ("http://127.0.0.1:{port}/", {"Authorization": "Bearer secret\n"}),
        ("http://a..b/secret", {}),
    ],
)
def test_what_cannot_be_sent_is_refused_without_quoting_it(
    url: str, headers: dict[str, str]
) -> None:
    with running(ChatServer()) as server, pytest.raises(RefusedError) as refused:
        post(url.replace("{port}", server.url.rpartition(":")[2]), b"{}", headers)
    assert "secret" not in str(refused.value)
    assert refused.value.__suppress_context__ or "secret" not in str(refused.value.__cause__)


def test_a_channel_that_is_set_up_wrongly_keeps_no_other_from_its_message() -> None:
    pager = Recorder(Channel.PAGERDUTY, knows_repeats=True)
    bureau = Bureau(senders=[Recorder(), Teams("https://example.com:PORT/x", post), pager])
    with pytest.raises(DeliveryError):
        bureau.tell(sample("alarm-on"))
    assert [len(one.sent) for one in (bureau.senders[0], pager)] == [1, 1]


def test_a_retry_after_may_be_a_date() -> None:
    with running(ChatServer(["429"], retry_after="Wed, 21 Oct 2065 07:28:00 GMT")) as server:
        with pytest.raises(RefusedError) as caught:
            post(f"{server.url}/hook", b"{}", {})
        assert caught.value.retry_after is not None
        assert caught.value.retry_after > 1e6
    with running(ChatServer(["429"], retry_after="soon")) as server:
        with pytest.raises(RefusedError) as caught:
            post(f"{server.url}/hook", b"{}", {})
        assert caught.value.retry_after is None
