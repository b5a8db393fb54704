"""The log and the counters: lines that CloudWatch, and those who know Powertools, can read."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from trellis.observability import NAMESPACE, Logger, Metrics, measure


@pytest.fixture(autouse=True)
def _service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "notify")
    monkeypatch.delenv("POWERTOOLS_LOG_LEVEL", raising=False)
    monkeypatch.delenv("_X_AMZN_TRACE_ID", raising=False)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.split("\n")[:-1]]


def test_a_decision_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    Logger().info(
        "judged", pipeline="shop", channels=["email"], at=datetime(2026, 1, 2, tzinfo=UTC)
    )
    (line,) = lines(capsys)
    written = datetime.fromisoformat(line.pop("timestamp"))
    assert abs(datetime.now(UTC) - written) < timedelta(minutes=1)
    assert line.pop("location").startswith("test_a_decision_is_one_line:")
    assert line == {
        "level": "INFO",
        "message": "judged",
        "service": "notify",
        "pipeline": "shop",
        "channels": ["email"],
        "at": "2026-01-02 00:00:00+00:00",
    }


def test_text_of_several_lines_and_of_any_script_stays_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Logger().warning("a\nb", reason="Grüße\r\n\u2028\U0001f680")
    (line,) = lines(capsys)
    assert (line["message"], line["reason"]) == ("a\nb", "Grüße\r\n\u2028\U0001f680")


def test_half_a_character_does_not_stop_the_work() -> None:
    code = (
        f"import sys; sys.path[:0] = {sys.path!r}\n"
        "from trellis.observability import Logger\n"
        "Logger().info('x', reason='cut in the middle: \\ud83d')"
    )
    written = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert json.loads(written)["reason"] == "cut in the middle: \ud83d"


def test_an_exception_is_told_with_where_it_came_from(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError("no such stage")
    except ValueError:
        Logger().exception("not told", message_id="1")
    (line,) = lines(capsys)
    assert (line["level"], line["message_id"], line["exception_name"]) == (
        "ERROR",
        "1",
        "ValueError",
    )
    assert line["exception"].endswith("ValueError: no such stage")
    assert 'raise ValueError("no such stage")' in line["exception"]


@pytest.mark.parametrize(
    ("least", "written"),
    [
        ("DEBUG", ["DEBUG", "INFO", "WARNING", "ERROR"]),
        ("info", ["INFO", "WARNING", "ERROR"]),
        ("ERROR", ["ERROR"]),
        ("CRITICAL", []),
        ("LOUD", ["INFO", "WARNING", "ERROR"]),
    ],
)
def test_the_level_is_the_one_that_the_stack_is_set_to(
    least: str,
    written: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("POWERTOOLS_LOG_LEVEL", least)
    logger = Logger()
    for say in (logger.debug, logger.info, logger.warning, logger.error):
        say("x")
    assert [line["level"] for line in lines(capsys)] == written


def test_a_line_leads_to_its_trace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "Root=1-5759e988-bd862e3f;Parent=5;Sampled=1")
    Logger().info("x")
    assert lines(capsys)[0]["xray_trace_id"] == "1-5759e988-bd862e3f"


def plain(line: dict[str, Any]) -> dict[str, Any]:
    """A line of metrics without its time and without an order that means nothing."""
    line["_aws"].pop("Timestamp")
    for directive in line["_aws"]["CloudWatchMetrics"]:
        directive["Dimensions"] = [sorted(names) for names in directive["Dimensions"]]
    return line


def test_counters_are_written_as_powertools_writes_them(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ours, theirs = Metrics(), EphemeralMetrics(namespace=NAMESPACE, service="notify")
    theirs.add_dimension(name="stack", value="shop-main")
    ours.add_dimension("stack", "shop-main")
    for name, value in (("EventsHandled", 3), ("MessagesSent", 1), ("EventsHandled", 2)):
        theirs.add_metric(name=name, unit=MetricUnit.Count, value=value)
        ours.add_metric(name, "Count", value)
    theirs.flush_metrics()
    ours.flush_metrics()
    first, second = lines(capsys)
    assert plain(second) == plain(first)


def test_what_is_measured_at_once_is_written_as_powertools_writes_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    theirs = EphemeralMetrics(namespace=NAMESPACE, service="rollback")
    theirs.add_dimension(name="environment", value="shop-prod-main")
    theirs.add_metric(name="LeadTimeSeconds", unit=MetricUnit.Seconds, value=12.5)
    theirs.flush_metrics()
    measure(
        {"environment": "shop-prod-main", "service": "rollback"},
        {"LeadTimeSeconds": ("Seconds", 12.5)},
    )
    first, second = lines(capsys)
    assert plain(second) == plain(first)


def test_each_invocation_begins_with_nothing_counted(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = Metrics()
    metrics.flush_metrics()
    metrics.add_dimension("stack", "a")
    metrics.add_metric("EventsHandled", "Count", 1)
    metrics.flush_metrics()
    metrics.add_metric("EventsHandled", "Count", 1)
    metrics.flush_metrics()
    first, second = lines(capsys)
    assert first["stack"] == "a"
    assert "stack" not in second
    assert first["EventsHandled"] == second["EventsHandled"] == [1.0]


def test_no_line_holds_more_metrics_than_cloudwatch_takes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    metrics = Metrics()
    for number in range(150):
        metrics.add_metric(f"metric-{number}", "Count", number)
    metrics.flush_metrics()
    named = [
        {one["Name"] for one in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]}
        for line in lines(capsys)
    ]
    assert [len(names) for names in named] == [100, 50]
    assert len(set().union(*named)) == 150
