"""The API of Elastic Beanstalk.

Each operation is a method that takes its request apart, refuses what AWS refuses, changes the
records or sets an operation going, and answers in the API's own shapes.
https://docs.aws.amazon.com/elasticbeanstalk/latest/api/API_Operations.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.cloud import Scope
from sandbox.elasticbeanstalk.api.applications import Applications
from sandbox.elasticbeanstalk.api.configuration import Configuration
from sandbox.elasticbeanstalk.api.environments import Environments
from sandbox.elasticbeanstalk.api.observation import Observation
from sandbox.elasticbeanstalk.api.tags import Tags
from sandbox.elasticbeanstalk.records import MOST_VERSIONS
from sandbox.service import Call


class ElasticBeanstalk(Applications, Environments, Observation, Configuration, Tags):
    """Elastic Beanstalk on loopback. `close()` ends every process and thread of it."""

    def describe_account_attributes(self, call: Call) -> dict[str, Any]:
        """https://docs.aws.amazon.com/general/latest/gr/elasticbeanstalk.html"""
        return {
            "ResourceQuotas": {
                "ApplicationQuota": {"Maximum": 75},
                "ApplicationVersionQuota": {"Maximum": MOST_VERSIONS},
                "EnvironmentQuota": {"Maximum": 200},
                "ConfigurationTemplateQuota": {"Maximum": 2000},
                "CustomPlatformQuota": {"Maximum": 20},
            }
        }

    def resource_arn(self, scope: Scope, operation: str, request: Mapping[str, Any]) -> str:
        """https://docs.aws.amazon.com/service-authorization/latest/reference/list_awselasticbeanstalk.html

        An environment that is named but not there keeps its name in the ARN.
        """
        if operation in ("ListTagsForResource", "UpdateTagsForResource"):
            return str(request.get("ResourceArn", "*"))
        if operation == "DescribePlatformVersion":
            return str(request.get("PlatformArn", "*"))
        application = request.get("ApplicationName")
        if operation in _ON_A_VERSION:
            return scope.arn(
                self.name,
                f"applicationversion/{application or '*'}/{request.get('VersionLabel', '*')}",
            )
        if operation in _ON_A_TEMPLATE or (
            operation in _ON_AN_ENVIRONMENT
            and request.get("TemplateName")
            and operation.startswith("Describe")
        ):
            return scope.arn(
                self.name,
                f"configurationtemplate/{application or '*'}/{request.get('TemplateName', '*')}",
            )
        if operation in _ON_AN_ENVIRONMENT:
            return self._environment_arn(scope, application, request)
        if operation in _ON_AN_APPLICATION and application:
            return scope.arn(self.name, f"application/{application}")
        return "*"

    def _environment_arn(
        self, scope: Scope, application: str | None, request: Mapping[str, Any]
    ) -> str:
        names: list[str] = request.get("EnvironmentNames") or []
        name = request.get("EnvironmentName") or (names[0] if len(names) == 1 else "")
        ids: list[str] = request.get("EnvironmentIds") or []
        id = request.get("EnvironmentId") or (ids[0] if len(ids) == 1 else "")
        for one in reversed(self.every_environment(scope)):
            if (name or id) and name in ("", one.identity.name) and id in ("", one.identity.id):
                return one.identity.arn
        if name:
            return scope.arn(self.name, f"environment/{application or '*'}/{name}")
        return scope.arn(self.name, f"application/{application}") if application else "*"


_ON_AN_APPLICATION = frozenset(
    (
        "CreateApplication",
        "DeleteApplication",
        "DescribeApplications",
        "UpdateApplication",
        "UpdateApplicationResourceLifecycle",
        "ValidateConfigurationSettings",
    )
)
_ON_A_VERSION = frozenset(
    (
        "CreateApplicationVersion",
        "DeleteApplicationVersion",
        "DescribeApplicationVersions",
        "UpdateApplicationVersion",
    )
)
_ON_A_TEMPLATE = frozenset(
    (
        "CreateConfigurationTemplate",
        "DeleteConfigurationTemplate",
        "UpdateConfigurationTemplate",
    )
)
_ON_AN_ENVIRONMENT = frozenset(
    (
        "AbortEnvironmentUpdate",
        "CreateEnvironment",
        "DescribeConfigurationOptions",
        "DescribeConfigurationSettings",
        "DescribeEnvironmentHealth",
        "DescribeEnvironmentManagedActionHistory",
        "DescribeEnvironmentManagedActions",
        "DescribeEnvironmentResources",
        "DescribeEnvironments",
        "DescribeEvents",
        "DescribeInstancesHealth",
        "TerminateEnvironment",
        "UpdateEnvironment",
    )
)
