"""The judgement of health: from what was seen of each instance to a status and its causes.

Statuses, colours and the words of the causes are AWS's:
https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/health-enhanced-status.html and
https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/environments-health-enhanced-notifications.html
AWS publishes no thresholds. Ours are fitted to the examples of those pages: one impaired instance
out of five is Warning, all of them are Severe, an occasional error is Ok.

Pure: times are seconds since the epoch, `now` is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How healthy an instance or an environment is."""

    NO_DATA = "NoData"
    UNKNOWN = "Unknown"
    PENDING = "Pending"
    OK = "Ok"
    INFO = "Info"
    WARNING = "Warning"
    DEGRADED = "Degraded"
    SEVERE = "Severe"
    SUSPENDED = "Suspended"


COLORS = {
    Status.NO_DATA: "Grey",
    Status.UNKNOWN: "Grey",
    Status.PENDING: "Grey",
    Status.OK: "Green",
    Status.INFO: "Green",
    Status.WARNING: "Yellow",
    Status.DEGRADED: "Red",
    Status.SEVERE: "Red",
    Status.SUSPENDED: "Grey",
}

METRIC = {
    Status.OK: 0.0,
    Status.INFO: 1.0,
    Status.UNKNOWN: 5.0,
    Status.NO_DATA: 10.0,
    Status.WARNING: 15.0,
    Status.DEGRADED: 20.0,
    Status.SEVERE: 25.0,
}
"""The values of the EnvironmentHealth metric.

https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/health-enhanced-cloudwatch.html gives none
for Pending and Suspended: nothing is recorded then.
"""

_ORDER = (Status.OK, Status.INFO, Status.WARNING, Status.DEGRADED, Status.SEVERE)
_BAD_REQUESTS = 5
"""Failed requests below which a share of failures says nothing."""


@dataclass(frozen=True, slots=True)
class Health:
    """A status and why, the most important cause first."""

    status: Status
    causes: tuple[str, ...] = ()

    @property
    def color(self) -> str:
        """Green, Yellow, Red or Grey."""
        return COLORS[self.status]

    @property
    def is_bad(self) -> bool:
        """Whether the status is Warning or worse."""
        return severity(self.status) >= severity(Status.WARNING)


def severity(status: Status) -> int:
    """A rank: higher is worse; a status that is no judgement counts as Info."""
    return _ORDER.index(status) if status in _ORDER else _ORDER.index(Status.INFO)


@dataclass(frozen=True, slots=True)
class Request:
    """One answered request, a health check's or a visitor's; `seconds` is its latency.

    The instance's own proxy answers 502 for an application that does not answer.
    """

    at: float
    status: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Activity:
    """What is being done to an instance: `initialization`, `application deployment`, …"""

    kind: str
    since: float


@dataclass(frozen=True, slots=True)
class Deployment:
    """A version label and the number of the deployment that brought it."""

    version_label: str
    number: int

    def __str__(self) -> str:
        return f'"{self.version_label}" (deployment {self.number})'


@dataclass(frozen=True, slots=True)
class Deployed:
    """The last deployment command that ran on an instance; `error` is why it failed."""

    deployment: Deployment
    at: float
    took: float
    error: str | None = None


@dataclass(frozen=True, slots=True)
class InstanceFacts:
    """What is known of one instance.

    `unhealthy_since` is when its health check began to fail for good, with the load balancer's
    reason (`Target.ResponseCodeMismatch`).
    """

    instance_id: str
    activity: Activity | None
    deployed: Deployed | None
    unhealthy_since: float | None
    unhealthy_reason: str
    requests: Sequence[Request]


@dataclass(frozen=True, slots=True)
class Operation:
    """A running operation: `Initialization`, `Application update`, `Configuration update`, …

    `before` is the environment's status when it began.
    """

    kind: str
    since: float
    before: Status
    working_on: int = 0
    completed: int = 0


@dataclass(frozen=True, slots=True)
class Finished:
    """The last operation that ended."""

    kind: str
    at: float
    took: float
    succeeded: bool


@dataclass(frozen=True, slots=True)
class EnvironmentFacts:
    """What is known of an environment; `problems` are Severe by themselves."""

    instances: Sequence[InstanceFacts]
    expected: Deployment | None
    wanted: int
    balanced: bool
    operation: Operation | None = None
    finished: Finished | None = None
    problems: Sequence[str] = ()


