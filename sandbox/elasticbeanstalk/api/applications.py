"""Applications and their versions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from botocore.exceptions import ClientError

from sandbox.cloud import AccessDeniedError, Caller
from sandbox.elasticbeanstalk import bundle, downstream, storage
from sandbox.elasticbeanstalk.api.registry import Registry
from sandbox.elasticbeanstalk.api.requests import given_tags, page_of, with_token
from sandbox.elasticbeanstalk.environment import State
from sandbox.elasticbeanstalk.names import storage_bucket
from sandbox.elasticbeanstalk.records import MOST_VERSIONS, Application, ApplicationVersion
from sandbox.service import ApiError, Call, now


class Applications(Registry):
    """The operations on applications and versions."""

    def create_application(self, call: Call) -> dict[str, Any]:
        name = call.input["ApplicationName"]
        with self.lock:
            region = self.region(call.scope)
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
                given_tags(call.input.get("Tags")),
            )
            region.applications[name] = application
        region.journal.add(now(), "INFO", f"Created new Application: {name}", name)
        return {"Application": application.described()}

    def update_application(self, call: Call) -> dict[str, Any]:
        application = self.application(call.scope, call.input["ApplicationName"])
        with self.lock:
            application.description = call.input.get("Description", application.description)
            application.updated = now()
        return {"Application": application.described()}

    def update_application_resource_lifecycle(self, call: Call) -> dict[str, Any]:
        application = self.application(call.scope, call.input["ApplicationName"])
        with self.lock:
            application.lifecycle = _lifecycle(
                call.input["ResourceLifecycleConfig"], application.lifecycle
            )
        return {
            "ApplicationName": application.name,
            "ResourceLifecycleConfig": application.described_lifecycle(),
        }

    def describe_applications(self, call: Call) -> dict[str, Any]:
        wanted = call.input.get("ApplicationNames")
        with self.lock:
            return {
                "Applications": [
                    one.described()
                    for one in self.region(call.scope).applications.values()
                    if not wanted or one.name in wanted
                ]
            }

    def delete_application(self, call: Call) -> None:
        """Refused with a running environment, unless it may be terminated with the application.

        An application that is not there is no error, as with AWS's own API.
        """
        name = call.input["ApplicationName"]
        with self.lock:
            application = self.region(call.scope).applications.get(name)
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
                self.terminate(one, call.caller)
            del self.region(call.scope).applications[name]
        self.journal(call.scope).add(
            now(), "INFO", "The application has been deleted successfully.", name
        )

    def create_application_version(self, call: Call) -> dict[str, Any]:
        name, label = call.input["ApplicationName"], call.input["VersionLabel"]
        for unmodelled in ("SourceBuildInformation", "BuildConfiguration", "ImageConfiguration"):
            if call.input.get(unmodelled):
                raise ApiError("NotImplemented", f"The sandbox does not implement {unmodelled}")
        source = call.input.get("SourceBundle") or {}
        bucket, key = source.get("S3Bucket", ""), source.get("S3Key", "")
        if call.input.get("AutoCreateApplication"):
            with self.lock:
                if name not in self.region(call.scope).applications:
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
        with self.lock:
            every = self.region(call.scope).applications.values()
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
                given_tags(call.input.get("Tags")),
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
        with self.lock:
            every = list(application.versions.values())
            used = self.deployed_labels(application.scope, application.name)
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

    def describe_application_versions(self, call: Call) -> dict[str, Any]:
        """Sorted by creation, newest first."""
        name, labels = call.input.get("ApplicationName"), call.input.get("VersionLabels")
        with self.lock:
            found = [
                version
                for application in self.region(call.scope).applications.values()
                if name in (None, application.name)
                for version in application.versions.values()
                if not labels or version.label in labels
            ]
        found.sort(key=lambda one: one.created, reverse=True)
        page, token = page_of(found, call.input)
        return with_token({"ApplicationVersions": [one.described() for one in page]}, token)

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
        with self.lock:
            version = self.version(call.scope, name, label)
            if label in self.deployed_labels(call.scope, name):
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
