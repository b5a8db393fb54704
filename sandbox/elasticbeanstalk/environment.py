"""One environment: its state, its fleet, what it tells, and the watch over its health.

Operations (`operations/`) change it on a thread of their own, one at a time; the watch probes
the instances and judges. Everything that both touch is under the environment's lock.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from sandbox.cloud import AccessDeniedError, Caller, Cloud, Scope
from sandbox.elasticbeanstalk import events, health
from sandbox.elasticbeanstalk.balancer import Balancer
from sandbox.elasticbeanstalk.bundle import Release, sample_release
from sandbox.elasticbeanstalk.downstream import Situation
from sandbox.elasticbeanstalk.events import DetailType, Journal
from sandbox.elasticbeanstalk.fleet import Host, Instance
from sandbox.elasticbeanstalk.health import Deployment, Finished, Health, Operation, Status
from sandbox.elasticbeanstalk.names import Names, log_group
from sandbox.elasticbeanstalk.options import HEALTH, LOGS, Settings
from sandbox.elasticbeanstalk.pace import Pace
from sandbox.elasticbeanstalk.platforms import Platform
from sandbox.processes import Processes
from sandbox.service import now

logger = logging.getLogger(__name__)


class State(StrEnum):
    """The API's EnvironmentStatus."""

    ABORTING = "Aborting"
    LAUNCHING = "Launching"
    UPDATING = "Updating"
    READY = "Ready"
    TERMINATING = "Terminating"
    TERMINATED = "Terminated"


class AbortedError(Exception):
    """When an operation was told to stop (AbortEnvironmentUpdate)."""


class ClosingError(Exception):
    """When the sandbox ends during an operation."""


@dataclass(frozen=True, slots=True)
class World:
    """What every environment of the service is built on."""

    cloud: Cloud
    processes: Processes
    runtime_path: str
    pace: Pace
    folder: Path
    prober: Executor
    journal: Callable[[Scope], Journal]


@dataclass(frozen=True, slots=True)
class Identity:
    """What never changes of an environment."""

    scope: Scope
    application: str
    name: str
    id: str
    created: datetime
    cname_prefix: str = ""

    @property
    def arn(self) -> str:
        """`arn:aws:elasticbeanstalk:region:account:environment/application/name`."""
        return self.scope.arn("elasticbeanstalk", f"environment/{self.application}/{self.name}")


