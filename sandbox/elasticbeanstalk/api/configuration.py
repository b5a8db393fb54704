"""Configuration options, saved configurations and platforms."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.cloud import Scope
from sandbox.elasticbeanstalk import options, platforms
from sandbox.elasticbeanstalk.api.registry import Registry
from sandbox.elasticbeanstalk.api.requests import (
    check,
    given_keys,
    given_settings,
    page_of,
    with_token,
)
from sandbox.elasticbeanstalk.options import Settings
from sandbox.elasticbeanstalk.platforms import Platform
from sandbox.elasticbeanstalk.records import Template, option_settings
from sandbox.service import ApiError, Call, now


class Configuration(Registry):
    """The operations on configurations and platforms."""

    def describe_configuration_settings(self, call: Call) -> dict[str, Any]:
        given = call.input
        application = self.application(call.scope, given["ApplicationName"])
        name = given.get("EnvironmentName")
        if bool(name) == bool(given.get("TemplateName")):
            raise ApiError(
                "InvalidParameterCombination",
                "Specify either EnvironmentName or TemplateName, not both and not none.",
            )
        template = self.template(application, given.get("TemplateName"))
        if template is not None:
            return {"ConfigurationSettings": [template.described()]}
        environment = self.environment(call.scope, name=name or "")
        with environment.lock:
            found = {
                "SolutionStackName": environment.platform.solution_stack,
                "PlatformArn": environment.platform.arn(call.scope),
                "ApplicationName": application.name,
                "Description": environment.description,
                "EnvironmentName": environment.identity.name,
                "DeploymentStatus": "deployed",
                "DateCreated": environment.identity.created,
                "DateUpdated": environment.updated,
                "OptionSettings": option_settings(environment.settings),
            }
        return {"ConfigurationSettings": [found]}

    def describe_configuration_options(self, call: Call) -> dict[str, Any]:
        """The whole catalogue, or the options asked for; the same for every platform here."""
        given = call.input
        platform = self.platform(call.scope, given)
        if given.get("EnvironmentName"):
            platform = self.environment(call.scope, name=given["EnvironmentName"]).platform
        elif given.get("TemplateName"):
            application = self.application(call.scope, given.get("ApplicationName", ""))
            template = self.template(application, given["TemplateName"])
            platform = template.platform if template else platform
        platform = platform or platforms.listed()[-1]
        wanted = given.get("Options")
        if wanted:
            asked = (options.find((one["Namespace"], one["OptionName"])) for one in wanted)
            found = [one for one in asked if one is not None]
        else:
            found = list(options.CATALOGUE)
        return {
            "SolutionStackName": platform.solution_stack,
            "PlatformArn": platform.arn(call.scope),
            "Options": [_option(one) for one in found],
        }

    def validate_configuration_settings(self, call: Call) -> dict[str, Any]:
        self.application(call.scope, call.input["ApplicationName"])
        return {
            "Messages": [
                {
                    "Message": message,
                    "Severity": "error",
                    "Namespace": namespace,
                    "OptionName": name,
                }
                for (namespace, name), message in options.problems(
                    given_settings(call.input["OptionSettings"])
                )
            ]
        }

    def create_configuration_template(self, call: Call) -> dict[str, Any]:
        given = call.input
        application = self.application(call.scope, given["ApplicationName"])
        name = given["TemplateName"]
        if name in application.templates:
            raise ApiError(
                "InvalidParameterValue", f"Configuration Template {name} already exists."
            )
        platform, settings = self.platform(call.scope, given), Settings()
        if given.get("EnvironmentId"):
            source = self.environment(call.scope, id=given["EnvironmentId"])
            platform, settings = platform or source.platform, source.settings
        if origin := given.get("SourceConfiguration"):
            owner = self.application(
                call.scope, origin.get("ApplicationName", given["ApplicationName"])
            )
            template = self.template(owner, origin.get("TemplateName"))
            if template is not None:
                platform, settings = platform or template.platform, template.settings
        if platform is None:
            raise ApiError(
                "MissingParameter",
                "One of SolutionStackName, PlatformArn, EnvironmentId and SourceConfiguration "
                "must be specified.",
            )
        settings = settings.changed(given_settings(given.get("OptionSettings")))
        check(settings)
        at = now()
        made = Template(
            call.scope,
            application.name,
            name,
            platform,
            settings,
            at,
            at,
            given.get("Description", ""),
        )
        with self.lock:
            application.templates[name] = made
        return made.described()

    def update_configuration_template(self, call: Call) -> dict[str, Any]:
        given = call.input
        application = self.application(call.scope, given["ApplicationName"])
        template = self.template(application, given["TemplateName"])
        if template is None:
            raise ApiError("MissingParameter", "TemplateName must be specified.")
        settings = template.settings.changed(
            given_settings(given.get("OptionSettings")), given_keys(given.get("OptionsToRemove"))
        )
        check(settings)
        template.settings, template.updated = settings, now()
        template.description = given.get("Description", template.description)
        return template.described()

    def delete_configuration_template(self, call: Call) -> None:
        application = self.application(call.scope, call.input["ApplicationName"])
        with self.lock:
            application.templates.pop(call.input["TemplateName"], None)

    def list_available_solution_stacks(self, call: Call) -> dict[str, Any]:
        stacks = [one.solution_stack for one in platforms.listed()]
        return {
            "SolutionStacks": stacks,
            "SolutionStackDetails": [
                {"SolutionStackName": one, "PermittedFileTypes": ["zip"]} for one in stacks
            ],
        }

    def list_platform_versions(self, call: Call) -> dict[str, Any]:
        found = [_platform_summary(call.scope, one) for one in platforms.listed()]
        for wanted in call.input.get("Filters") or ():
            kind, values = wanted.get("Type", ""), wanted.get("Values") or [""]
            if kind not in _PLATFORM_FILTERS or wanted.get("Operator", "=") not in _COMPARISONS:
                raise ApiError(
                    "NotImplemented",
                    f"The sandbox does not implement the platform filter {kind} "
                    f"{wanted.get('Operator')}",
                )
            compare = _COMPARISONS[wanted.get("Operator", "=")]
            member = _PLATFORM_FILTERS[kind]
            found = [one for one in found if compare(one[member], values[0])]
        page, token = page_of(found, call.input)
        return with_token({"PlatformSummaryList": page}, token)

    def describe_platform_version(self, call: Call) -> dict[str, Any]:
        platform = self.platform(call.scope, call.input)
        if platform is None:
            raise ApiError("MissingParameter", "PlatformArn must be specified.")
        summary = _platform_summary(call.scope, platform)
        return {
            "PlatformDescription": {
                **{k: v for k, v in summary.items() if k != "PlatformVersion"},
                "PlatformName": platform.name,
                "PlatformVersion": platform.version,
                "SolutionStackName": platform.solution_stack,
                "Maintainer": "aws-elasticbeanstalk-platforms@amazon.com",
                "ProgrammingLanguages": [
                    {"Name": "Python", "Version": platform.language.removeprefix("Python ")}
                ],
            }
        }


_PLATFORM_FILTERS = {
    "PlatformVersion": "PlatformVersion",
    "PlatformStatus": "PlatformStatus",
    "PlatformOwner": "PlatformOwner",
    "PlatformName": "PlatformBranchName",
    "PlatformBranchName": "PlatformBranchName",
    "OperatingSystemName": "OperatingSystemName",
    "OperatingSystemVersion": "OperatingSystemVersion",
    "PlatformLifecycleState": "PlatformLifecycleState",
}
_COMPARISONS: Mapping[str, Callable[[str, str], bool]] = {
    "=": lambda value, wanted: value == wanted,
    "!=": lambda value, wanted: value != wanted,
    "contains": lambda value, wanted: wanted in value,
    "begins_with": lambda value, wanted: value.startswith(wanted),
    "ends_with": lambda value, wanted: value.endswith(wanted),
}


def _platform_summary(scope: Scope, platform: Platform) -> dict[str, Any]:
    return {
        "PlatformArn": platform.arn(scope),
        "PlatformOwner": "AWSElasticBeanstalk",
        "PlatformStatus": "Ready",
        "PlatformCategory": "Python",
        "OperatingSystemName": "Amazon Linux",
        "OperatingSystemVersion": "2023",
        "SupportedTierList": ["WebServer/Standard"],
        "SupportedAddonList": ["Log/S3", "Monitoring/Healthd"],
        "PlatformLifecycleState": "Recommended",
        "PlatformVersion": platform.version,
        "PlatformBranchName": platform.name,
        "PlatformBranchLifecycleState": "Supported",
    }


def _option(option: options.Option) -> dict[str, Any]:
    found: dict[str, Any] = {
        "Namespace": option.namespace,
        "Name": option.name,
        "ChangeSeverity": option.change.value,
        "UserDefined": False,
        "ValueType": "Scalar",
    }
    for member, value in (
        ("DefaultValue", option.default),
        ("ValueOptions", list(option.values) or None),
        ("MinValue", option.low),
        ("MaxValue", option.high),
    ):
        if value is not None:
            found[member] = value
    return found
