"""How fast time passes in the sandbox's Elastic Beanstalk."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pace:
    """Every waiting time, in real seconds; the defaults suit a laptop.

    AWS's own times: an instance takes minutes to launch, the health agent reports every 10 s, an
    instance is healthy after 12 checks in 2 minutes and its environment worse after 3 bad ones
    within a minute, a command has 600 s plus the 240 s that Beanstalk adds.
    """

    second: float = 1 / 120
    """What one second of an option (Timeout, DeregistrationDelay, EvaluationTime) lasts here."""
    launch: float = 0.1
    """From asking for an instance to its first command."""
    start_window: float = 3.0
    """How long a command waits for a started process to end or to accept connections."""
    restart: float = 0.25
    """What systemd waits before it restarts a process that ended."""
    probe: float = 0.5
    """Between two health checks while nothing happens."""
    busy_probe: float = 0.1
    """Between two health checks during an operation, or after a bad one."""
    probe_timeout: float = 2.0
    """How long a health check waits for an answer."""
    healthy_probes: int = 3
    """Good checks in a row after which an instance is healthy."""
    unhealthy_probes: int = 3
    """Bad checks in a row after which it is not."""
    window: float = 5.0
    """How far back requests count for health and metrics (AWS: 10 s)."""
    settle: int = 2
    """Evaluations in a row that must agree before a change of health is announced."""
    metric: float = 2.0
    """Between two data points of EnvironmentHealth (AWS: 60 s); a change is recorded at once."""
