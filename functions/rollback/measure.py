"""Metrics: counts by decision, how long it took, and the four delivery metrics by environment.

They are log lines in the Embedded Metric Format; namespace Trellis, service rollback.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html

    Deployments          deployments that proved themselves          environment
    FailedDeployments    those that were bad                         environment
    LeadTimeSeconds      from the run's begin to proven good         environment
    TimeToRestoreSeconds from bad to proven again                    environment
    TimeToStartSeconds   from bad to the rollback's begin            environment
    TimeToReadySeconds   from bad to Ready again                     environment
    FailedRollbacks      rollbacks that failed or could not go on    environment
    Decisions            what was decided                            environment, decision, row
    ApprovalWaitSeconds  how long the oldest open approval waits     pipeline
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

SERVICE = "rollback"


class Measures:
    """Writes metrics; `emit` takes dimensions, and values with their units."""

    def __init__(
        self, emit: Callable[[Mapping[str, str], Mapping[str, tuple[str, float]]], None]
    ) -> None:
        self._emit = emit

    def decided(self, environment: str, decision: str, row: str) -> None:
        """Count a decision and the row it came from."""
        self._emit(
            {"environment": environment, "decision": decision, "row": row},
            {"Decisions": ("Count", 1)},
        )

    def good(self, environment: str, lead: timedelta) -> None:
        """Count a deployment that proved itself, and how long it was on its way."""
        self._emit(
            {"environment": environment},
            {"Deployments": ("Count", 1), "LeadTimeSeconds": ("Seconds", lead.total_seconds())},
        )

    def bad(self, environment: str) -> None:
        """Count a deployment that was bad."""
        self._emit({"environment": environment}, {"FailedDeployments": ("Count", 1)})

    def failed(self, environment: str) -> None:
        """Count a rollback that failed; an alarm goes off for it."""
        self._emit({"environment": environment}, {"FailedRollbacks": ("Count", 1)})

    def approval_waits(self, pipeline: str, longest: timedelta) -> None:
        """How long the approval has waited that waits longest, zero where none waits.

        Zero is written too: an alarm must tell an answered approval from a sweep that did not run.
        """
        self._emit(
            {"pipeline": pipeline},
            {"ApprovalWaitSeconds": ("Seconds", max(0.0, longest.total_seconds()))},
        )

    def took(self, environment: str, name: str, time: timedelta) -> None:
        """How long something took since the deployment was bad."""
        self._emit(
            {"environment": environment},
            {name: ("Seconds", max(0.0, time.total_seconds()))},
        )
