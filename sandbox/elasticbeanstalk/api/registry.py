"""What every part of the API builds on: the records, and refusing what is not in them."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

from sandbox.cloud import AccessDeniedError, Caller, Cloud, Scope
from sandbox.elasticbeanstalk import downstream, platforms
from sandbox.elasticbeanstalk.downstream import Step
from sandbox.elasticbeanstalk.environment import Environment, State, World
from sandbox.elasticbeanstalk.events import Journal
from sandbox.elasticbeanstalk.operations import lifecycle
from sandbox.elasticbeanstalk.operations.work import Work
from sandbox.elasticbeanstalk.pace import Pace
from sandbox.elasticbeanstalk.platforms import Platform, PlatformError
from sandbox.elasticbeanstalk.records import (
    Application,
    ApplicationVersion,
    ManagedUpdate,
    Region,
    Template,
)
from sandbox.processes import Processes
from sandbox.service import ApiError, Call, Service


class Registry(Service):
    """Keeps applications and environments by account and Region; `close()` ends everything."""

    name: ClassVar[str] = "elasticbeanstalk"
    judged_within: ClassVar[frozenset[str]] = frozenset(("DescribeEnvironments",))

    def __init__(
        self,
        cloud: Cloud,
        state_directory: Path,
        processes: Processes,
        runtime_path: str,
        pace: Pace | None = None,
    ) -> None:
        super().__init__(cloud)
        self.pace = pace or Pace()
        self.lock = threading.RLock()
        self._regions: dict[Scope, Region] = {}
        self._prober = ThreadPoolExecutor(16, thread_name_prefix="health-check")
        self.world = World(
            cloud,
            processes,
            runtime_path,
            self.pace,
            state_directory / "elasticbeanstalk",
            self._prober,
            self.journal,
        )

    def close(self) -> None:
        """End every environment's processes and threads."""
        with self.lock:
            environments = [one for region in self._regions.values() for one in region.environments]
        with ThreadPoolExecutor(max(1, len(environments))) as together:
            list(together.map(lambda one: one.close(), environments))
        self._prober.shutdown()

    def region(self, scope: Scope) -> Region:
        """Everything of one account and Region."""
        with self.lock:
            return self._regions.setdefault(scope, Region())

    def journal(self, scope: Scope) -> Journal:
        """The events of an account and Region."""
        return self.region(scope).journal

    def application(self, scope: Scope, name: str) -> Application:
        """An application; refuses an unknown one as AWS does."""
        found = self.region(scope).applications.get(name)
        if found is None:
            raise ApiError("InvalidParameterValue", f"No Application named '{name}' found.")
        return found

    def version(self, scope: Scope, application: str, label: str) -> ApplicationVersion:
        """An application version; refuses an unknown one as AWS does.

        https://github.com/einaregilsson/beanstalk-deploy/issues/58
        """
        found = self.application(scope, application).versions.get(label)
        if found is None:
            raise ApiError(
                "InvalidParameterValue", f"No Application Version named '{label}' found."
            )
        return found

    def every_environment(self, scope: Scope) -> list[Environment]:
        """Every environment in the order of creation, terminated ones too."""
        with self.lock:
            return list(self.region(scope).environments)

    def environments(self, scope: Scope) -> list[Environment]:
        """Every environment that is not terminated."""
        return [one for one in self.every_environment(scope) if not one.is_terminated]

    def environment(self, scope: Scope, *, name: str = "", id: str = "") -> Environment:
        """An environment by name or id, or both; refuses an unknown one as AWS does."""
        if not name and not id:
            raise ApiError(
                "MissingParameter", "Either EnvironmentId or EnvironmentName must be specified."
            )
        for one in self.environments(scope):
            if name in ("", one.identity.name) and id in ("", one.identity.id):
                return one
        which = f"EnvironmentName = '{name}'" if name else f"EnvironmentId = '{id}'"
        raise ApiError("InvalidParameterValue", f"No Environment found for {which}.")

    def named(self, call: Call) -> Environment:
        """The environment that a request names."""
        return self.environment(
            call.scope,
            name=call.input.get("EnvironmentName", ""),
            id=call.input.get("EnvironmentId", ""),
        )

    def deployed_labels(self, scope: Scope, application: str) -> set[str]:
        """The version labels that environments of an application run or expect."""
        found = set()
        for one in self.environments(scope):
            if one.identity.application == application:
                found |= {one.version_label, one.expected.version_label if one.expected else ""}
                found |= {
                    instance.deployed.deployment.version_label
                    for instance in list(one.fleet)
                    if instance.deployed
                }
        return found

    def template(self, application: Application, name: str | None) -> Template | None:
        """A saved configuration, None for no name; refuses an unknown one as AWS does."""
        if not name:
            return None
        found = application.templates.get(name)
        if found is None:
            raise ApiError(
                "InvalidParameterValue", f"No Configuration Template named '{name}' found."
            )
        return found

    def platform(self, scope: Scope, given: Mapping[str, Any]) -> Platform | None:
        """The platform that a request names; refuses an unknown one as AWS does."""
        arn, stack = given.get("PlatformArn"), given.get("SolutionStackName")
        if arn and stack:
            raise ApiError(
                "InvalidParameterCombination",
                "PlatformArn and SolutionStackName must not be specified together.",
            )
        try:
            if arn:
                return platforms.by_arn(scope, arn)
            return platforms.by_solution_stack(stack) if stack else None
        except PlatformError as error:
            raise ApiError("InvalidParameterValue", str(error)) from error

    def managed_updates(self, environment: Environment) -> list[ManagedUpdate]:
        """The managed updates of an environment, the oldest first."""
        region = self.region(environment.identity.scope)
        return region.managed_updates.setdefault(environment.identity.id, [])

    def refuse_unless_ready(self, environment: Environment) -> None:
        """Refuse what only a Ready environment takes.

        https://github.com/hashicorp/terraform-provider-aws/issues/32284
        """
        if environment.state is not State.READY:
            raise ApiError(
                "InvalidParameterValue",
                f"Environment named {environment.identity.name} is in an invalid state for this "
                "operation. Must be Ready.",
            )

    def refuse_without(self, call: Call, environment: Environment, step: Step) -> None:
        """Judge rights whose lack AWS answers at once, with InsufficientPrivilegesException."""
        for one in downstream.needed(step, environment.situation):
            try:
                self.cloud.authorize(call.scope, call.caller, one.action, one.resource, one.context)
            except AccessDeniedError as error:
                raise ApiError(
                    "InsufficientPrivilegesException", downstream.refusal(one.action)
                ) from error

    def operate(self, environment: Environment, work: Callable[[], None]) -> None:
        """Run an operation on an environment in the background."""
        self.cloud.start(
            f"operation-{environment.identity.name}", lambda: environment.operate(work)
        )

    def terminate(self, environment: Environment, caller: Caller | None) -> None:
        """Begin the end of an environment."""
        environment.begin(
            State.TERMINATING,
            "Terminate",
            "terminateEnvironment is starting.",
            request_id=str(uuid.uuid4()),
        )
        work = Work(environment, caller)
        self.operate(environment, lambda: lifecycle.terminate(work))
