"""The API of Elastic Beanstalk.

Each operation is a method that takes its request apart, refuses what AWS refuses, changes the
records or sets an operation going, and answers in the API's own shapes.
https://docs.aws.amazon.com/elasticbeanstalk/latest/api/API_Operations.html
"""

from __future__ import annotations

import base64
import re
import secrets
import string
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from sandbox.cloud import AccessDeniedError, Caller, Cloud, Scope
from sandbox.elasticbeanstalk import (
    bundle,
    downstream,
    events,
    health,
    operations,
    options,
    platforms,
    storage,
)
from sandbox.elasticbeanstalk.downstream import Step
from sandbox.elasticbeanstalk.environment import Environment, Identity, State, World
from sandbox.elasticbeanstalk.events import Journal, Wanted
from sandbox.elasticbeanstalk.fleet import Instance
from sandbox.elasticbeanstalk.names import storage_bucket
from sandbox.elasticbeanstalk.operations import Version, Work
from sandbox.elasticbeanstalk.options import Key, OptionError, Settings
from sandbox.elasticbeanstalk.pace import Pace
from sandbox.elasticbeanstalk.platforms import Platform, PlatformError
from sandbox.elasticbeanstalk.records import (
    Application,
    ApplicationVersion,
    ManagedUpdate,
    Region,
    Template,
    option_settings,
)
from sandbox.processes import Processes
from sandbox.service import ApiError, Call, Service, now

MOST_VERSIONS = 1000
"""https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/applications-lifecycle.html"""
MOST_TAGS = 50
DELETED_FOR = timedelta(hours=1)
"""How long IncludeDeleted shows a terminated environment when no date is given."""
_WEB = {"Name": "WebServer", "Type": "Standard", "Version": "1.0"}


