"""The one logger and the one metric set of a function.

A line per decision, never an event dump: CodePipeline's job events carry credentials. The service
name and the level come from Powertools' own variables (POWERTOOLS_SERVICE_NAME,
POWERTOOLS_LOG_LEVEL). No Tracer: importing it costs more than all else here together.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

_JMESPATH = "aws_lambda_powertools.utilities.jmespath_utils"


class _Later(ModuleType):
    """A module that is imported when something in it is asked for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        sys.modules.pop(self.__name__)
        return getattr(importlib.import_module(self.__name__), name)


# Powertools' logger imports JMESPath for correlation ids, which nobody here asks it for: a fifth of
# what an ignored event costs.
sys.modules.setdefault(_JMESPATH, _Later(_JMESPATH))

from aws_lambda_powertools import Logger, Metrics  # noqa: E402  # after what it would import
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit  # noqa: E402  # as above

NAMESPACE = "Trellis"
"""Where the counters of all functions stand in CloudWatch; the dashboard looks there."""

logger = Logger()
metrics = Metrics(namespace=NAMESPACE)


def count(name: str, value: int = 1) -> None:
    """Add to a counter of this invocation; it is written out as EMF when the invocation ends."""
    metrics.add_metric(name=name, unit=MetricUnit.Count, value=value)


def measure(dimensions: Mapping[str, str], values: Mapping[str, tuple[str, float]]) -> None:
    """Write metrics at once, apart from those of the invocation: each a unit and a value."""
    apart = EphemeralMetrics(namespace=NAMESPACE, service=dimensions.get("service"))
    for name, value in dimensions.items():
        if name != "service":
            apart.add_dimension(name=name, value=value)
    for name, (unit, number) in values.items():
        apart.add_metric(name=name, unit=unit, value=number)
    apart.flush_metrics()
