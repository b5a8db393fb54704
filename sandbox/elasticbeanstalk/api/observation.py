"""What an environment shows: health and events."""

from __future__ import annotations

import time
from typing import Any

from sandbox.elasticbeanstalk import events, health
from sandbox.elasticbeanstalk.api.registry import Registry
from sandbox.elasticbeanstalk.api.requests import chosen, in_utc, moment, page_of, with_token
from sandbox.elasticbeanstalk.environment import Environment
from sandbox.elasticbeanstalk.events import Wanted
from sandbox.elasticbeanstalk.fleet import Instance
from sandbox.service import ApiError, Call, now


class Observation(Registry):
    """The operations that tell of health and events."""

    def _enhanced(self, call: Call) -> Environment:
        environment = self.named(call)
        if not environment.settings.is_enhanced:
            raise ApiError(
                "InvalidRequestException",
                f"{call.operation} is only supported for environments that use enhanced health "
                "reporting.",
            )
        return environment

    def describe_environment_health(self, call: Call) -> dict[str, Any]:
        """With no attributes only the name is answered.

        The model calls Status a colour; what AWS answers is the operational status (Ready), as
        the EB CLI's recorded answers show:
        https://github.com/aws/aws-elastic-beanstalk-cli (tests/unit/display/test_data_poller.py).
        """
        environment = self._enhanced(call)
        at = time.time()
        with environment.lock:
            facts = environment.facts(at)
            judged = [health.judge_instance(one, facts.expected, at) for one in facts.instances]
            requests = [request for one in facts.instances for request in one.requests]
            measured = health.metrics(requests, self.pace.window)
            members = {
                "HealthStatus": environment.health.status.value,
                "Status": environment.state.value,
                "Color": environment.health.color,
                "Causes": list(environment.health.causes),
                "ApplicationMetrics": health.in_percent(measured),
                "InstancesHealth": {
                    status.value: sum(1 for one in judged if one.status is status)
                    for status in health.Status
                    if status is not health.Status.SUSPENDED
                },
                "RefreshedAt": now(),
            }
        found = {"EnvironmentName": environment.identity.name}
        return {**found, **chosen(members, call.input.get("AttributeNames"))}

    def describe_instances_health(self, call: Call) -> dict[str, Any]:
        """With no attributes only the instances' ids are answered."""
        environment = self._enhanced(call)
        wanted = call.input.get("AttributeNames")
        with environment.lock:
            fleet = list(environment.fleet)
            expected = environment.facts(time.time()).expected
        page, token = page_of(fleet, call.input)
        listed = [
            {"InstanceId": one.id, **chosen(self._instance(one, expected), wanted)} for one in page
        ]
        return with_token({"InstanceHealthList": listed, "RefreshedAt": now()}, token)

    def _instance(self, one: Instance, expected: health.Deployment | None) -> dict[str, Any]:
        """The API's SingleInstanceHealth, without the id."""
        at = time.time()
        facts = one.facts(at)
        judged = health.judge_instance(facts, expected, at)
        deployment: dict[str, Any] = {}
        if facts.activity is not None and facts.activity.kind != "initialization":
            deployment["Status"] = "In Progress"
        elif facts.deployed is not None:
            deployment["Status"] = "Failed" if facts.deployed.error else "Deployed"
        if facts.deployed is not None:
            deployment |= {
                "VersionLabel": facts.deployed.deployment.version_label,
                "DeploymentId": facts.deployed.deployment.number,
                "DeploymentTime": moment(facts.deployed.at),
            }
        return {
            "HealthStatus": judged.status.value,
            "Color": judged.color,
            "Causes": list(judged.causes),
            "LaunchedAt": moment(one.launched_at),
            "ApplicationMetrics": health.metrics(facts.requests, self.pace.window),
            "System": {},
            "Deployment": deployment,
            "AvailabilityZone": one.zone,
            "InstanceType": one.instance_type,
        }

    def describe_events(self, call: Call) -> dict[str, Any]:
        given = call.input
        name, id = given.get("EnvironmentName", ""), given.get("EnvironmentId", "")
        wanted = Wanted(
            given.get("ApplicationName", ""),
            name,
            id,
            given.get("VersionLabel", ""),
            given.get("TemplateName", ""),
            given.get("PlatformArn", ""),
            given.get("RequestId", ""),
            given.get("Severity", ""),
            in_utc(given.get("StartTime")),
            in_utc(given.get("EndTime")),
        )
        try:
            page, token = self.journal(call.scope).page(
                wanted, now(), given.get("MaxRecords", 1000), given.get("NextToken")
            )
        except events.PageError as error:
            raise ApiError("InvalidParameterValue", str(error)) from error
        return with_token({"Events": [event.described() for event in page]}, token)