class Environment:
    """An environment, its instances and its load balancer."""

    def __init__(
        self,
        world: World,
        identity: Identity,
        settings: Settings,
        platform: Platform,
        *,
        description: str = "",
        template: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self.world, self.identity = world, identity
        self.settings, self.platform = settings, platform
        self.description, self.template, self.tags = description, template, dict(tags or {})
        self.names = Names(identity.scope, identity.id)
        self.journal = world.journal(identity.scope)
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.state = State.LAUNCHING
        self.updated = identity.created
        self.abortable = False
        self.version_label = ""
        self.release: Release = sample_release()
        """What the last successful deployment deployed; new instances get it."""
        self.expected: Deployment | None = None
        """The deployment that every instance should run."""
        self.desired = settings.size
        self.fleet: list[Instance] = []
        self.health = Health(Status.PENDING)
        self.instance_role = ""
        self.balancer: Balancer | None = None
        self.operation: Operation | None = None
        self.finished: Finished | None = None
        self._announced: Status | None = None
        self._candidate: tuple[Status, int] | None = None
        self._problems: tuple[str, ...] = ()
        self._numbers = 0
        self._request_id = ""
        self._abort = False
        self._closing = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._alive: set[Instance] = set()
        self._measured = 0.0
        self._host = Host(world.processes, world.runtime_path, world.pace, self._ship)
        self._watch = threading.Thread(
            target=self._keep_watch, name=f"watch-{identity.name}", daemon=True
        )

    # What it tells

    def say(self, severity: str, message: str, *, of_the_operation: bool = True) -> None:
        """Write an event that DescribeEvents lists; an operation's carry its request, no label."""
        self.journal.add(
            now(),
            severity,
            message,
            self.identity.application,
            environment=self.identity.name,
            environment_id=self.identity.id,
            platform_arn=self.platform.arn(self.identity.scope),
            request_id=self._request_id if of_the_operation else "",
        )

    def announce(self, kind: DetailType, status: str, severity: str, message: str) -> None:
        """Put an event on EventBridge."""
        self.world.cloud.emit(
            self.identity.scope,
            "aws.elasticbeanstalk",
            kind,
            events.detail(
                status, severity, message, self.identity.application, self.identity.name, now()
            ),
            (self.identity.arn,),
        )

    # Its state

    def begin(
        self,
        state: State,
        kind: str,
        opening: str,
        *,
        request_id: str = "",
    ) -> None:
        """Enter an operation and say so."""
        with self.lock:
            self.state, self.updated = state, now()
            self._request_id = request_id
            self._abort = False
            self.abortable = state is State.UPDATING
            # Said before anybody can judge: a change of health is told after its reason.
            self.say("INFO", opening)
            self.operation = Operation(kind, time.time(), self.health.status)
            self.changed.notify_all()

    def progress(self, working_on: int, completed: int) -> None:
        """Say how far the operation is: instances in all, and how many are done."""
        with self.lock:
            if self.operation is not None:
                self.operation = replace(self.operation, working_on=working_on, completed=completed)
        self.judge()

    def end(self, state: State, *, succeeded: bool) -> None:
        """Leave the operation."""
        with self.lock:
            for instance in self.fleet:
                instance.settle()
            if self.operation is not None:
                at = time.time()
                self.finished = Finished(
                    self.operation.kind, at, at - self.operation.since, succeeded
                )
            self.operation, self.abortable, self._abort = None, False, False
            if state is State.TERMINATED:
                self.state, self.health = state, Health(Status.UNKNOWN)
        self.judge(at_once=True)
        with self.lock:
            # Last: who waits for the state sees the health that goes with it.
            self.state, self.updated = state, now()
            self._request_id = ""
            self.changed.notify_all()

    def number(self) -> int:
        """The next deployment's number; they start at one."""
        with self.lock:
            self._numbers += 1
            return self._numbers

    def abort(self) -> None:
        """Tell the running operation to stop at its next step."""
        with self.lock:
            self._abort, self.abortable = True, False
            self.state, self.updated = State.ABORTING, now()
            self.changed.notify_all()

    def lift_abort(self) -> None:
        """Go on in spite of an abort: what follows is the way back."""
        with self.lock:
            self._abort = False

    def commit(self) -> None:
        """Pass the point after which an operation cannot be aborted; raises AbortedError before."""
        with self.lock:
            self.check_interrupted()
            self.abortable = False

    def check_interrupted(self) -> None:
        """Raise AbortedError or ClosingError when the operation is to stop."""
        if self._closing.is_set():
            raise ClosingError
        if self._abort:
            raise AbortedError

    def wait(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Wait until a condition holds; False when it does not within `seconds`.

        Raises AbortedError and ClosingError.
        """
        deadline = time.monotonic() + seconds
        with self.changed:
            while True:
                self.check_interrupted()
                if holds():
                    return True
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self.changed.wait(min(left, 0.05))

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait until no operation runs; for callers that are no operation themselves."""
        deadline = time.monotonic() + seconds
        with self.changed:
            while self.state not in (State.READY, State.TERMINATED):
                left = deadline - time.monotonic()
                if left <= 0 or self._closing.is_set():
                    return False
                self.changed.wait(min(left, 0.5))
            return True

    @property
    def is_terminated(self) -> bool:
        """Whether nothing is left of it but its description."""
        return self.state is State.TERMINATED

    @property
    def situation(self) -> Situation:
        """What decides which rights an operation needs."""
        return Situation(
            self.names,
            self.settings.balancer,
            self.instance_role,
            self.role_arn(self.settings.service_role) if self.settings.service_role else "",
        )

    def role_arn(self, role: str) -> str:
        """A role's ARN from a name, a path and name, or an ARN."""
        if role.startswith("arn:"):
            return role
        scope = self.identity.scope
        return f"arn:{scope.partition}:iam::{scope.account}:role/{role.lstrip('/')}"

    @property
    def address(self) -> str:
        """`127.0.0.1:port` of the load balancer; empty before there is one."""
        return self.balancer.address if self.balancer else ""

    # Its fleet

    def open(self) -> None:
        """Open the load balancer and start the watch."""
        self.balancer = Balancer(self._targets)
        self._watch.start()

    def _targets(self) -> Sequence[Instance]:
        with self.lock:
            return [one for one in self.fleet if one.in_service]

    def new_instance(self) -> Instance:
        """An instance that has been launched, not yet part of the fleet."""
        zones = "abc"
        with self.lock:
            zone = f"{self.identity.scope.region}{zones[len(self.fleet) % len(zones)]}"
        scope = self.identity.scope
        folder = self.world.folder / scope.account / scope.region / self.identity.name
        instance = Instance(self._host, folder, zone, self.settings.instance_type)
        with self.lock:
            self._alive.add(instance)
        return instance

    def add(self, instances: Iterable[Instance]) -> None:
        """Take launched instances into the fleet, and tell."""
        with self.lock:
            added = list(instances)
            self.fleet.extend(added)
        ids = ", ".join(one.id for one in added)
        message = f"Added instance{'s' if len(added) > 1 else ''} [{ids}] to your environment."
        self.say("INFO", message)
        self.announce(DetailType.RESOURCE, "Instance added", "INFO", message)

    def remove(self, instances: Iterable[Instance]) -> None:
        """Terminate instances, and tell."""
        for instance in list(instances):
            with self.lock:
                if instance in self.fleet:
                    self.fleet.remove(instance)
            self.discard(instance)
            message = f"Removed instance [{instance.id}] from your environment."
            self.say("INFO", message)
            self.announce(DetailType.RESOURCE, "Instance removed", "INFO", message)

    def discard(self, instance: Instance) -> None:
        """Terminate an instance without a word."""
        instance.terminate()
        with self.lock:
            self._alive.discard(instance)

    def passes(self, instance: Instance) -> bool:
        """Whether an instance is healthy enough for a deployment to go on.

        HealthCheckSuccessThreshold lowers what is asked.
        """
        if instance.is_healthy:
            return True
        threshold = Status(self.settings.get(HEALTH, "HealthCheckSuccessThreshold"))
        if threshold is Status.OK or not instance.has_been_checked:
            return False
        at = time.time()
        judged = health.judge_instance(replace(instance.facts(at), activity=None), None, at)
        return health.severity(judged.status) <= health.severity(threshold)

    # Its health

    def _keep_watch(self) -> None:
        pace = self.world.pace
        while True:
            with self.lock:
                fleet = list(self.fleet)
                busy = self.operation is not None or self._candidate is not None
            busy = busy or any(one.needs_attention for one in fleet)
            if self._closing.wait(pace.busy_probe if busy else pace.probe):
                return
            try:
                self.check(fleet)
            except Exception:
                # One bad round must not leave an environment unwatched for ever.
                logger.exception("a health check of %s failed", self.identity.name)

    def check(self, fleet: Sequence[Instance]) -> None:
        """Check instances once, side by side, and judge."""
        path, passes = self.settings.health_path, self.settings.is_healthy_status
        list(self.world.prober.map(lambda one: one.check(path, passes), fleet))
        self.judge()
        with self.lock:
            self.changed.notify_all()

    def facts(self, at: float) -> health.EnvironmentFacts:
        """What judgement needs to know; during an operation no version is the wrong one."""
        with self.lock:
            return health.EnvironmentFacts(
                [one.facts(at) for one in self.fleet],
                None if self.operation is not None else self.expected,
                self.desired,
                not self.settings.is_single,
                self.operation,
                self.finished,
                self._problems,
            )

    def judge(self, *, at_once: bool = False) -> None:
        """Judge the health now; a change is told when it has settled, or at once."""
        at = time.time()
        told = None
        with self.lock:
            if self.state is State.TERMINATED:
                return
            judged = health.judge_environment(self.facts(at), at)
            operating = judged.status in (Status.INFO, Status.PENDING)
            if judged.status is self._announced:
                self.health, self._candidate = judged, None
            elif at_once or operating or self._has_settled(judged.status):
                told = health.transition(self._announced, judged)
                self.health, self._announced, self._candidate = judged, judged.status, None
            due = told is not None or at - self._measured >= self.world.pace.metric
        if told is not None:
            self._tell_health(*told)
        if due:
            self._measure()

    def _has_settled(self, status: Status) -> bool:
        seen = self._candidate[1] if self._candidate and self._candidate[0] is status else 0
        self._candidate = (status, seen + 1)
        return seen + 1 >= self.world.pace.settle

    def _tell_health(self, severity: str, message: str) -> None:
        if not self.settings.is_enhanced:
            # https://github.com/aws/aws-elastic-beanstalk-cli, ebcli/resources/strings.py
            message = f"Environment health has been set to {self.health.color.upper()}"
        self.say(severity, message, of_the_operation=False)
        self.announce(DetailType.HEALTH, "Environment health changed", severity, message)

    def _measure(self) -> None:
        """Record EnvironmentHealth, the one metric that costs nothing and is always published."""
        self._measured = time.time()
        value = health.METRIC.get(self.health.status)
        if value is not None and self.settings.is_enhanced:
            self.world.cloud.metric(
                self.identity.scope,
                "AWS/ElasticBeanstalk",
                "EnvironmentHealth",
                value,
                {"EnvironmentName": self.identity.name},
            )

    def find_problems(self) -> None:
        """See whether the service role can be assumed; without it health is Severe.

        https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/health-enhanced-status.html
        """
        role = self.settings.service_role
        self._problems = ()
        if not role or not self.settings.is_enhanced:
            return
        try:
            self.world.cloud.environment(
                self.identity.scope,
                role_arn=self.role_arn(role),
                service_principal="elasticbeanstalk.amazonaws.com",
                session_name="elasticbeanstalk",
            )
        except AccessDeniedError:
            self._problems = (
                f'Unable to assume role "{self.role_arn(role)}". '
                "Verify that the role exists and is configured correctly.",
            )

    # Its logs

    def _ship(self, instance_id: str, log: str, lines: Sequence[str]) -> None:
        if self.settings.get(LOGS, "StreamLogs") == "true":
            self.world.cloud.log(
                self.identity.scope, log_group(self.identity.name, log), instance_id, lines
            )

    # Its end

    def operate(self, work: Callable[[], None]) -> None:
        """Run an operation's work on this thread, so that closing can wait for it."""
        self._idle.clear()
        try:
            work()
        except ClosingError:
            logger.debug("the sandbox ends during an operation on %s", self.identity.name)
        except Exception:
            if not self._closing.is_set():
                raise
            logger.debug("an operation on %s broke off", self.identity.name, exc_info=True)
        finally:
            self._idle.set()

    def close(self) -> None:
        """End the watch, the load balancer and every process, telling nobody."""
        self.retire()
        self._end_processes()
        # An operation that was starting one meanwhile gives up now.
        self._idle.wait(10)
        self._end_processes()

    def retire(self) -> None:
        """End the watch and the load balancer."""
        self._closing.set()
        with self.lock:
            self.changed.notify_all()
            balancer, self.balancer = self.balancer, None
        if self._watch.is_alive():
            self._watch.join()
        if balancer is not None:
            balancer.close()

    def _end_processes(self) -> None:
        with self.lock:
            alive = list(self._alive)
            self.fleet.clear()
            self._alive.clear()
        for instance in alive:
            instance.terminate()

    @property
    def root(self) -> Caller:
        """The account itself, for what Beanstalk does by its own means."""
        scope = self.identity.scope
        return Caller(f"arn:{scope.partition}:iam::{scope.account}:root", scope.account)
