"""The journal that DescribeEvents reads, and the form of events on EventBridge."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sandbox.elasticbeanstalk.events import KEPT, Journal, PageError, Wanted, detail

NOW = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)


def journal(*severities: str) -> Journal:
    made = Journal()
    for number, severity in enumerate(severities):
        made.add(NOW + timedelta(seconds=number), severity, f"event {number}", "shop")
    return made


def messages(made: Journal, wanted: Wanted, size: int = 100) -> list[str]:
    return [event.message for event in made.page(wanted, NOW, size, None)[0]]


def test_newest_first_with_whole_milliseconds() -> None:
    page, token = journal("INFO", "WARN").page(Wanted(), NOW, 100, None)
    assert [event.message for event in page] == ["event 1", "event 0"]
    assert page[1].at == NOW.replace(microsecond=123000)
    assert token is None


def test_severity_is_the_lowest_wanted() -> None:
    made = journal("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
    assert messages(made, Wanted(severity="WARN")) == ["event 5", "event 4", "event 3"]


def test_start_is_included_and_end_is_not() -> None:
    made = journal("INFO", "INFO", "INFO")
    start = NOW.replace(microsecond=123000) + timedelta(seconds=1)
    assert messages(made, Wanted(start=start)) == ["event 2", "event 1"]
    assert messages(made, Wanted(end=start)) == ["event 0"]


def test_pages_are_not_shifted_by_what_comes_meanwhile() -> None:
    made = journal("INFO", "INFO", "INFO")
    page, token = made.page(Wanted(), NOW, 2, None)
    made.add(NOW, "INFO", "late", "shop")
    rest, end = made.page(Wanted(), NOW, 2, token)
    assert [event.message for event in [*page, *rest]] == ["event 2", "event 1", "event 0"]
    assert end is None


@pytest.mark.parametrize("token", ["nonsense", "aXRlbXMvMw==", "ZXZlbnRzL3g="])
def test_a_made_up_token_is_refused(token: str) -> None:
    with pytest.raises(PageError):
        journal("INFO").page(Wanted(), NOW, 2, token)


def test_events_are_forgotten_after_six_weeks() -> None:
    made = journal("INFO")
    later = NOW + KEPT
    assert len(made.page(Wanted(), later - timedelta(seconds=1), 10, None)[0]) == 1
    assert made.page(Wanted(), later + timedelta(seconds=1), 10, None)[0] == []


def test_the_form_on_eventbridge() -> None:
    message = "createEnvironment is starting."
    assert detail("Environment creation started", "INFO", message, "shop", "shop-dev", NOW) == {
        "Status": "Environment creation started",
        "EventDate": int(NOW.timestamp() * 1000),
        "ApplicationName": "shop",
        "Message": message,
        "EnvironmentName": "shop-dev",
        "Severity": "INFO",
    }
