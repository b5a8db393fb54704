"""Environments: launch, update, abort, terminate, describe."""

from __future__ import annotations

import re
import secrets
import string
import uuid
from datetime import timedelta
from typing import Any

from sandbox.cloud import AccessDeniedError, Scope
from sandbox.elasticbeanstalk import bundle
from sandbox.elasticbeanstalk.api.registry import Registry
from sandbox.elasticbeanstalk.api.requests import (
    check,
    given_keys,
    given_settings,
    given_tags,
    in_utc,
    page_of,
    with_token,
)
from sandbox.elasticbeanstalk.downstream import Step
from sandbox.elasticbeanstalk.environment import Environment, Identity, State
from sandbox.elasticbeanstalk.operations import configuration, deployment, lifecycle
from sandbox.elasticbeanstalk.operations.work import Version, Work
from sandbox.elasticbeanstalk.options import ENVIRONMENT, Settings
from sandbox.elasticbeanstalk.platforms import Platform
from sandbox.service import ApiError, Call, now

DELETED_FOR = timedelta(hours=1)
"""How long IncludeDeleted shows a terminated environment when no date is given."""
_WEB = {"Name": "WebServer", "Type": "Standard", "Version": "1.0"}


class Environments(Registry):
    """The operations on environments."""

    def create_environment(self, call: Call) -> dict[str, Any]:
        environment = self._made(call)
        label = call.input.get("VersionLabel")
        version = (
            self.version(call.scope, environment.identity.application, label).version
            if label
            else None
        )
        self.refuse_without(call, environment, Step.STORE)
        with self.lock:
            taken = [
                one
                for one in self.environments(call.scope)
                if one.identity.name == environment.identity.name
            ]
            if taken:
                raise ApiError(
                    "InvalidParameterValue",
                    f"Environment {environment.identity.name} already exists.",
                )
            self.region(call.scope).environments.append(environment)
        with environment.lock:
            environment.version_label = label or bundle.SAMPLE_LABEL
            environment.begin(
                State.LAUNCHING,
                "Initialization",
                "createEnvironment is starting.",
                request_id=str(uuid.uuid4()),
            )
            described = self.described(environment)
        work = Work(environment, call.caller)
        self.operate(environment, lambda: lifecycle.launch(work, version))
        return described

    def _made(self, call: Call) -> Environment:
        """A new environment from a request, checked in all that does not need others' rights."""
        given = call.input
        application = self.application(call.scope, given["ApplicationName"])
        for unmodelled in ("GroupName", "OperationsRole"):
            if given.get(unmodelled):
                raise ApiError("NotImplemented", f"The sandbox does not implement {unmodelled}")
        name = given.get("EnvironmentName", "")
        if not name:
            raise ApiError("MissingParameter", "EnvironmentName must be specified.")
        if not re.fullmatch(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?", name):
            raise ApiError(
                "InvalidParameterValue",
                f"Value {name} at 'EnvironmentName' failed to satisfy constraint: Member must "
                "contain only letters, digits, and the dash character and may not start or end "
                "with a dash.",
            )
        tier = given.get("Tier") or _WEB
        if tier.get("Name", "WebServer") != "WebServer":
            raise ApiError("NotImplemented", f"The sandbox does not implement tier {tier['Name']}")
        prefix = given.get("CNAMEPrefix", "")
        if prefix and not self._is_free(call.scope, prefix):
            raise ApiError(
                "InvalidParameterValue",
                f"DNS name ({prefix}.{call.scope.region}.elasticbeanstalk.com) is not available.",
            )
        template = self.template(application, given.get("TemplateName"))
        platform = self.platform(call.scope, given) or (template.platform if template else None)
        if platform is None:
            raise ApiError(
                "MissingParameter",
                "One of SolutionStackName, PlatformArn and TemplateName must be specified.",
            )
        settings = (template.settings if template else Settings()).changed(
            given_settings(given.get("OptionSettings")), given_keys(given.get("OptionsToRemove"))
        )
        check(settings)
        tags = given_tags(given.get("Tags"))
        identity = Identity(call.scope, application.name, name, f"e-{_letters(10)}", now(), prefix)
        return Environment(
            self.world,
            identity,
            settings,
            platform,
            description=given.get("Description", ""),
            template=template.name if template else "",
            tags={
                **tags,
                # https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/using-features.tagging.html
                "elasticbeanstalk:environment-id": identity.id,
                "elasticbeanstalk:environment-name": name,
                "Name": name,
            },
        )

    def update_environment(self, call: Call) -> dict[str, Any]:
        """Deploy a version, or change the configuration, or the description; one at a time.

        https://docs.aws.amazon.com/elasticbeanstalk/latest/api/API_UpdateEnvironment.html:
        "Attempting to update both the release and configuration is not allowed and AWS Elastic
        Beanstalk returns an InvalidParameterCombination error."
        """
        given = call.input
        environment = self.named(call)
        application = given.get("ApplicationName")
        if application not in (None, environment.identity.application):
            raise ApiError(
                "InvalidParameterValue",
                f"No Environment found for EnvironmentName = '{environment.identity.name}'.",
            )
        label = given.get("VersionLabel")
        configures = any(
            given.get(member)
            for member in (
                "OptionSettings",
                "OptionsToRemove",
                "TemplateName",
                "PlatformArn",
                "SolutionStackName",
            )
        )
        if label and configures:
            raise ApiError(
                "InvalidParameterCombination",
                "Updating both the release and the configuration of an environment is not "
                "allowed. Specify either VersionLabel or configuration settings.",
            )
        version = (
            self.version(call.scope, environment.identity.application, label).version
            if label
            else None
        )
        change = self._changed_configuration(call, environment) if configures else None
        if version is not None:
            self.refuse_without(call, environment, Step.STORE)
        work = Work(environment, call.caller)
        with environment.lock:
            self.refuse_unless_ready(environment)
            environment.description = given.get("Description", environment.description)
            environment.updated = now()
            if version is not None:
                self._begin_deployment(environment, work, version)
            elif change is not None:
                self._begin_configuration(environment, work, *change)
            described = self.described(environment)
            return {**described, "VersionLabel": label or described["VersionLabel"]}

    def _changed_configuration(
        self, call: Call, environment: Environment
    ) -> tuple[Settings, Platform]:
        given = call.input
        application = self.application(call.scope, environment.identity.application)
        template = self.template(application, given.get("TemplateName"))
        base = template.settings if template else environment.settings
        settings = base.changed(
            given_settings(given.get("OptionSettings")), given_keys(given.get("OptionsToRemove"))
        )
        check(settings)
        # "only during environment creation":
        # https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/environments-cfg-alb.html
        kinds = [
            one.get(ENVIRONMENT, "LoadBalancerType") for one in (environment.settings, settings)
        ]
        if not settings.is_single and kinds[0] != kinds[1]:
            raise ApiError(
                "ConfigurationValidationException",
                "Configuration validation exception: LoadBalancerType option cannot be changed.",
            )
        return settings, self.platform(call.scope, given) or environment.platform

    def _begin_deployment(self, environment: Environment, work: Work, version: Version) -> None:
        if environment.settings.policy not in ("Immutable", "TrafficSplitting"):
            # In place, the new label is what is expected from now on. An immutable deployment
            # shows the old one until it has succeeded.
            environment.version_label = version.label
        environment.begin(
            State.UPDATING,
            "Application update",
            "Environment update is starting.",
            request_id=str(uuid.uuid4()),
        )
        self.operate(environment, lambda: deployment.deploy(work, version))

    def _begin_configuration(
        self, environment: Environment, work: Work, settings: Settings, platform: Platform
    ) -> None:
        environment.begin(
            State.UPDATING,
            "Configuration update",
            "Environment update is starting.",
            request_id=str(uuid.uuid4()),
        )
        self.operate(environment, lambda: configuration.configure(work, settings, platform))

    def abort_environment_update(self, call: Call) -> None:
        """Only while an update can be aborted; the words follow those for other operations."""
        environment = self.named(call)
        with environment.lock:
            if not environment.abortable:
                raise ApiError(
                    "InvalidParameterValue",
                    f"Environment named {environment.identity.name} is in an invalid state for "
                    "this operation. Must be pending deployment.",
                )
            environment.say("INFO", "Environment update is aborting.")
            environment.abort()

    def terminate_environment(self, call: Call) -> dict[str, Any]:
        environment = self.named(call)
        with environment.lock:
            self.refuse_unless_ready(environment)
            self.terminate(environment, call.caller)
            return self.described(environment)

    def described(self, environment: Environment) -> dict[str, Any]:
        """The API's EnvironmentDescription."""
        with environment.lock:
            identity = environment.identity
            is_updating = environment.state is not State.READY
            found: dict[str, Any] = {
                "EnvironmentName": identity.name,
                "EnvironmentId": identity.id,
                "ApplicationName": identity.application,
                "SolutionStackName": environment.platform.solution_stack,
                "PlatformArn": environment.platform.arn(identity.scope),
                "VersionLabel": environment.version_label,
                "DateCreated": identity.created,
                "DateUpdated": environment.updated,
                "Status": environment.state.value,
                "AbortableOperationInProgress": environment.abortable,
                "Health": environment.health.color,
                "Tier": dict(_WEB),
                "EnvironmentLinks": [],
                "EnvironmentArn": identity.arn,
            }
            if environment.settings.is_enhanced:
                found["HealthStatus"] = environment.health.status.value
            elif is_updating:
                # https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/using-features.healthstatus.html
                found["Health"] = "Grey"
            for member, value in (
                ("Description", environment.description),
                ("TemplateName", environment.template),
                ("EndpointURL", environment.address),
                ("CNAME", environment.address),
            ):
                if value:
                    found[member] = value
            return found

    def describe_environments(self, call: Call) -> dict[str, Any]:
        """Environments that the caller may not see are left out, not refused.

        https://docs.aws.amazon.com/elasticbeanstalk/latest/api/API_DescribeEnvironments.html
        """
        given = call.input
        names, ids = given.get("EnvironmentNames"), given.get("EnvironmentIds")
        back_to = in_utc(given.get("IncludedDeletedBackTo")) or now() - DELETED_FOR
        found = [
            one
            for one in self.every_environment(call.scope)
            if given.get("ApplicationName") in (None, one.identity.application)
            and given.get("VersionLabel") in (None, one.version_label)
            and (not names or one.identity.name in names)
            and (not ids or one.identity.id in ids)
            and (not one.is_terminated or (given.get("IncludeDeleted") and one.updated >= back_to))
            and self._may_see(call, one)
        ]
        page, token = page_of(found, given)
        return with_token({"Environments": [self.described(one) for one in page]}, token)

    def describe_environment_resources(self, call: Call) -> dict[str, Any]:
        environment = self.named(call)
        names = environment.names
        balancer = environment.settings.balancer
        name = {"": "", "classic": names.classic_balancer}.get(balancer, names.balancer_arn)
        with environment.lock:
            return {
                "EnvironmentResources": {
                    "EnvironmentName": environment.identity.name,
                    "AutoScalingGroups": [{"Name": names.group}],
                    "Instances": [{"Id": one.id} for one in environment.fleet],
                    "LaunchConfigurations": [],
                    "LaunchTemplates": [{"Id": names.launch_template}],
                    "LoadBalancers": [{"Name": name}] if name else [],
                    "Triggers": [],
                    "Queues": [],
                }
            }

    def check_dns_availability(self, call: Call) -> dict[str, Any]:
        prefix = call.input["CNAMEPrefix"]
        return {
            "Available": self._is_free(call.scope, prefix),
            "FullyQualifiedCNAME": f"{prefix}.{call.scope.region}.elasticbeanstalk.com",
        }

    def _is_free(self, scope: Scope, prefix: str) -> bool:
        return all(one.identity.cname_prefix != prefix for one in self.environments(scope))

    def describe_environment_managed_actions(self, call: Call) -> dict[str, Any]:
        environment = self.named(call)
        return {
            "ManagedActions": [
                {
                    "ActionId": one.id,
                    "ActionDescription": one.description,
                    "ActionType": "PlatformUpdate",
                    "Status": "Running",
                }
                for one in self.managed_updates(environment)
                if one.finished is None
            ]
        }

    def describe_environment_managed_action_history(self, call: Call) -> dict[str, Any]:
        environment = self.named(call)
        found = [
            {
                "ActionId": one.id,
                "ActionDescription": one.description,
                "ActionType": "PlatformUpdate",
                "ExecutedTime": one.started,
                "FinishedTime": one.finished,
                "Status": "Failed" if one.failure else "Completed",
                **(
                    {"FailureType": "UpdateCancelled", "FailureDescription": one.failure}
                    if one.failure
                    else {}
                ),
            }
            for one in reversed(self.managed_updates(environment))
            if one.finished is not None
        ]
        page, token = page_of(
            found,
            {
                "NextToken": call.input.get("NextToken"),
                "MaxRecords": call.input.get("MaxItems", 100),
            },
        )
        return with_token({"ManagedActionHistoryItems": page}, token)

    def _may_see(self, call: Call, environment: Environment) -> bool:
        try:
            self.cloud.authorize(
                call.scope,
                call.caller,
                "elasticbeanstalk:DescribeEnvironments",
                environment.identity.arn,
            )
        except AccessDeniedError:
            return False
        return True


def _letters(count: int) -> str:
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(count))
