"""Elastic Beanstalk, as far as rollback reads and changes it.

UpdateEnvironment acts on other services with the rights of its caller; the template's
BeanstalkDownstreamPolicy holds them. It has no client token, so the acts go through a client that
never tries again by itself.
https://docs.aws.amazon.com/elasticbeanstalk/latest/api/Welcome.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rollback.calls import RefusedError, call
from rollback.facts import Health, Incident, Instance, Look

_MOST_INSTANCES_PAGES = 10
_LONGEST_LABEL = 100
_EPOCH = datetime.fromtimestamp(0, UTC)


class NoSuchEnvironmentError(RefusedError):
    """When the environment is not there, or may not be seen: both answer with an empty list."""

    def __init__(self, environment: str) -> None:
        super().__init__(
            "DescribeEnvironments", "NotFound", f"there is no environment {environment} to be seen"
        )


@dataclass(frozen=True, slots=True)
class Version:
    """An application version."""

    label: str
    status: str
    """Processed, Unprocessed, Failed, Processing, Building."""
    bucket: str | None
    key: str | None
    created: datetime = _EPOCH


class Beanstalk:
    """One application; `acting` is a client that makes one attempt."""

    def __init__(self, client: Any, acting: Any, application: str) -> None:
        self._client, self._acting, self._application = client, acting, application

    def look(self, environment: str, now: datetime) -> Look:
        """An environment and what each of its instances says. Raises NoSuchEnvironmentError.

        Where basic health leaves something out, it is unknown and not an error.
        """
        found = call(
            self._client.describe_environments,
            ApplicationName=self._application,
            EnvironmentNames=[environment],
            IncludeDeleted=False,
        )["Environments"]
        if not found:
            raise NoSuchEnvironmentError(environment)
        state = found[0]
        health, causes = self._health(environment)
        return Look(
            at=now,
            status=str(state.get("Status", "")),
            health=health if health is not None else Health.of(state.get("HealthStatus")),
            version_label=state.get("VersionLabel") or None,
            platform=state.get("PlatformArn"),
            is_abortable=bool(state.get("AbortableOperationInProgress")),
            instances=self._instances(environment),
            causes=causes,
        )

    def _health(self, environment: str) -> tuple[Health | None, tuple[str, ...]]:
        try:
            found = call(
                self._client.describe_environment_health,
                EnvironmentName=environment,
                AttributeNames=["HealthStatus", "Causes"],
            )
        except RefusedError as err:
            if err.code in _NO_ENHANCED_HEALTH:
                return None, ()
            raise
        return Health.of(found.get("HealthStatus")), tuple(found.get("Causes") or ())

    def _instances(self, environment: str) -> tuple[Instance, ...]:
        instances: list[Instance] = []
        page: dict[str, Any] = {}
        for _ in range(_MOST_INSTANCES_PAGES):
            try:
                answer = call(
                    self._client.describe_instances_health,
                    EnvironmentName=environment,
                    AttributeNames=["HealthStatus", "Deployment"],
                    **page,
                )
            except RefusedError as err:
                if err.code in _NO_ENHANCED_HEALTH:
                    return ()
                raise
            instances += [_instance(one) for one in answer.get("InstanceHealthList") or []]
            if not answer.get("NextToken"):
                break
            page = {"NextToken": answer["NextToken"]}
        return tuple(sorted(instances, key=lambda one: one.id))

    def incidents(self, environment: str, since: datetime) -> list[Incident]:
        """What an environment has told since a time, oldest first."""
        answer = call(
            self._client.describe_events,
            ApplicationName=self._application,
            EnvironmentName=environment,
            StartTime=since,
            MaxRecords=1000,
        )
        found = [
            Incident(
                at=one["EventDate"],
                message=str(one.get("Message", "")),
                severity=str(one.get("Severity", "INFO")),
            )
            for one in answer.get("Events") or []
        ]
        return sorted(found, key=lambda one: one.at)

    def version(self, label: str) -> Version | None:
        """A version by its label, or None where there is none."""
        if len(label) > _LONGEST_LABEL:
            return None
        found = call(
            self._client.describe_application_versions,
            ApplicationName=self._application,
            VersionLabels=[label],
        )["ApplicationVersions"]
        return _version(found[0]) if found else None

    def versions_of(self, bucket: str, key: str) -> list[Version]:
        """The versions that hold a bundle. Without MaxRecords, one answer has all there are.

        https://docs.aws.amazon.com/elasticbeanstalk/latest/api/API_DescribeApplicationVersions.html
        """
        found = map(
            _version,
            call(self._client.describe_application_versions, ApplicationName=self._application)[
                "ApplicationVersions"
            ],
        )
        return [one for one in found if (one.bucket, one.key) == (bucket, key)]

    # Changing ------------------------------------------------------------------------------

    def register(self, label: str, bucket: str, key: str, description: str) -> None:
        """Make a version of a bundle; one that is there already is left as it is."""
        try:
            call(
                self._client.create_application_version,
                ApplicationName=self._application,
                VersionLabel=label,
                Description=description[:200],
                SourceBundle={"S3Bucket": bucket, "S3Key": key},
            )
        except RefusedError as err:
            if "already exists" not in err.message:
                raise

    def update(self, environment: str, label: str) -> str:
        """Deploy a version; gives its label. One attempt."""
        call(
            self._acting.update_environment,
            ApplicationName=self._application,
            EnvironmentName=environment,
            VersionLabel=label,
        )
        return label

    def update_begun(self, environment: str, since: datetime) -> bool:
        """Whether any update began since a time: what an interrupted act has done.

        Its events do not say what it deploys, and until it has succeeded the environment may
        show the old label: what came of it is for the proof to say.
        """
        return any(begins_update(one) for one in self.incidents(environment, since))

    def abort(self, environment: str) -> None:
        """Stop the update that is going on; where none is, nothing happens."""
        try:
            call(self._client.abort_environment_update, EnvironmentName=environment)
        except RefusedError as err:
            if "invalid state" not in err.message and "no update" not in err.message.lower():
                raise


_NO_ENHANCED_HEALTH = ("InvalidRequestException",)


def _instance(found: Mapping[str, Any]) -> Instance:
    deployment = found.get("Deployment") or {}
    deployed = deployment.get("DeploymentTime")
    return Instance(
        id=str(found.get("InstanceId", "")),
        version_label=deployment.get("VersionLabel"),
        deployed_at=deployed.astimezone(UTC) if deployed else None,
        health=Health.of(found.get("HealthStatus")),
    )


def _version(found: Mapping[str, Any]) -> Version:
    bundle = found.get("SourceBundle") or {}
    return Version(
        label=str(found.get("VersionLabel", "")),
        status=str(found.get("Status", "")),
        bucket=bundle.get("S3Bucket"),
        key=bundle.get("S3Key"),
        created=found.get("DateCreated", _EPOCH),
    )


def begins_update(incident: Incident) -> bool:
    """Whether it begins an update: of the version, of the configuration or of the platform."""
    return incident.message.startswith("Environment update is starting")


def has_update_begun(incidents: list[Incident]) -> bool:
    """Whether the environment told of an update."""
    return any(
        begins_update(one) or one.message.startswith("Deploying new version") for one in incidents
    )