def judge_instance(facts: InstanceFacts, expected: Deployment | None, now: float) -> Health:
    """The health of one instance."""
    if facts.activity is not None:
        running = _ago(now - facts.activity.since)
        if facts.activity.kind == "initialization":
            doing = f"Performing initialization (running for {running})."
        else:
            doing = f"Performing {facts.activity.kind} (running for {running})."
        return Health(Status.PENDING, (doing,))
    if facts.deployed is None:
        return Health(Status.NO_DATA, ("No data.",))
    found: list[tuple[Status, str]] = []
    if facts.deployed.error is not None:
        found.append((Status.DEGRADED, facts.deployed.error))
    if expected is not None and facts.deployed.deployment != expected:
        found.append(
            (
                Status.DEGRADED,
                f"Incorrect application version {facts.deployed.deployment}. "
                f"Expected version {expected}.",
            )
        )
    found.extend(_failing_requests(facts.requests))
    if facts.unhealthy_since is not None:
        found.append(
            (
                Status.SEVERE,
                f"Process default has been unhealthy for {_ago(now - facts.unhealthy_since)} "
                f"({facts.unhealthy_reason}).",
            )
        )
    if not found:
        done = facts.deployed
        return Health(
            Status.OK,
            (
                f"Application deployment completed {_ago(now - done.at)} ago "
                f"and took {_ago(done.took)}.",
            ),
        )
    return _worst(found)


def judge_environment(facts: EnvironmentFacts, now: float) -> Health:
    """The health of an environment.

    During an operation failing checks do not make it worse than it was ("Prior to command
    timeout, Elastic Beanstalk does not lower an environment's health status when health checks
    fail", https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/health-enhanced.html).
    """
    judged = _judge_at_rest(facts, now)
    operation = facts.operation
    if operation is None:
        if facts.finished is not None and now - facts.finished.at < 60:
            judged = Health(judged.status, (*judged.causes, _told(facts.finished, now)))
        return judged
    running = f"(running for {_ago(now - operation.since)})"
    if operation.kind == "Initialization":
        causes = [f"Initialization in progress {running}."]
        if not facts.instances:
            causes.append("There are no instances.")
        return Health(Status.PENDING, tuple(causes))
    if operation.working_on:
        on = _instances(operation.working_on)
        progress = (
            f"{operation.kind} in progress on {on}. {operation.completed} out of {on} "
            f"completed {running}."
        )
    else:
        progress = f"{operation.kind} in progress {running}."
    if severity(judged.status) <= severity(Status.INFO):
        return Health(Status.INFO, (progress,))
    capped = min(judged.status, operation.before, key=severity)
    if severity(capped) <= severity(Status.INFO):
        return Health(Status.INFO, (progress,))
    return Health(capped, (progress, *judged.causes))


def _judge_at_rest(facts: EnvironmentFacts, now: float) -> Health:
    found: list[tuple[Status, str]] = [(Status.SEVERE, problem) for problem in facts.problems]
    # An instance that is being worked on is judged when the work is done.
    settled = [one for one in facts.instances if one.activity is None and one.deployed is not None]
    total = len(settled)
    if not facts.instances and facts.wanted:
        found.append(
            (
                Status.SEVERE,
                "There are no instances. Auto Scaling group desired capacity is set to "
                f"{facts.wanted}.",
            )
        )
    elif len(facts.instances) < facts.wanted:
        found.append(
            (
                Status.DEGRADED,
                f"{len(facts.instances)} active instances is below Auto Scaling group "
                f"minimum size {facts.wanted}",
            )
        )
    failed = sum(1 for one in settled if one.deployed and one.deployed.error is not None)
    if failed:
        found.append(
            (
                min(by_share(failed, total), Status.DEGRADED, key=severity),
                f"Command failed on {_some(failed, total)}.",
            )
        )
    if facts.expected is not None:
        other = sum(
            1 for one in settled if one.deployed and one.deployed.deployment != facts.expected
        )
        if other:
            found.append(
                (
                    min(by_share(other, total), Status.DEGRADED, key=severity),
                    f"Incorrect application version found on {_some(other, total)}. "
                    f"Expected version {facts.expected}.",
                )
            )
    found.extend(_failing_requests([r for one in settled for r in one.requests]))
    unhealthy = sum(1 for one in settled if one.unhealthy_since is not None)
    if unhealthy:
        status = by_share(unhealthy, total)
        if facts.balanced:
            found.append((status, f"ELB processes are not healthy on {_some(unhealthy, total)}."))
            if unhealthy == total:
                found.append((status, "ELB health is failing or not available for all instances."))
        else:
            found.append((status, f"Impaired services on {_some(unhealthy, total)}."))
    return _worst(found) if found else Health(Status.OK)