class ElasticBeanstalk(Service):
    """Elastic Beanstalk on loopback. `close()` ends every process and thread of it."""

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
        self._lock = threading.RLock()
        self._regions: dict[Scope, Region] = {}
        self._prober = ThreadPoolExecutor(16, thread_name_prefix="health-check")
        self._world = World(
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
        with self._lock:
            environments = [one for region in self._regions.values() for one in region.environments]
        with ThreadPoolExecutor(max(1, len(environments))) as together:
            list(together.map(lambda one: one.close(), environments))
        self._prober.shutdown()

    # Records

    def _region(self, scope: Scope) -> Region:
        with self._lock:
            return self._regions.setdefault(scope, Region())

    def journal(self, scope: Scope) -> Journal:
        """The events of an account and Region."""
        return self._region(scope).journal

    def application(self, scope: Scope, name: str) -> Application:
        """An application; refuses an unknown one as AWS does."""
        found = self._region(scope).applications.get(name)
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
        with self._lock:
            return list(self._region(scope).environments)

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

    def _named(self, call: Call) -> Environment:
        return self.environment(
            call.scope,
            name=call.input.get("EnvironmentName", ""),
            id=call.input.get("EnvironmentId", ""),
        )

    # Who may do what

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

    def _refuse_without(self, call: Call, environment: Environment, step: Step) -> None:
        """Judge rights whose lack AWS answers at once, with InsufficientPrivilegesException."""
        for one in downstream.needed(step, environment.situation):
            try:
                self.cloud.authorize(call.scope, call.caller, one.action, one.resource, one.context)
            except AccessDeniedError as error:
                raise ApiError(
                    "InsufficientPrivilegesException", downstream.refusal(one.action)
                ) from error

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

    # Applications

    def create_application(self, call: Call) -> dict[str, Any]:
        name = call.input["ApplicationName"]
        with self._lock:
            region = self._region(call.scope)
            if name in region.applications:
                raise ApiError("InvalidParameterValue", f"Application {name} already exists.")
            at = now()
            application = Application(
                call.scope,
                name,
                at,
                at,
                call.input.get("Description", ""),
                _lifecycle(call.input.get("ResourceLifecycleConfig"), {}),
                _tags(call.input.get("Tags")),
            )
            region.applications[name] = application
        region.journal.add(now(), "INFO", f"Created new Application: {name}", name)
        return {"Application": application.described()}

    def update_application(self, call: Call) -> dict[str, Any]:
        application = self.application(call.scope, call.input["ApplicationName"])
        with self._lock:
            application.description = call.input.get("Description", application.description)
            application.updated = now()
        return {"Application": application.described()}

    def update_application_resource_lifecycle(self, call: Call) -> dict[str, Any]:
        application = self.application(call.scope, call.input["ApplicationName"])
        with self._lock:
            application.lifecycle = _lifecycle(
                call.input["ResourceLifecycleConfig"], application.lifecycle
            )
        return {
            "ApplicationName": application.name,
            "ResourceLifecycleConfig": application.described_lifecycle(),
        }

    def describe_applications(self, call: Call) -> dict[str, Any]:
        wanted = call.input.get("ApplicationNames")
        with self._lock:
            return {
                "Applications": [
                    one.described()
                    for one in self._region(call.scope).applications.values()
                    if not wanted or one.name in wanted
                ]
            }

    def delete_application(self, call: Call) -> None:
        """Refused with a running environment, unless it may be terminated with the application.

        An application that is not there is no error, as with AWS's own API.
        """
        name = call.input["ApplicationName"]
        with self._lock:
            application = self._region(call.scope).applications.get(name)
            running = [
                one for one in self.environments(call.scope) if one.identity.application == name
            ]
            if application is None:
                return
            if running and not call.input.get("TerminateEnvByForce"):
                raise ApiError(
                    "InvalidParameterValue",
                    f"Unable to delete application {name} because it has a version that is "
                    "deployed to a running environment.",
                )
            if any(one.state is not State.READY for one in running):
                raise ApiError(
                    "OperationInProgressFailure",
                    f"Unable to delete application {name}. An operation is already in progress, "
                    "please retry again shortly.",
                )
            for one in running:
                self._terminate(one, call.caller)
            del self._region(call.scope).applications[name]
        self.journal(call.scope).add(
            now(), "INFO", "The application has been deleted successfully.", name
        )

    # Application versions

    def create_application_version(self, call: Call) -> dict[str, Any]:
        name, label = call.input["ApplicationName"], call.input["VersionLabel"]
        for unmodelled in ("SourceBuildInformation", "BuildConfiguration", "ImageConfiguration"):
            if call.input.get(unmodelled):
                raise ApiError("NotImplemented", f"The sandbox does not implement {unmodelled}")
        source = call.input.get("SourceBundle") or {}
        bucket, key = source.get("S3Bucket", ""), source.get("S3Key", "")
        if call.input.get("AutoCreateApplication"):
            with self._lock:
                if name not in self._region(call.scope).applications:
                    self.create_application(
                        Call(
                            call.scope, call.caller, "CreateApplication", {"ApplicationName": name}
                        )
                    )
        application = self.application(call.scope, name)
        if label in application.versions:
            raise ApiError("InvalidParameterValue", f"Application Version {label} already exists.")
        if bucket or key:
            self._look_at_bundle(call, bucket, key)
        process = bool(call.input.get("Process")) and bool(bucket)
        with self._lock:
            every = self._region(call.scope).applications.values()
            if sum(len(one.versions) for one in every) >= MOST_VERSIONS:
                raise ApiError(
                    "TooManyApplicationVersionsException",
                    "You cannot have more than "
                    f"{MOST_VERSIONS} Application Versions. Either remove some Application "
                    "Versions or request a limit increase.",
                )
            at = now()
            version = ApplicationVersion(
                call.scope,
                name,
                label,
                at,
                at,
                call.input.get("Description", ""),
                bucket,
                key,
                "Processing" if process else "Unprocessed",
                _tags(call.input.get("Tags")),
            )
            application.versions[label] = version
        described = version.described()
        self.journal(call.scope).add(
            now(), "INFO", f"Created new Application Version: {label}", name, version_label=label
        )
        self._retire_versions(application)
        if process:
            self.cloud.start(f"process-{label}", lambda: self._process(call, version))
        return {"ApplicationVersion": described}

    def _look_at_bundle(self, call: Call, bucket: str, key: str) -> None:
        """Refuse a bundle that is not there, or that the caller may not read."""
        if not bucket or not key:
            raise ApiError(
                "InvalidParameterCombination", "Both S3Bucket and S3Key must be specified."
            )
        arn = f"arn:{call.scope.partition}:s3:::{bucket}/{key}"
        try:
            self.cloud.authorize(call.scope, call.caller, "s3:GetObject", arn)
            self.cloud.forward(call.scope, "s3", call.caller).head_object(Bucket=bucket, Key=key)
        except AccessDeniedError as error:
            raise ApiError(
                "InvalidParameterCombination",
                f"Unable to download from S3 location (Bucket: {bucket}  Key: {key}). "
                "Reason: Forbidden",
            ) from error
        except ClientError as error:
            raise ApiError(
                "InvalidParameterCombination", bundle.unreadable(bucket, key, error)
            ) from error

    def _process(self, call: Call, version: ApplicationVersion) -> None:
        """Validate a version's bundle (`Process`)."""
        try:
            s3 = self.cloud.forward(call.scope, "s3", call.caller)
            bundle.check(bundle.read(s3, version.bucket, version.key))
            version.status = "Processed"
        except (bundle.BundleError, AccessDeniedError):
            version.status = "Failed"
        version.updated = now()
        self.journal(call.scope).add(
            now(),
            "INFO" if version.status == "Processed" else "ERROR",
            "Finished processing application version. Version label: "
            f"{version.label} Status: {version.status.upper()}.",
            version.application,
            version_label=version.label,
        )

    def _retire_versions(self, application: Application) -> None:
        """Apply the lifecycle, as AWS does at each new version.

        https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/applications-lifecycle.html: up to
        100 at a time, never one in use.
        """
        rules = application.described_lifecycle()["VersionLifecycleConfig"]
        count, age = rules["MaxCountRule"], rules["MaxAgeRule"]
        with self._lock:
            every = list(application.versions.values())
            used = self._deployed_labels(application.scope, application.name)
            surplus: list[tuple[ApplicationVersion, bool]] = []
            if count["Enabled"]:
                surplus = [
                    (one, count["DeleteSourceFromS3"])
                    for one in every[: max(0, len(every) - count["MaxCount"])]
                ]
            elif age["Enabled"]:
                limit = now() - timedelta(days=age["MaxAgeInDays"])
                surplus = [(one, age["DeleteSourceFromS3"]) for one in every if one.created < limit]
            gone = [pair for pair in surplus if pair[0].label not in used][:100]
            for one, _ in gone:
                del application.versions[one.label]
        for one, with_source in gone:
            if with_source and one.bucket:
                role = application.lifecycle["ServiceRole"]
                self.cloud.client(
                    application.scope,
                    "s3",
                    role_arn=role,
                    service_principal="elasticbeanstalk.amazonaws.com",
                    session_name="elasticbeanstalk",
                ).delete_object(Bucket=one.bucket, Key=one.key)

    def _deployed_labels(self, scope: Scope, application: str) -> set[str]:
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

    def describe_application_versions(self, call: Call) -> dict[str, Any]:
        """Sorted by creation, newest first."""
        name, labels = call.input.get("ApplicationName"), call.input.get("VersionLabels")
        with self._lock:
            found = [
                version
                for application in self._region(call.scope).applications.values()
                if name in (None, application.name)
                for version in application.versions.values()
                if not labels or version.label in labels
            ]
        found.sort(key=lambda one: one.created, reverse=True)
        page, token = _page(found, call.input)
        return _with_token({"ApplicationVersions": [one.described() for one in page]}, token)

    def update_application_version(self, call: Call) -> dict[str, Any]:
        version = self.version(
            call.scope, call.input["ApplicationName"], call.input["VersionLabel"]
        )
        version.description = call.input.get("Description", version.description)
        version.updated = now()
        return {"ApplicationVersion": version.described()}

    def delete_application_version(self, call: Call) -> None:
        """Refused for a version that is deployed; the words follow those for applications."""
        name, label = call.input["ApplicationName"], call.input["VersionLabel"]
        with self._lock:
            version = self.version(call.scope, name, label)
            if label in self._deployed_labels(call.scope, name):
                raise ApiError(
                    "InvalidParameterValue",
                    f"Unable to delete application version {label} because it is deployed to a "
                    "running environment.",
                )
            if call.input.get("DeleteSourceBundle") and version.bucket:
                self._delete_source(call, version)
            del self.application(call.scope, name).versions[label]
        self.journal(call.scope).add(
            now(), "INFO", f"Deleted Application Version: {label}", name, version_label=label
        )

    def _delete_source(self, call: Call, version: ApplicationVersion) -> None:
        arn = f"arn:{call.scope.partition}:s3:::{version.bucket}/{version.key}"
        try:
            self.cloud.authorize(call.scope, call.caller, "s3:DeleteObject", arn)
            self.cloud.forward(call.scope, "s3", call.caller).delete_object(
                Bucket=version.bucket, Key=version.key
            )
        except (AccessDeniedError, ClientError) as error:
            raise ApiError(
                "SourceBundleDeletionFailure",
                f"Unable to delete the source bundle {version.bucket}/{version.key}: {error}",
            ) from error

    def create_storage_location(self, call: Call) -> dict[str, Any]:
        bucket = storage_bucket(call.scope)
        try:
            self.cloud.authorize(
                call.scope,
                call.caller,
                "s3:CreateBucket",
                f"arn:{call.scope.partition}:s3:::{bucket}",
            )
        except AccessDeniedError as error:
            raise ApiError(
                "InsufficientPrivilegesException", downstream.refusal("s3:CreateBucket")
            ) from error
        root = Caller(
            f"arn:{call.scope.partition}:iam::{call.scope.account}:root", call.scope.account
        )
        storage.create_bucket(self.cloud, call.scope, root)
        return {"S3Bucket": bucket}

    # Environments

    def create_environment(self, call: Call) -> dict[str, Any]:
        environment = self._made(call)
        label = call.input.get("VersionLabel")
        version = (
            self.version(call.scope, environment.identity.application, label).version
            if label
            else None
        )
        self._refuse_without(call, environment, Step.STORE)
        with self._lock:
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
            self._region(call.scope).environments.append(environment)
        with environment.lock:
            environment.version_label = label or bundle.SAMPLE_LABEL
            environment.begin(
                State.LAUNCHING,
                "Initialization",
                "createEnvironment is starting.",
                version_label=label or "",
                request_id=str(uuid.uuid4()),
            )
            described = self.described(environment)
        work = Work(environment, call.caller)
        self._operate(environment, lambda: operations.launch(work, version))
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
        template = self._template(application, given.get("TemplateName"))
        platform = self._platform(call.scope, given) or (template.platform if template else None)
        if platform is None:
            raise ApiError(
                "MissingParameter",
                "One of SolutionStackName, PlatformArn and TemplateName must be specified.",
            )
        settings = (template.settings if template else Settings()).changed(
            _given(given.get("OptionSettings")), _keys(given.get("OptionsToRemove"))
        )
        _check(settings)
        tags = _tags(given.get("Tags"))
        identity = Identity(call.scope, application.name, name, f"e-{_letters(10)}", now(), prefix)
        return Environment(
            self._world,
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

    def _template(self, application: Application, name: str | None) -> Template | None:
        if not name:
            return None
        found = application.templates.get(name)
        if found is None:
            raise ApiError(
                "InvalidParameterValue", f"No Configuration Template named '{name}' found."
            )
        return found

    def _platform(self, scope: Scope, given: Mapping[str, Any]) -> Platform | None:
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

    def update_environment(self, call: Call) -> dict[str, Any]:
        """Deploy a version, or change the configuration, or the description; one at a time.

        https://docs.aws.amazon.com/elasticbeanstalk/latest/api/API_UpdateEnvironment.html:
        "Attempting to update both the release and configuration is not allowed and AWS Elastic
        Beanstalk returns an InvalidParameterCombination error."
        """
        given = call.input
        environment = self._named(call)
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
            self._refuse_without(call, environment, Step.STORE)
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
        template = self._template(application, given.get("TemplateName"))
        base = template.settings if template else environment.settings
        settings = base.changed(
            _given(given.get("OptionSettings")), _keys(given.get("OptionsToRemove"))
        )
        _check(settings)
        return settings, self._platform(call.scope, given) or environment.platform

    def _begin_deployment(self, environment: Environment, work: Work, version: Version) -> None:
        if environment.settings.policy not in ("Immutable", "TrafficSplitting"):
            # In place, the new label is what is expected from now on. An immutable deployment
            # shows the old one until it has succeeded.
            environment.version_label = version.label
        environment.begin(
            State.UPDATING,
            "Application update",
            "Environment update is starting.",
            version_label=version.label,
            request_id=str(uuid.uuid4()),
        )
        self._operate(environment, lambda: operations.deploy(work, version))

    def _begin_configuration(
        self, environment: Environment, work: Work, settings: Settings, platform: Platform
    ) -> None:
        environment.begin(
            State.UPDATING,
            "Configuration update",
            "Environment update is starting.",
            request_id=str(uuid.uuid4()),
        )
        self._operate(environment, lambda: operations.configure(work, settings, platform))

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

    def _operate(self, environment: Environment, work: Callable[[], None]) -> None:
        self.cloud.start(
            f"operation-{environment.identity.name}", lambda: environment.operate(work)
        )

    def abort_environment_update(self, call: Call) -> None:
        """Only while an update can be aborted; the words follow those for other operations."""
        environment = self._named(call)
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
        environment = self._named(call)
        with environment.lock:
            self.refuse_unless_ready(environment)
            self._terminate(environment, call.caller)
            return self.described(environment)

    def _terminate(self, environment: Environment, caller: Caller | None) -> None:
        environment.begin(
            State.TERMINATING,
            "Terminate",
            "terminateEnvironment is starting.",
            request_id=str(uuid.uuid4()),
        )
        work = Work(environment, caller)
        self._operate(environment, lambda: operations.terminate(work))

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
        back_to = _in_utc(given.get("IncludedDeletedBackTo")) or now() - DELETED_FOR
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
        page, token = _page(found, given)
        return _with_token({"Environments": [self.described(one) for one in page]}, token)

    def describe_environment_resources(self, call: Call) -> dict[str, Any]:
        environment = self._named(call)
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

    # Health and events

    def _enhanced(self, call: Call) -> Environment:
        environment = self._named(call)
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
        return {**found, **_attributes(members, call.input.get("AttributeNames"))}

    def describe_instances_health(self, call: Call) -> dict[str, Any]:
        """With no attributes only the instances' ids are answered."""
        environment = self._enhanced(call)
        wanted = call.input.get("AttributeNames")
        with environment.lock:
            fleet = list(environment.fleet)
            expected = environment.facts(time.time()).expected
        page, token = _page(fleet, call.input)
        listed = [
            {"InstanceId": one.id, **_attributes(self._instance(one, expected), wanted)}
            for one in page
        ]
        return _with_token({"InstanceHealthList": listed, "RefreshedAt": now()}, token)

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
                "DeploymentTime": _moment(facts.deployed.at),
            }
        return {
            "HealthStatus": judged.status.value,
            "Color": judged.color,
            "Causes": list(judged.causes),
            "LaunchedAt": _moment(one.launched_at),
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
            _in_utc(given.get("StartTime")),
            _in_utc(given.get("EndTime")),
        )
        try:
            page, token = self.journal(call.scope).page(
                wanted, now(), given.get("MaxRecords", 1000), given.get("NextToken")
            )
        except events.PageError as error:
            raise ApiError("InvalidParameterValue", str(error)) from error
        return _with_token({"Events": [event.described() for event in page]}, token)

    # Configuration

    def describe_configuration_settings(self, call: Call) -> dict[str, Any]:
        given = call.input
        application = self.application(call.scope, given["ApplicationName"])
        name = given.get("EnvironmentName")
        if bool(name) == bool(given.get("TemplateName")):
            raise ApiError(
                "InvalidParameterCombination",
                "Specify either EnvironmentName or TemplateName, not both and not none.",
            )
        template = self._template(application, given.get("TemplateName"))
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
        platform = self._platform(call.scope, given)
        if given.get("EnvironmentName"):
            platform = self.environment(call.scope, name=given["EnvironmentName"]).platform
        elif given.get("TemplateName"):
            application = self.application(call.scope, given.get("ApplicationName", ""))
            template = self._template(application, given["TemplateName"])
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
                    _given(call.input["OptionSettings"])
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
        platform, settings = self._platform(call.scope, given), Settings()
        if given.get("EnvironmentId"):
            source = self.environment(call.scope, id=given["EnvironmentId"])
            platform, settings = platform or source.platform, source.settings
        if origin := given.get("SourceConfiguration"):
            owner = self.application(
                call.scope, origin.get("ApplicationName", given["ApplicationName"])
            )
            template = self._template(owner, origin.get("TemplateName"))
            if template is not None:
                platform, settings = platform or template.platform, template.settings
        if platform is None:
            raise ApiError(
                "MissingParameter",
                "One of SolutionStackName, PlatformArn, EnvironmentId and SourceConfiguration "
                "must be specified.",
            )
        settings = settings.changed(_given(given.get("OptionSettings")))
        _check(settings)
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
        with self._lock:
            application.templates[name] = made
        return made.described()

    def update_configuration_template(self, call: Call) -> dict[str, Any]:
        given = call.input
        application = self.application(call.scope, given["ApplicationName"])
        template = self._template(application, given["TemplateName"])
        if template is None:
            raise ApiError("MissingParameter", "TemplateName must be specified.")
        settings = template.settings.changed(
            _given(given.get("OptionSettings")), _keys(given.get("OptionsToRemove"))
        )
        _check(settings)
        template.settings, template.updated = settings, now()
        template.description = given.get("Description", template.description)
        return template.described()

    def delete_configuration_template(self, call: Call) -> None:
        application = self.application(call.scope, call.input["ApplicationName"])
        with self._lock:
            application.templates.pop(call.input["TemplateName"], None)

    # Platforms

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
        page, token = _page(found, call.input)
        return _with_token({"PlatformSummaryList": page}, token)

    def describe_platform_version(self, call: Call) -> dict[str, Any]:
        platform = self._platform(call.scope, call.input)
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

    # The rest

    def check_dns_availability(self, call: Call) -> dict[str, Any]:
        prefix = call.input["CNAMEPrefix"]
        return {
            "Available": self._is_free(call.scope, prefix),
            "FullyQualifiedCNAME": f"{prefix}.{call.scope.region}.elasticbeanstalk.com",
        }

    def _is_free(self, scope: Scope, prefix: str) -> bool:
        return all(one.identity.cname_prefix != prefix for one in self.environments(scope))

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

    def describe_environment_managed_actions(self, call: Call) -> dict[str, Any]:
        environment = self._named(call)
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
        environment = self._named(call)
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
        page, token = _page(
            found,
            {
                "NextToken": call.input.get("NextToken"),
                "MaxRecords": call.input.get("MaxItems", 100),
            },
        )
        return _with_token({"ManagedActionHistoryItems": page}, token)

    def managed_updates(self, environment: Environment) -> list[ManagedUpdate]:
        """The managed updates of an environment, the oldest first."""
        region = self._region(environment.identity.scope)
        return region.managed_updates.setdefault(environment.identity.id, [])

    def list_tags_for_resource(self, call: Call) -> dict[str, Any]:
        arn = call.input["ResourceArn"]
        tags = self._tagged(call.scope, arn)
        return {
            "ResourceArn": arn,
            "ResourceTags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())],
        }

    def update_tags_for_resource(self, call: Call) -> None:
        """Tags of an environment change only while it is Ready: it is an update of it."""
        arn = call.input["ResourceArn"]
        added = _tags(call.input.get("TagsToAdd"))
        removed = call.input.get("TagsToRemove") or []
        with self._lock:
            tags = self._tagged(call.scope, arn)
            environment = self._tagged_environment(call.scope, arn)
            if environment is not None and environment.state is not State.READY:
                raise ApiError(
                    "OperationInProgressFailure",
                    f"Unable to update tags of {arn}: an operation is already in progress, "
                    "please retry again shortly.",
                )
            before = dict(tags)
            after = {key: value for key, value in tags.items() if key not in removed} | added
            if len(after) > MOST_TAGS:
                raise ApiError(
                    "TooManyTagsException", f"A resource can have at most {MOST_TAGS} tags."
                )
            tags.clear()
            tags.update(after)
        if environment is not None:
            environment.say("INFO", "Environment tag update completed successfully.")
        changed = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
        if changed:
            self.cloud.emit(
                call.scope,
                "aws.tag",
                "Tag Change on Resource",
                {
                    "changed-tag-keys": changed,
                    "service": "elasticbeanstalk",
                    "resource-type": arn.split(":", 5)[-1].partition("/")[0],
                    "version": 1,
                    "tags": after,
                },
                (arn,),
            )

    def _tagged_environment(self, scope: Scope, arn: str) -> Environment | None:
        return next((one for one in self.environments(scope) if one.identity.arn == arn), None)

    def _tagged(self, scope: Scope, arn: str) -> dict[str, str]:
        kind = arn.split(":", 5)[-1].partition("/")[0]
        environment = self._tagged_environment(scope, arn)
        if environment is not None:
            return environment.tags
        for application in self._region(scope).applications.values():
            if application.arn == arn:
                return application.tags
            for version in application.versions.values():
                if version.arn == arn:
                    return version.tags
        if kind not in ("application", "applicationversion", "environment"):
            raise ApiError(
                "ResourceTypeNotSupportedException", f"Resources of type {kind} have no tags."
            )
        raise ApiError("ResourceNotFoundException", f"Resource not found for: {arn}")

    def tagged_resources(self, scope: Scope) -> list[tuple[str, Mapping[str, str]]]:
        """ARN and tags of everything taggable, for what lists resources across services."""
        with self._lock:
            found: list[tuple[str, Mapping[str, str]]] = []
            for application in self._region(scope).applications.values():
                found.append((application.arn, dict(application.tags)))
                found.extend((one.arn, dict(one.tags)) for one in application.versions.values())
            found.extend((one.identity.arn, dict(one.tags)) for one in self.environments(scope))
            return found


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


def _check(settings: Settings) -> None:
    """https://github.com/ThoughtWorksStudios/eb_deployer/pull/44 shows code and words."""
    try:
        settings.check()
    except OptionError as error:
        raise ApiError("ConfigurationValidationException", str(error)) from error


def _given(settings: Iterable[Mapping[str, str]] | None) -> dict[Key, str]:
    return {
        (one.get("Namespace", ""), one.get("OptionName", "")): one.get("Value", "")
        for one in settings or ()
    }


def _keys(specified: Iterable[Mapping[str, str]] | None) -> list[Key]:
    return [(one.get("Namespace", ""), one.get("OptionName", "")) for one in specified or ()]


def _tags(tags: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    return {one["Key"]: one.get("Value", "") for one in tags or ()}


def _lifecycle(given: Mapping[str, Any] | None, before: Mapping[str, Any]) -> dict[str, Any]:
    """The service role is needed the first time and kept afterwards."""
    if not given:
        return dict(before)
    rules = given.get("VersionLifecycleConfig") or {}
    count, age = rules.get("MaxCountRule") or {}, rules.get("MaxAgeRule") or {}
    if count.get("Enabled") and age.get("Enabled"):
        raise ApiError(
            "InvalidParameterValue",
            "Only one of MaxCountRule and MaxAgeRule can be enabled.",
        )
    merged = {**before, **given}
    if (count.get("Enabled") or age.get("Enabled")) and "ServiceRole" not in merged:
        raise ApiError(
            "InvalidParameterValue", "ServiceRole is required the first time a lifecycle is set."
        )
    return merged


def _attributes(members: Mapping[str, Any], wanted: Iterable[str] | None) -> dict[str, Any]:
    """The members that AttributeNames asks for; none without it."""
    asked = set(wanted or ())
    return {name: value for name, value in members.items() if "All" in asked or name in asked}


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _in_utc(given: datetime | None) -> datetime | None:
    """A time of a request; the parser leaves the zone out."""
    return given.replace(tzinfo=UTC) if given is not None and given.tzinfo is None else given


def _letters(count: int) -> str:
    return "".join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(count))


def _page[Item](items: Sequence[Item], given: Mapping[str, Any]) -> tuple[list[Item], str | None]:
    """A page by MaxRecords and NextToken; everything without them."""
    token, start = given.get("NextToken"), 0
    if token:
        try:
            kind, number = base64.urlsafe_b64decode(token.encode()).decode().split("/")
            start = int(number)
        except ValueError as error:
            raise ApiError("InvalidParameterValue", f"Invalid NextToken: {token}") from error
        if kind != "items":
            raise ApiError("InvalidParameterValue", f"Invalid NextToken: {token}")
    size = given.get("MaxRecords") or 1000
    end = start + size
    following = base64.urlsafe_b64encode(f"items/{end}".encode()).decode()
    return list(items[start:end]), (following if len(items) > end else None)


def _with_token(answer: dict[str, Any], token: str | None) -> dict[str, Any]:
    return {**answer, "NextToken": token} if token else answer
