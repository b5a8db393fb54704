"""What opens and ends a page, and what was bad and is well again, in whatever order it comes."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from notify.channels.pagerduty import render
from notify.deliver import Delivery, DeliveryError, RefusedError
from notify.notice import Notice, Severity
from notify.parcel import Parcel
from notify.recognise import recognise
from notify.route import Channel
from notify.workflow import tell
from tests.unit.notify.bureau import Bureau, Recorder
from tests.unit.notify.runs import DENIED, Pipeline
from tests.unit.notify.samples import sample
from trellis.errors import ConfigError

PLACE = "123456789012/us-east-1"
PROD = f"{PLACE}/shop-pipeline-main/DeployToProd"


class Pager(Recorder):
    """PagerDuty: a trigger opens an incident or joins an open one, a resolve ends it."""

    def __init__(self, script: list[Exception | None] | None = None) -> None:
        super().__init__(Channel.PAGERDUTY, knows_repeats=True, script=script)
        self.open: set[str] = set()
        self.opened: list[str] = []

    def send(self, notice: Notice, delivery: Delivery) -> str:
        sent = super().send(notice, delivery)
        for event in render(notice):
            match event.get("event_action"):
                case "trigger":
                    self.open.add(event["dedup_key"])
                    self.opened.append(event["dedup_key"])
                case "resolve":
                    self.open.discard(event["dedup_key"])
        return sent


def office(pager: Pager) -> Bureau:
    return Bureau(senders=[Recorder(), pager])


def at(clock: str, event: dict[str, Any]) -> dict[str, Any]:
    event["time"] = f"2026-11-24T{clock}Z"
    return event


def alarm(state: str, before: str, clock: str) -> dict[str, Any]:
    event = at(clock, sample("alarm-on"))
    event["detail"]["state"]["value"] = state
    event["detail"]["previousState"]["value"] = before
    return event


def health(words: str, minute: int) -> dict[str, Any]:
    event = sample("health-severe")
    event["detail"]["Message"] = f"Environment health has transitioned from {words}."
    event["detail"]["EventDate"] = 1795511100000 + 60_000 * minute
    return event


def stage(state: str, execution: str, clock: str) -> dict[str, Any]:
    name = "stage-failed" if state == "FAILED" else "stage-succeeded"
    return at(clock, sample(name, stage="DeployToProd", execution_id=execution))


def rollback(name: str, clock: str) -> dict[str, Any]:
    moment = f"2026-11-24T{clock}+00:00"
    return at(clock, sample(name, at=moment))


@pytest.mark.parametrize("name", ["rollback-failed", "rollback-refused", "rollback-held"])
def test_a_rollback_that_needs_a_person_pages_beside_the_failed_stage(name: str) -> None:
    pager = Pager()
    bureau = office(pager)
    bureau.tell(stage("FAILED", "one", "09:05:00"), with_queue=False)
    bureau.tell(rollback(name, "09:10:00"))
    assert pager.open == {PROD, f"{PROD}/rollback"}
    bureau.tell(stage("SUCCEEDED", "two", "09:40:00"))
    assert pager.open == set()


def test_a_rollback_that_is_done_after_all_ends_its_own_page_only() -> None:
    pager = Pager()
    bureau = office(pager)
    bureau.tell(stage("FAILED", "one", "09:05:00"), with_queue=False)
    bureau.tell(rollback("rollback-held", "09:10:00"))
    bureau.tell(rollback("rollback-succeeded", "09:20:00"))
    assert pager.open == {PROD}


CONDITIONS = {
    "an alarm": [alarm("ALARM", "OK", "09:05:00"), alarm("OK", "ALARM", "09:06:00")],
    "an environment": [health("Ok to Severe", 0), health("Severe to Ok", 1)],
    "a stage": [stage("FAILED", "one", "09:05:00"), stage("SUCCEEDED", "two", "09:06:00")],
    "a rollback": [
        rollback("rollback-held", "09:05:00"),
        rollback("rollback-succeeded", "09:06:00"),
    ],
    "a rollback, and its stage": [
        rollback("rollback-failed", "09:05:00"),
        stage("SUCCEEDED", "two", "09:06:00"),
    ],
}


@pytest.mark.parametrize("events", CONDITIONS.values(), ids=CONDITIONS)
def test_what_is_heard_of_after_its_end_pages_nobody(events: list[dict[str, Any]]) -> None:
    pager = Pager()
    bureau = office(pager)
    for event in reversed(events):
        bureau.tell(event, with_queue=False)
    assert pager.opened == []
    assert len(bureau.senders[0].sent) >= 1


@pytest.mark.parametrize("events", CONDITIONS.values(), ids=CONDITIONS)
def test_a_trigger_that_is_sent_again_after_its_end_pages_nobody(
    events: list[dict[str, Any]],
) -> None:
    pager = Pager([RefusedError("429", 600.0)])
    bureau = office(pager)
    bureau.queue.put({**events[0], "trellis-deferred": "once"})
    bureau.queue.put(events[1], 60)
    bureau.work()
    assert (pager.opened, pager.open) == ([], set())


@pytest.mark.parametrize("events", CONDITIONS.values(), ids=CONDITIONS)
def test_an_end_that_is_sent_while_the_trigger_is_on_its_way_ends_it(
    events: list[dict[str, Any]],
) -> None:
    class Slow(Pager):
        def send(self, notice: Notice, delivery: Delivery) -> str:
            if not self.deliveries:
                self.deliveries.append(delivery)
                bureau.tell(events[1], with_queue=False)
            return super().send(notice, delivery)

    pager = Slow()
    bureau = office(pager)
    bureau.tell(events[0], with_queue=False)
    assert len(pager.opened) == 1
    assert pager.open == set()


@pytest.mark.parametrize("events", CONDITIONS.values(), ids=CONDITIONS)
def test_a_late_end_leaves_a_newer_page_open(events: list[dict[str, Any]]) -> None:
    pager = Pager()
    bureau = office(pager)
    opening, ending = events
    newer = {**opening, "time": "2026-11-24T10:00:00Z", "detail": {**opening["detail"]}}
    newer["detail"] |= {"execution-id": "three", "watch-id": "three"}
    if "EventDate" in newer["detail"]:
        newer["detail"]["EventDate"] += 3_600_000
    if "at" in newer["detail"]:
        newer["detail"]["at"] = "2026-11-24T10:00:00+00:00"
    for event in (opening, newer, ending):
        bureau.tell(event, with_queue=False)
    assert len(pager.open) == 1


def test_an_older_failure_does_not_make_a_page_look_older() -> None:
    pager = Pager()
    bureau = office(pager)
    bureau.tell(stage("FAILED", "three", "10:00:00"), with_queue=False)
    bureau.tell(stage("FAILED", "one", "09:05:00"), with_queue=False)
    bureau.tell(stage("SUCCEEDED", "two", "09:30:00"))
    assert pager.open == {PROD}


def test_a_released_pipeline_ends_the_page_of_a_failure_without_a_stage() -> None:
    failed = sample("pipeline-failed", execution_id="one")
    for events in permutations(
        [at("09:05:00", failed), at("09:30:00", sample("pipeline-succeeded"))]
    ):
        pager = Pager()
        bureau = office(pager)
        bureau.pipeline = Pipeline(DENIED)
        for event in events:
            bureau.tell(event, with_queue=False)
        assert pager.open == set()


@pytest.mark.parametrize("between", ["Info", "Pending", "Unknown"])
def test_an_environment_that_recovers_step_by_step_is_told_to_be_healthy_again(
    between: str,
) -> None:
    bureau = Bureau()
    told = bureau.senders[0]
    bureau.tell(health("Ok to Severe", 0))
    bureau.tell(health(f"Severe to {between}", 1))
    for _ in range(2):
        bureau.tell(health(f"{between} to Ok", 2))
    assert told.headlines[1:] == ["shop-prod-main (us-east-1) is healthy again"]
    bureau.tell(health("Ok to Info", 3))
    bureau.tell(health("Info to Ok", 4))
    assert len(told.sent) == 2


def test_a_recovery_that_one_channel_does_not_have_yet_is_told_there_too() -> None:
    late = Recorder(Channel.SLACK, script=[None, RefusedError("429", 60.0)])
    bureau = Bureau(senders=[Recorder(), late])
    for minute, words in enumerate(("Ok to Severe", "Severe to Info", "Info to Ok")):
        bureau.queue.put(health(words, minute), 600 * minute)
    bureau.work()
    assert [sender.headlines[-1] for sender in bureau.senders] == [
        "shop-prod-main (us-east-1) is healthy again"
    ] * 2


def test_an_alarm_that_is_ok_after_missing_data_is_told_to_be_over() -> None:
    bureau = Bureau()
    bureau.tell(alarm("ALARM", "OK", "09:05:00"))
    bureau.tell(alarm("INSUFFICIENT_DATA", "ALARM", "09:06:00"))
    bureau.tell(alarm("OK", "INSUFFICIENT_DATA", "09:07:00"))
    assert bureau.senders[0].headlines[1:] == [
        "Alarm over: shop-prod-health-main (us-east-1) is OK again"
    ]
    bureau.tell(alarm("INSUFFICIENT_DATA", "OK", "09:08:00"))
    bureau.tell(alarm("OK", "INSUFFICIENT_DATA", "09:09:00"))
    assert len(bureau.senders[0].sent) == 2


def test_an_environment_and_the_alarm_on_its_health_are_one_incident() -> None:
    pager = Pager()
    bureau = office(pager)
    bureau.tell(health("Ok to Severe", 0))
    bureau.tell(alarm("ALARM", "OK", "09:08:00"))
    assert pager.open == {f"{PLACE}/shop-prod-main/health"}
    bureau.tell(health("Severe to Ok", 10))
    assert pager.open == set()


def tell_without_pager(bureau: Bureau, event: dict[str, Any]) -> None:
    """As it is told while the chat secret cannot be read."""
    office = replace(
        bureau.office(with_queue=False),
        senders=[one for one in bureau.senders if one.channel is Channel.EMAIL],
        problem=ConfigError("CHAT_SECRET_ARN", "(hidden)", "make the secret a JSON object"),
    )
    tell(recognise(event), Parcel(content=event), office)


@pytest.mark.parametrize("routes", ["", "critical=pagerduty error=pagerduty"])
@pytest.mark.parametrize("events", CONDITIONS.values(), ids=CONDITIONS)
def test_the_end_of_a_page_waits_for_a_pager_that_cannot_be_set_up(
    events: list[dict[str, Any]], routes: str
) -> None:
    pager = Pager()
    bureau = Bureau(senders=[Recorder(), pager], routes=routes)
    opening, ending = events
    bureau.tell(opening, with_queue=False)
    assert len(pager.open) == 1
    for _ in range(2):
        with pytest.raises(DeliveryError, match="pagerduty"):
            tell_without_pager(bureau, ending)
    mails = list(bureau.senders[0].sent)
    bureau.tell(ending, with_queue=False)
    assert pager.open == set()
    assert bureau.senders[0].sent == mails


@pytest.mark.parametrize("events", CONDITIONS.values(), ids=CONDITIONS)
def test_a_page_that_waits_for_its_pager_is_not_opened_after_its_end(
    events: list[dict[str, Any]],
) -> None:
    pager = Pager()
    bureau = Bureau(senders=[Recorder(), pager], routes="critical=pagerduty error=pagerduty")
    for event in events:
        with pytest.raises(DeliveryError):
            tell_without_pager(bureau, event)
    for event in events:
        bureau.tell(event, with_queue=False)
    assert pager.open == set()
    assert pager.opened == []


@pytest.mark.parametrize(
    "event",
    [stage("SUCCEEDED", "two", "09:06:00"), health("Info to Ok", 1), alarm("OK", "OK", "09:06:00")],
    ids=["a stage", "an environment", "an alarm"],
)
def test_what_ends_no_page_does_not_wait_for_a_pager(event: dict[str, Any]) -> None:
    bureau = office(Pager())
    for _ in range(2):
        tell_without_pager(bureau, event)


class Away(Recorder):
    """A channel that cannot be reached until a time."""

    def __init__(self, bureau: Bureau, seconds: float) -> None:
        super().__init__(Channel.SLACK, knows_repeats=True)
        self._clock, self._back = bureau.clock, bureau.clock.seconds() + seconds

    def send(self, notice: Notice, delivery: Delivery) -> str:
        if self._clock.seconds() < self._back:
            raise RefusedError("503", 400.0)
        return super().send(notice, delivery)


OVER = {
    "an alarm": (
        [alarm("ALARM", "OK", "09:05:00"), alarm("OK", "ALARM", "09:10:00")],
        "Alarm over: shop-prod-health-main (us-east-1) went off at 09:05, is OK since 09:10 UTC",
    ),
    "an environment": (
        [health("Ok to Severe", 0), health("Info to Ok", 5)],
        "shop-prod-main (us-east-1) was Severe at 09:05, is Ok since 09:10 UTC",
    ),
    "an environment without data": (
        [health("Ok to No Data", 0), health("No Data to Ok", 5)],
        "shop-prod-main (us-east-1) sent no health data at 09:05, is Ok since 09:10 UTC",
    ),
}


@pytest.mark.parametrize(("events", "headline"), OVER.values(), ids=OVER)
def test_what_was_bad_is_not_told_to_be_bad_after_it_was_told_to_be_over(
    events: list[dict[str, Any]], headline: str
) -> None:
    bureau = Bureau()
    slack = Away(bureau, 350)
    bureau.senders = [Recorder(), slack]
    bureau.queue.put(events[0])
    bureau.queue.put(events[1], 360)
    bureau.work()
    assert len(slack.sent) == 2
    assert slack.headlines[-1] == headline
    late = slack.sent[-1]
    assert (late.severity, late.state, late.incident) == (Severity.SUCCESS, "OK", None)
    assert late.next_steps == ()
    assert headline not in bureau.senders[0].headlines


@pytest.mark.parametrize(("events", "headline"), OVER.values(), ids=OVER)
def test_what_is_over_is_not_told_to_be_bad_while_that_waits_for_its_channel(
    events: list[dict[str, Any]], headline: str
) -> None:
    bureau = Bureau()
    slack = Away(bureau, 1000)
    bureau.senders = [slack]
    for event in events:
        with pytest.raises(DeliveryError):
            bureau.tell(event)
    bureau.clock.pass_(1000)
    for event in events:
        bureau.tell(event)
    assert slack.headlines[0] == headline
    assert slack.sent[-1].severity is Severity.SUCCESS


@pytest.mark.parametrize(("events", "headline"), OVER.values(), ids=OVER)
def test_bad_that_is_heard_of_only_when_it_is_over_is_told_to_be_over(
    events: list[dict[str, Any]], headline: str
) -> None:
    bureau = Bureau(routes="error=email warning=email success=none")
    for event in (health("Info to Ok", 5), alarm("OK", "OK", "09:10:00"), events[0], events[0]):
        bureau.tell(event)
    assert bureau.senders[0].headlines == [headline]


def test_an_older_bad_does_not_hide_that_it_is_bad_again() -> None:
    bureau = Bureau()
    for event in (health("Info to Ok", 5), health("Ok to Severe", 9), health("Ok to Severe", 0)):
        bureau.tell(event)
    late = bureau.senders[0].sent[-1]
    assert late.headline == (
        "shop-prod-main (us-east-1) was Severe at 09:05, was Ok at 09:10 UTC, and is not well again"
    )
    assert (late.severity, late.incident) == (Severity.WARNING, None)


def test_a_dead_letter_of_another_day_names_the_day() -> None:
    bureau = Bureau()
    for event in (health("Info to Ok", 1440), health("Ok to Severe", 0)):
        bureau.tell(event)
    assert bureau.senders[0].headlines == [
        "shop-prod-main (us-east-1) was Severe at 24 Nov 2026, 09:05 UTC, "
        "is Ok since 25 Nov 2026, 09:05 UTC"
    ]


def test_an_approval_that_was_overdue_is_not_asked_for_once_it_is_answered() -> None:
    bureau = Bureau()
    answered = at("09:10:00", sample("alarm-approval-answered"))
    waits = at("09:05:00", sample("alarm-approval-waits"))
    bureau.tell(answered)
    bureau.tell(waits)
    late = bureau.senders[0].sent[-1]
    assert late.headline == (
        "An approval was overdue at 09:05 in shop-pipeline-main (us-east-1), "
        "none is since 09:10 UTC"
    )
    assert late.next_steps == ()
    assert late.severity is not Severity.ACTION


HEALTH_PAGE = f"{PLACE}/shop-prod-main/health"
NO_DATA = (
    "Threshold Crossed: no datapoints were received for 5 periods and 5 missing datapoints were "
    "treated as [NonBreaching]."
)
GREY = (
    "Threshold Crossed: 3 out of the last 5 datapoints [10.0 (24/11/26 09:12:00), 10.0 (24/11/26 "
    "09:11:00), 10.0 (24/11/26 09:10:00)] were not greater than or equal to the threshold (20.0) "
    "(minimum 3 datapoints for ALARM -> OK transition)."
)
GREEN = GREY.replace("10.0 (", "0.0 (")


def over_because(reason: str, clock: str = "09:13:00") -> dict[str, Any]:
    event = alarm("OK", "ALARM", clock)
    event["detail"]["state"]["reason"] = reason
    return event


@pytest.mark.parametrize("reason", [NO_DATA, GREY])
def test_silence_ends_no_page_of_an_environment_that_was_not_well(reason: str) -> None:
    pager = Pager()
    bureau = office(pager)
    for event in (health("Ok to Severe", 0), alarm("ALARM", "OK", "09:08:00")):
        bureau.tell(event)
    for event in (health("Severe to No Data", 5), over_because(reason)):
        bureau.tell(event)
    assert pager.open == {HEALTH_PAGE}
    last = bureau.senders[0].sent[-1]
    assert last.headline == (
        "Alarm without data: shop-prod-health-main (us-east-1) is OK, but shop-prod-main was not "
        "well when it was last heard of"
    )
    assert last.severity is Severity.WARNING
    bureau.tell(health("No Data to Ok", 30))
    assert pager.open == set()


def test_the_silence_of_the_metric_alone_ends_no_page_either() -> None:
    pager = Pager()
    bureau = office(pager)
    bureau.tell(health("Ok to Degraded", 0))
    bureau.tell(over_because(NO_DATA))
    assert pager.open == {HEALTH_PAGE}


def test_data_end_the_page_of_an_environment_whose_recovery_was_not_told() -> None:
    pager = Pager()
    bureau = office(pager)
    for event in (health("Ok to Severe", 0), over_because(GREEN)):
        bureau.tell(event)
    assert pager.open == set()


@pytest.mark.parametrize(
    "before", [[], [health("Severe to Ok", 5)]], ids=["nothing known", "known to be well"]
)
def test_the_alarm_ends_its_page_where_the_environment_is_not_known_to_be_bad(
    before: list[dict[str, Any]],
) -> None:
    pager = Pager()
    bureau = office(pager)
    for event in (*before, alarm("ALARM", "OK", "09:11:00")):
        bureau.tell(event)
    assert pager.open == {HEALTH_PAGE}
    bureau.tell(over_because(NO_DATA))
    assert pager.open == set()
