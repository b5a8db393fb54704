"""The one log and the one set of counters of a function, as lines that CloudWatch reads.

A line per decision, never an event dump: CodePipeline's job events carry credentials. The lines
are those of Powertools' Logger and Metrics, and so are the variables that set them up
(POWERTOOLS_SERVICE_NAME, POWERTOOLS_LOG_LEVEL), but Powertools itself is not imported: it costs
a cold start more than all that an ignored event needs beside it
(docs/decisions/0031-what-a-cold-start-loads.md). No Tracer either: that costs three times as much.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from typing import Any

NAMESPACE = "Trellis"
"""Where the counters of all functions stand in CloudWatch; the dashboard looks there."""

_LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40, "CRITICAL": 50}
_MOST_METRICS = 100
"""In one line of the embedded metric format; CloudWatch drops what is more."""


class Logger:
    """Writes a decision as one JSON object on one line; the fields are the caller's."""

    def debug(self, message: str, **fields: object) -> None:
        """Say what only a search for a fault needs."""
        self._write("DEBUG", message, fields)

    def info(self, message: str, **fields: object) -> None:
        """Say what was decided."""
        self._write("INFO", message, fields)

    def warning(self, message: str, **fields: object) -> None:
        """Say what went wrong without harm."""
        self._write("WARNING", message, fields)

    def error(self, message: str, **fields: object) -> None:
        """Say what went wrong."""
        self._write("ERROR", message, fields)

    def exception(self, message: str, **fields: object) -> None:
        """Say what went wrong, with the exception that is being handled."""
        import traceback

        kind, error, where = sys.exc_info()
        raised = {
            "exception": "".join(traceback.format_exception(kind, error, where)).rstrip(),
            "exception_name": kind.__name__ if kind else None,
        }
        self._write("ERROR", message, {**fields, **raised})

    def _write(self, level: str, message: str, fields: Mapping[str, object]) -> None:
        least = _LEVELS.get(os.environ.get("POWERTOOLS_LOG_LEVEL", "INFO").upper(), 20)
        if _LEVELS[level] < least:
            return
        caller = sys._getframe(2)
        line = {
            "level": level,
            "location": f"{caller.f_code.co_name}:{caller.f_lineno}",
            "message": message,
            "timestamp": _now(),
            "service": _service(),
            **fields,
        }
        # Set by Lambda for each invocation: Root=<id>;Parent=…;Sampled=…
        root = os.environ.get("_X_AMZN_TRACE_ID", "").partition(";")[0].removeprefix("Root=")
        _print({**line, "xray_trace_id": root} if root else line)


class Metrics:
    """Counters, added up until the invocation ends."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[str, list[float]]] = {}
        self._dimensions: dict[str, str] = {}

    def add_metric(self, name: str, unit: str, value: float) -> None:
        """Add a value; a name has one unit."""
        self._values.setdefault(name, (unit, []))[1].append(float(value))
        if len(self._values) == _MOST_METRICS:
            self.flush_metrics()

    def add_dimension(self, name: str, value: str) -> None:
        """Tell this invocation's counters apart by one more dimension beside the service."""
        self._dimensions[name] = value

    def flush_metrics(self) -> None:
        """Write what was counted, if anything was, and begin again."""
        values, dimensions = self._values, self._dimensions
        self._values, self._dimensions = {}, {}
        if values:
            _embed(values, {**dimensions, "service": _service()})


logger = Logger()
metrics = Metrics()


def count(name: str, value: int = 1) -> None:
    """Add to a counter of this invocation; it is written out as EMF when the invocation ends."""
    metrics.add_metric(name=name, unit="Count", value=value)


def measure(dimensions: Mapping[str, str], values: Mapping[str, tuple[str, float]]) -> None:
    """Write metrics at once, apart from those of the invocation: each a unit and a value."""
    _embed({name: (unit, [float(value)]) for name, (unit, value) in values.items()}, dimensions)


def _embed(values: Mapping[str, tuple[str, list[float]]], dimensions: Mapping[str, str]) -> None:
    """One line in the embedded metric format.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    described = [{"Name": name, "Unit": unit} for name, (unit, _) in values.items()]
    envelope = {
        "Timestamp": int(time.time() * 1000),
        "CloudWatchMetrics": [
            {"Namespace": NAMESPACE, "Dimensions": [list(dimensions)], "Metrics": described}
        ],
    }
    _print({"_aws": envelope, **dimensions, **{name: found for name, (_, found) in values.items()}})


def _now() -> str:
    """ISO 8601 in UTC, without the date library, which an ignored event has no other use for."""
    seconds, milliseconds = divmod(time.time_ns() // 1_000_000, 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{milliseconds:03d}+00:00"


def _service() -> str:
    return os.environ.get("POWERTOOLS_SERVICE_NAME", "service_undefined")


def _print(line: Mapping[str, Any]) -> None:
    """A line at once: what is still in a buffer when Lambda stops the world is lost."""
    text = json.dumps(line, ensure_ascii=False, default=str)
    try:
        sys.stdout.write(text + "\n")
    except UnicodeEncodeError:
        # Half a character: JSON may hold one, UTF-8 may not.
        sys.stdout.write(json.dumps(line, default=str) + "\n")
    sys.stdout.flush()
