"""Deploy/ElasticBeanstalk: register the artifact as a version and have the environment take it.

https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-Beanstalk.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NoReturn

from botocore.exceptions import ClientError

from sandbox.codepipeline.actions.work import Finished, Work
from sandbox.codepipeline.execution import Artifact
from sandbox.codepipeline.failures import ActionFailedError, error_message, is_denied, worded

LIMIT_MINUTES = 60
"""All other actions: 1 hour. https://docs.aws.amazon.com/codepipeline/latest/userguide/limits.html"""

_BUSY = frozenset({"Aborting", "Launching", "LinkingFrom", "LinkingTo", "Updating"})


def deploy(work: Work) -> Finished:
    artifact = work.inputs[0]
    work.artifacts().check(artifact)
    client = work.client("elasticbeanstalk")
    application = work.configuration["ApplicationName"]
    environment = work.configuration["EnvironmentName"]
    begun = work.clock()
    label = f"code-pipeline-{int(begun.timestamp() * 1000)}-{artifact.revision}"[:100]
    try:
        client.create_application_version(
            ApplicationName=application,
            VersionLabel=label,
            SourceBundle=_bundle(work, artifact, application, label),
        )
        # Event dates are whole milliseconds.
        now = work.clock()
        begun = now.replace(microsecond=now.microsecond // 1000 * 1000)
        updating = client.update_environment(
            ApplicationName=application, EnvironmentName=environment, VersionLabel=label
        )
    except ClientError as error:
        _refused(error)
    url = (
        f"https://{work.scope.region}.console.aws.amazon.com/elasticbeanstalk/home?region="
        f"{work.scope.region}#/environment/dashboard?environmentId="
        f"{updating.get('EnvironmentId', '')}"
    )
    named = _external_id(work, label, updating.get("EnvironmentId"))
    work.watch.report(named, url, None)
    while True:
        work.pause(LIMIT_MINUTES)
        seen = _look(client, application, environment, begun)
        if seen is None:
            continue
        state, errors = seen
        if state["Status"] in _BUSY:
            continue
        problem = _problem(state, label, errors)
        if problem:
            message = f"Deployment completed, but with errors: {problem}"
            raise ActionFailedError(
                "JobFailed", message, external_id=named, external_url=url, summary=message
            )
        return Finished(
            summary="Deployment completed successfully", external_id=named, external_url=url
        )


def _external_id(work: Work, label: str, environment_id: str | None) -> str | None:
    known = {"label": label, "environment": environment_id, "none": None}
    kind = work.cloud.assumptions["external-id"]
    return known[kind] if kind in known else list(known.values())[work.position % len(known)]


def _bundle(work: Work, artifact: Artifact, application: str, label: str) -> dict[str, str]:
    """The object that the application version points to."""
    if work.cloud.assumptions["bundle-location"] == "artifact":
        return {"S3Bucket": artifact.bucket, "S3Key": artifact.key}
    bucket = work.client("elasticbeanstalk").create_storage_location()["S3Bucket"]
    key = f"{application}/{label}.zip"
    source = {"Bucket": artifact.bucket, "Key": artifact.key}
    work.client("s3").copy_object(Bucket=bucket, Key=key, CopySource=source)
    return {"S3Bucket": bucket, "S3Key": key}


def _look(
    client: Any, application: str, environment: str, begun: datetime
) -> tuple[Mapping[str, Any], list[str]] | None:
    """The environment and what went wrong since, newest first; None when it may not be seen.

    Without elasticbeanstalk:DescribeEvents the real action hangs until its time is up:
    https://docs.aws.amazon.com/codepipeline/latest/userguide/troubleshooting.html
    """
    try:
        found = client.describe_environments(
            ApplicationName=application, EnvironmentNames=[environment], IncludeDeleted=False
        )["Environments"]
        events = client.describe_events(
            ApplicationName=application, EnvironmentName=environment, StartTime=begun
        )["Events"]
    except ClientError as error:
        if is_denied(error):
            return None
        raise ActionFailedError(
            "JobFailed", f"Deployment failed. {worded(error, 'AWSElasticBeanstalk')}"
        ) from error
    return (found[0], _errors(events, begun)) if found else None


def _errors(events: Iterable[Mapping[str, Any]], begun: datetime) -> list[str]:
    bad = [
        event
        for event in events
        if event.get("Severity") in ("ERROR", "FATAL") and event["EventDate"] >= begun
    ]
    return [e["Message"] for e in sorted(bad, key=lambda e: e["EventDate"], reverse=True)]


def _problem(state: Mapping[str, Any], label: str, errors: list[str]) -> str:
    if errors:
        return " ".join(errors)
    if state["Status"] != "Ready":
        return f"Environment {state['EnvironmentName']} is {state['Status']}."
    if state.get("VersionLabel") != label:
        return (
            f"Environment {state['EnvironmentName']} runs version "
            f"{state.get('VersionLabel')} and not {label}."
        )
    return ""


def _refused(error: ClientError) -> NoReturn:
    if is_denied(error):
        message = error_message(error)
        named = message if "Service:" in message else f"Service:AWSElasticBeanstalk, {message}"
        raise ActionFailedError(
            "PermissionError",
            f"Deployment failed. The provided role does not have sufficient permissions: {named}",
        ) from error
    raise ActionFailedError(
        "JobFailed", f"Deployment failed. {worded(error, 'AWSElasticBeanstalk')}"
    ) from error
