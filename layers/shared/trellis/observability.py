"""The one logger and the one metric set of a function.

A line per decision, never an event dump: CodePipeline's job events carry credentials. The service
name and the level come from Powertools' own variables (POWERTOOLS_SERVICE_NAME,
POWERTOOLS_LOG_LEVEL). No Tracer: importing it costs more than all else here together.
"""

from __future__ import annotations

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

NAMESPACE = "Trellis"
"""Where the counters of all functions stand in CloudWatch; the dashboard looks there."""

logger = Logger()
metrics = Metrics(namespace=NAMESPACE)


def count(name: str, value: int = 1) -> None:
    """Add to a counter of this invocation; it is written out as EMF when the invocation ends."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)
