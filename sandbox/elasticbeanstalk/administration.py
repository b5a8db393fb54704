"""What stories and tests do to environments that no API call does: accidents, scaling, updates.

Not part of the API: Python only.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, replace

from sandbox.cloud import Scope
from sandbox.elasticbeanstalk.environment import Environment, State
from sandbox.elasticbeanstalk.fleet import Instance
from sandbox.elasticbeanstalk.operations import configuration
from sandbox.elasticbeanstalk.operations.work import Work
from sandbox.elasticbeanstalk.records import ManagedUpdate
from sandbox.elasticbeanstalk.service import ElasticBeanstalk
from sandbox.service import now

LONGEST_UPDATE = 300.0
"""How long scaling waits for an update to end."""


@dataclass(frozen=True, slots=True)
class Running:
    """One instance: where it listens and what the last deployment brought it."""

    instance_id: str
    port: int
    version_label: str
    deployment: int
    is_healthy: bool


class NoSuchInstanceError(Exception):
    """When an environment has no instance of the given id."""


@dataclass(frozen=True, slots=True)
class Administration:
    """The hand that reaches behind the API of one account and Region."""

    service: ElasticBeanstalk
    scope: Scope

    def instances(self, environment: str) -> list[Running]:
        """The instances of an environment."""
        here = self.service.environment(self.scope, name=environment)
        with here.lock:
            fleet = list(here.fleet)
        return [
            Running(
                one.id,
                one.port,
                one.deployed.deployment.version_label if one.deployed else "",
                one.deployed.deployment.number if one.deployed else 0,
                one.is_healthy,
            )
            for one in fleet
        ]

    def address(self, environment: str) -> str:
        """`127.0.0.1:port` of an environment's load balancer."""
        return self.service.environment(self.scope, name=environment).address

    def crash(self, environment: str, instance_id: str) -> None:
        """Kill an instance's process; it is started again, as systemd does."""
        _, instance = self._find(environment, instance_id)
        instance.crash()

    def terminate_instance(self, environment: str, instance_id: str) -> None:
        """End an instance; Auto Scaling replaces it with the last successfully deployed version.

        https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/using-features.rolling-version-deploy.html
        """
        here, instance = self._find(environment, instance_id)
        here.remove([instance])

        def replace_it() -> None:
            # Beanstalk suspends Auto Scaling's processes during an update.
            if here.wait_until_idle(LONGEST_UPDATE):
                here.operate(lambda: configuration.resize(Work(here, None)))

        self.service.cloud.start(f"replace-{instance_id}", replace_it)

    def scale(self, environment: str, count: int) -> None:
        """Scale an environment within its bounds, as a trigger does; returns when it is done."""
        here = self.service.environment(self.scope, name=environment)
        if here.wait_until_idle(LONGEST_UPDATE):
            here.operate(lambda: configuration.scale(Work(here, None), count))

    def managed_update(self, environment: str, version: str, *, fails: bool = False) -> None:
        """Begin a managed update of an environment to another version of its platform."""
        here = self.service.environment(self.scope, name=environment)
        platform = replace(here.platform, version=version)
        entry = ManagedUpdate(
            f"pu-{uuid.uuid4()}", f"Platform update to {platform.solution_stack}", now()
        )
        updates = self.service.managed_updates(here)
        with here.lock:
            self.service.refuse_unless_ready(here)
            here.begin(
                State.UPDATING,
                "Configuration update",
                "Managed platform update is in-progress.",
                request_id=str(uuid.uuid4()),
            )
            updates.append(entry)

        def work() -> None:
            succeeded = configuration.managed_update(Work(here, None), platform, fails=fails)
            entry.finished = now()
            entry.failure = "" if succeeded else "The platform update failed."

        self.service.cloud.start(f"managed-{environment}", lambda: here.operate(work))

    def _find(self, environment: str, instance_id: str) -> tuple[Environment, Instance]:
        here = self.service.environment(self.scope, name=environment)
        with here.lock:
            for one in here.fleet:
                if one.id == instance_id:
                    return here, one
        raise NoSuchInstanceError(f"{environment} has no instance {instance_id}")