def by_share(bad: int, total: int) -> Status:
    """The status that a share of bad instances makes."""
    if not bad:
        return Status.OK
    share = bad / total
    if share <= 0.25:
        return Status.WARNING
    return Status.DEGRADED if share < 2 / 3 else Status.SEVERE


def _failing_requests(requests: Sequence[Request]) -> Iterable[tuple[Status, str]]:
    failed = sum(1 for one in requests if one.status >= 500)
    if failed < _BAD_REQUESTS:
        return
    share = failed / len(requests)
    said = f"{share * 100:.1f} % of the requests are failing with HTTP 5xx."
    if share >= 0.5:
        yield Status.SEVERE, said
    elif share >= 0.2:
        yield Status.DEGRADED, said
    elif share >= 0.05:
        yield Status.WARNING, said


def _worst(found: Sequence[tuple[Status, str]]) -> Health:
    """The worst status, and every cause, the worst first."""
    ordered = sorted(found, key=lambda one: -severity(one[0]))
    return Health(ordered[0][0], tuple(cause for _, cause in ordered))


def _some(count: int, total: int) -> str:
    return "all instances" if count == total else f"{count} out of {total} instances"


def _instances(count: int) -> str:
    return "1 instance" if count == 1 else f"{count} instances"


def _told(finished: Finished, now: float) -> str:
    how = "completed" if finished.succeeded else "failed"
    return f"{finished.kind} {how} {_ago(now - finished.at)} ago and took {_ago(finished.took)}."


def _ago(seconds: float) -> str:
    """`1 second`, `23 seconds`, `2 minutes`."""
    whole = max(0, int(seconds))
    count, unit = (whole, "second") if whole < 120 else (whole // 60, "minute")
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def transition(before: Status | None, after: Health) -> tuple[str, str]:
    """Severity and message of the event that tells a change of health; None before the first.

    https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/AWSHowTo.eventbridge.html has both forms
    and INFO and WARN. A status without a finished operation behind it has causes only when it is
    worse, or when an operation runs.
    """
    moved = f"from {before} to {after.status}" if before else f"to {after.status}"
    told = " ".join((f"Environment health has transitioned {moved}.", *after.causes))
    return ("WARN" if after.is_bad else "INFO"), told


def metrics(requests: Sequence[Request], seconds: float) -> Mapping[str, object]:
    """The API's ApplicationMetrics of some requests, status codes as counts."""
    codes = {
        f"Status{family}xx": sum(1 for one in requests if one.status // 100 == family)
        for family in (2, 3, 4, 5)
    }
    found: dict[str, object] = {"Duration": round(seconds), "RequestCount": len(requests)}
    if requests:
        found["StatusCodes"] = codes
        ordered = sorted(one.seconds for one in requests)
        found["Latency"] = {
            name: round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 3)
            for name, share in (
                ("P999", 0.999),
                ("P99", 0.99),
                ("P95", 0.95),
                ("P90", 0.9),
                ("P85", 0.85),
                ("P75", 0.75),
                ("P50", 0.5),
                ("P10", 0.1),
            )
        }
    return found


def in_percent(measured: Mapping[str, object]) -> Mapping[str, object]:
    """The same with status codes as percentages, as the API reports them of an environment.

    https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/health-enhanced-metrics.html
    """
    codes, count = measured.get("StatusCodes"), measured["RequestCount"]
    if not isinstance(codes, dict) or not isinstance(count, int):
        return measured
    return {
        **measured,
        "StatusCodes": {name: round(100 * value / count) for name, value in codes.items()},
    }
