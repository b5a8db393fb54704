"""Build/CodeBuild and Test/CodeBuild: start a build and wait for it.

https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodeBuild.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from sandbox.codepipeline.actions.work import Finished, Work
from sandbox.codepipeline.execution import Artifact
from sandbox.codepipeline.failures import ActionFailedError, worded

LIMIT_MINUTES = 36 * 60

# CodePipeline tells CodeBuild three things that StartBuild has no parameter for: where the
# artifacts are, who started the build and which revision it builds. Here they travel in overrides
# that CodeBuild takes only together with the source type CODEPIPELINE.
INITIATOR = "CODEBUILD_INITIATOR"
RESOLVED_VERSION = "CODEBUILD_RESOLVED_SOURCE_VERSION"


def build(work: Work) -> Finished:
    client = work.client("codebuild")
    outputs = _outputs(work)
    build_id = _start(work, client, outputs)
    region = work.scope.region
    url = (
        f"https://console.aws.amazon.com/codebuild/home?region={region}#/builds/{build_id}/view/new"
    )
    work.watch.report(build_id, url, None)
    finished = _wait(work, client, build_id)
    status = finished["buildStatus"]
    if status != "SUCCEEDED":
        message = f"Build terminated with state: {status}{_reason(finished)}"
        raise ActionFailedError(
            "JobFailed", message, external_id=build_id, external_url=url, summary=message
        )
    revision = build_id.rpartition(":")[2]
    return Finished(
        external_id=build_id,
        external_url=url,
        outputs=tuple(
            Artifact(artifact.name, artifact.bucket, artifact.key, f"{artifact.name}-{revision}")
            for artifact in outputs
        ),
        variables={
            variable["name"]: variable["value"]
            for variable in finished.get("exportedEnvironmentVariables", [])
        },
    )


def _start(work: Work, client: Any, outputs: tuple[Artifact, ...]) -> str:
    primary = work.configuration.get("PrimarySource", work.inputs[0].name)
    source = next(artifact for artifact in work.inputs if artifact.name == primary)
    secondary = [artifact for artifact in work.inputs if artifact is not source]
    told = {INITIATOR: f"codepipeline/{work.pipeline}", RESOLVED_VERSION: source.revision}
    request: dict[str, Any] = {
        "projectName": work.configuration["ProjectName"],
        "idempotencyToken": work.id,
        "sourceTypeOverride": "CODEPIPELINE",
        "sourceVersion": _location(work, source),
        "environmentVariablesOverride": [
            *_environment(work),
            *({"name": n, "value": v, "type": "PLAINTEXT"} for n, v in told.items()),
        ],
    }
    if secondary:
        request["secondarySourcesOverride"] = [
            {"type": "CODEPIPELINE", "sourceIdentifier": artifact.name} for artifact in secondary
        ]
        request["secondarySourcesVersionOverride"] = [
            {"sourceIdentifier": artifact.name, "sourceVersion": _location(work, artifact)}
            for artifact in secondary
        ]
    if outputs:
        folder, _, name = outputs[0].key.rpartition("/")
        request["artifactsOverride"] = {
            "type": "CODEPIPELINE",
            "location": outputs[0].bucket,
            "path": folder,
            "name": name,
            "packaging": "ZIP",
        }
    else:
        request["artifactsOverride"] = {"type": "CODEPIPELINE"}
    try:
        build_id: str = client.start_build(**request)["build"]["id"]
    except ClientError as error:
        raise ActionFailedError(
            "JobFailed", f"Error calling startBuild: {worded(error, 'AWSCodeBuild')}"
        ) from error
    return build_id


def _outputs(work: Work) -> tuple[Artifact, ...]:
    if len(work.action.outputs) > 1:
        raise ActionFailedError(
            "ConfigurationError",
            f"The sandbox does not model several output artifacts of one build, and action "
            f"{work.action.name} declares {', '.join(work.action.outputs)}",
        )
    store = work.artifacts()
    return tuple(
        Artifact(name, store.bucket, store.new_key(name), name) for name in work.action.outputs
    )


def _location(work: Work, artifact: Artifact) -> str:
    return f"arn:{work.scope.partition}:s3:::{artifact.bucket}/{artifact.key}"


def _environment(work: Work) -> list[dict[str, str]]:
    text = work.configuration.get("EnvironmentVariables", "[]")
    try:
        declared = json.loads(text)
        return [
            {
                "name": variable["name"],
                "value": variable["value"],
                "type": variable.get("type", "PLAINTEXT"),
            }
            for variable in declared
        ]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ActionFailedError(
            "ConfigurationError",
            f"EnvironmentVariables of action {work.action.name} is not a JSON list of "
            f"{{name, value, type}}: {text}",
        ) from error


def _wait(work: Work, client: Any, build_id: str) -> Mapping[str, Any]:
    while True:
        try:
            builds = client.batch_get_builds(ids=[build_id])["builds"]
        except ClientError as error:
            raise ActionFailedError(
                "JobFailed",
                f"Error calling batchGetBuilds: {worded(error, 'AWSCodeBuild')}",
                external_id=build_id,
            ) from error
        if not builds:
            raise ActionFailedError(
                "JobFailed", f"Build {build_id} cannot be found", external_id=build_id
            )
        current: Mapping[str, Any] = builds[0]
        if current["buildStatus"] != "IN_PROGRESS":
            return current
        work.pause(LIMIT_MINUTES)


def _reason(finished: Mapping[str, Any]) -> str:
    """The first phase that did not succeed, in CodePipeline's form."""
    for phase in finished.get("phases", []):
        context = next((c for c in phase.get("contexts", []) if c.get("statusCode")), None)
        if phase.get("phaseStatus") not in (None, "SUCCEEDED") and context:
            return (
                f". Phase: {phase['phaseType']}, Code: {context['statusCode']}, Message: "
                f"{context['message']}"
            )
    return ""
