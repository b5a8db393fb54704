"""The logger: what it costs to import, and that nothing of Powertools is lost by it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from trellis.observability import count, measure, metrics


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{code}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()


def test_jmespath_is_not_imported_with_the_logger() -> None:
    code = "import trellis.observability\nprint(sorted({'jmespath'} & set(sys.modules)))"
    assert run(code) == "[]"


def test_jmespath_is_there_when_it_is_asked_for() -> None:
    code = (
        "import trellis.observability\n"
        "from aws_lambda_powertools.utilities import jmespath_utils\n"
        "print(jmespath_utils.query(data={'a': {'b': 7}}, envelope='a.b'))\n"
        "from aws_lambda_powertools.utilities.jmespath_utils import query\n"
        "print(query(data={'a': 8}, envelope='a'))"
    )
    assert run(code) == "7\n8"


def test_a_correlation_id_is_still_found() -> None:
    code = (
        "from trellis.observability import logger\n"
        "logger.setLevel('CRITICAL')\n"
        "tell = logger.inject_lambda_context(lambda event, context: None, "
        "correlation_id_path='detail.id')\n"
        "class C: function_name = memory_limit_in_mb = aws_request_id = 'x'; "
        "invoked_function_arn = 'x'\n"
        "tell({'detail': {'id': 'abc'}}, C())\n"
        "print(logger.get_correlation_id())"
    )
    assert run(code) == "abc"


def test_what_is_measured_at_once_is_one_line_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    count("EventsHandled")
    measure(
        {"service": "rollback", "environment": "shop-prod-main"},
        {"LeadTimeSeconds": ("Seconds", 12.5)},
    )
    line = json.loads(capsys.readouterr().out)
    assert line["LeadTimeSeconds"] == [12.5]
    assert (line["service"], line["environment"]) == ("rollback", "shop-prod-main")
    described = line["_aws"]["CloudWatchMetrics"][0]
    assert described["Namespace"] == "Trellis"
    assert sorted(described["Dimensions"][0]) == ["environment", "service"]
    assert "EventsHandled" not in line
    metrics.clear_metrics()
