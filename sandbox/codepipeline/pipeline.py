"""A pipeline as it is declared, and the checks that the service makes before it takes one.

Pure: a declaration in the API's own names goes in, values come out. The texts of the errors are
the service's own where they are known (the table in README.md says where each was seen).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

REFERENCE = re.compile(r"#\{([^}]*)\}")
"""A variable in an action's configuration, `#{namespace.key}`.

https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-variables.html
"""

PIPELINE_NAMESPACE = "codepipeline"
VARIABLES_NAMESPACE = "variables"


class InvalidDeclarationError(Exception):
    """When the service refuses a pipeline's structure; `code` is the API's error code."""

    def __init__(self, code: str, message: str) -> None:
        self.code, self.message = code, message
        super().__init__(f"{code}: {message}")


class ExecutionMode(StrEnum):
    SUPERSEDED = "SUPERSEDED"
    QUEUED = "QUEUED"


class OnFailure(StrEnum):
    """What a stage does by itself when it fails."""

    FAIL = "FAIL"
    ROLLBACK = "ROLLBACK"
    RETRY = "RETRY"


@dataclass(frozen=True, slots=True)
class ActionType:
    category: str
    owner: str
    provider: str
    version: str


@dataclass(frozen=True, slots=True)
class Action:
    name: str
    type: ActionType
    run_order: int
    configuration: Mapping[str, str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    role_arn: str | None
    region: str | None
    namespace: str | None
    timeout_minutes: int | None


@dataclass(frozen=True, slots=True)
class Stage:
    name: str
    actions: tuple[Action, ...]
    on_failure: OnFailure
    retry_mode: str

    @property
    def is_source(self) -> bool:
        return any(action.type.category == "Source" for action in self.actions)

    def run_orders(self) -> list[int]:
        """The distinct run orders, first to last; the actions of one run side by side."""
        return sorted({action.run_order for action in self.actions})

    def action(self, name: str) -> Action | None:
        return next((action for action in self.actions if action.name == name), None)


@dataclass(frozen=True, slots=True)
class Store:
    """An artifact bucket; without a key its objects take the bucket's own encryption."""

    bucket: str
    key_id: str | None


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    default: str | None


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One version of a pipeline's structure."""

    name: str
    role_arn: str
    type: str
    mode: ExecutionMode
    stores: Mapping[str, Store]
    stages: tuple[Stage, ...]
    variables: tuple[Variable, ...]
    version: int
    declaration: Mapping[str, Any] = field(repr=False)
    """What GetPipeline answers: as declared, with the defaults filled in."""

    def stage(self, name: str) -> Stage | None:
        return next((stage for stage in self.stages if stage.name == name), None)

    def index(self, stage_name: str) -> int:
        return [stage.name for stage in self.stages].index(stage_name)


def parse(declaration: Mapping[str, Any], region: str, version: int) -> Pipeline:
    """Read and judge a declaration; raises InvalidDeclarationError where the service refuses.

    `region` is the pipeline's own, in which an action without a Region runs.
    https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-pipeline-structure.html
    """
    kind = declaration.get("pipelineType", "V1")
    _check_type(declaration, kind)
    stages = tuple(_stage(stage) for stage in declaration["stages"])
    _check_stages(stages)
    for stage in stages:
        _check_actions(stage, region)
    _check_artifacts(stages)
    variables = tuple(
        Variable(variable["name"], variable.get("defaultValue"))
        for variable in declaration.get("variables", [])
    )
    _check_variables(stages, variables)
    stores = _stores(declaration, region)
    _check_regions(stages, stores, region)
    return Pipeline(
        name=declaration["name"],
        role_arn=declaration["roleArn"],
        type=kind,
        mode=ExecutionMode(declaration.get("executionMode", "SUPERSEDED")),
        stores=stores,
        stages=stages,
        variables=variables,
        version=version,
        declaration=_with_defaults(declaration, kind, version),
    )


def references(configuration: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each variable that a configuration refers to: its configuration key, its text."""
    for key, value in configuration.items():
        for match in REFERENCE.finditer(value):
            yield key, match.group(1)


def _check_type(declaration: Mapping[str, Any], kind: str) -> None:
    mode = declaration.get("executionMode", "SUPERSEDED")
    stages = declaration["stages"]
    if kind == "V1":
        if mode != "SUPERSEDED":
            raise _structure("QUEUED or PARALLEL mode can only be used with V2 pipelines")
        if declaration.get("variables"):
            raise _structure("Pipeline variable can only be used with V2 pipelines")
        if declaration.get("triggers"):
            raise _structure("Triggers on tag can only be used with V2 pipelines")
        if any(stage.get(gate) for stage in stages for gate in _GATES):
            raise _stage_error("Stage level conditions can only be used with V2 pipelines.")
    if mode == "PARALLEL":
        if any((stage.get("onFailure") or {}).get("result") == "ROLLBACK" for stage in stages):
            raise _stage_error(
                "Failure conditions with rollback result type cannot be added to a PARALLEL "
                "pipeline."
            )
        raise _structure(
            "The sandbox does not model execution mode PARALLEL: use SUPERSEDED or QUEUED"
        )
    for stage in stages:
        _check_gates(stage)


_GATES = ("onFailure", "onSuccess", "beforeEntry")


def _check_gates(stage: Mapping[str, Any]) -> None:
    on_failure = stage.get("onFailure") or {}
    if on_failure.get("result") and on_failure.get("conditions"):
        raise _stage_error(
            "The following stage cannot have a failure exit gate configured with both top level "
            f"result and conditions: '{stage['name']}"
        )
    for gate in _GATES:
        if (stage.get(gate) or {}).get("conditions"):
            raise _stage_error(
                f"The sandbox does not model stage conditions, and stage '{stage['name']}' "
                f"declares {gate} conditions"
            )
    if on_failure.get("result") == "SKIP":
        raise _stage_error(f"Stage '{stage['name']}' cannot be skipped on failure")
    sources = any(a["actionTypeId"]["category"] == "Source" for a in stage["actions"])
    if sources and on_failure.get("result") == "ROLLBACK":
        raise _stage_error(
            f"Stage '{stage['name']}' holds source actions, and a source stage cannot be rolled "
            "back"
        )


def _stage(declared: Mapping[str, Any]) -> Stage:
    on_failure = declared.get("onFailure") or {}
    return Stage(
        name=declared["name"],
        actions=tuple(_action(action) for action in declared["actions"]),
        on_failure=OnFailure(on_failure.get("result", "FAIL")),
        retry_mode=(on_failure.get("retryConfiguration") or {}).get("retryMode", "FAILED_ACTIONS"),
    )


def _action(declared: Mapping[str, Any]) -> Action:
    kind = declared["actionTypeId"]
    return Action(
        name=declared["name"],
        type=ActionType(kind["category"], kind["owner"], kind["provider"], kind["version"]),
        run_order=declared.get("runOrder", 1),
        configuration=dict(declared.get("configuration") or {}),
        inputs=tuple(artifact["name"] for artifact in declared.get("inputArtifacts", [])),
        outputs=tuple(artifact["name"] for artifact in declared.get("outputArtifacts", [])),
        role_arn=declared.get("roleArn"),
        region=declared.get("region"),
        namespace=declared.get("namespace"),
        timeout_minutes=declared.get("timeoutInMinutes"),
    )


def _check_stages(stages: tuple[Stage, ...]) -> None:
    if len(stages) < 2:
        raise _structure("Pipeline must have at least two stages")
    if len(stages) > 50:
        raise _structure(
            "Pipeline has too many stages. There can only be up to 50 stages in a pipeline"
        )
    seen: set[str] = set()
    for stage in stages:
        if stage.name in seen:
            raise _stage_error(f"Stage name '{stage.name}' is used more than once")
        seen.add(stage.name)
        if not stage.actions:
            raise _stage_error(f"Stage '{stage.name}' must contain at least one action")
    if any(action.type.category != "Source" for action in stages[0].actions):
        raise _structure("Pipeline should start with a stage that only contains source actions")
    categories = {action.type.category for stage in stages for action in stage.actions}
    if categories == {"Source"}:
        raise _structure("Pipeline should contain at least 1 action whose category is not Source")
    if any(stage.is_source for stage in stages[1:]):
        raise _structure("Source actions can only be included in the first stage of the pipeline")


_CATEGORIES: Mapping[str, frozenset[str]] = {
    # Every provider that AWS itself owns, by the categories it is published under:
    # https://docs.aws.amazon.com/codepipeline/latest/userguide/actions-valid-providers.html
    "S3": frozenset({"Source", "Deploy"}),
    "ECR": frozenset({"Source"}),
    "CodeCommit": frozenset({"Source"}),
    "CodeStarSourceConnection": frozenset({"Source"}),
    "CodeBuild": frozenset({"Build", "Test"}),
    "ECRBuildAndPublish": frozenset({"Build"}),
    "Commands": frozenset({"Compute", "Build"}),
    "DeviceFarm": frozenset({"Test"}),
    "CloudFormation": frozenset({"Deploy"}),
    "CloudFormationStackSet": frozenset({"Deploy"}),
    "CloudFormationStackInstances": frozenset({"Deploy"}),
    "CodeDeploy": frozenset({"Deploy"}),
    "CodeDeployToECS": frozenset({"Deploy"}),
    "EC2": frozenset({"Deploy"}),
    "ECS": frozenset({"Deploy"}),
    "EKS": frozenset({"Deploy"}),
    "ElasticBeanstalk": frozenset({"Deploy"}),
    "AppConfig": frozenset({"Deploy"}),
    "OpsWorks": frozenset({"Deploy"}),
    "ServiceCatalog": frozenset({"Deploy"}),
    "Manual": frozenset({"Approval"}),
    "CodePipeline": frozenset({"Invoke"}),
    "Lambda": frozenset({"Invoke", "Deploy"}),
    "StepFunctions": frozenset({"Invoke"}),
    "InspectorScan": frozenset({"Invoke"}),
}

_REQUIRED: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("Source", "S3"): ("S3Bucket", "S3ObjectKey"),
    ("Source", "CodeStarSourceConnection"): ("ConnectionArn", "FullRepositoryId", "BranchName"),
    ("Build", "CodeBuild"): ("ProjectName",),
    ("Test", "CodeBuild"): ("ProjectName",),
    ("Deploy", "ElasticBeanstalk"): ("ApplicationName", "EnvironmentName"),
    ("Invoke", "Lambda"): ("FunctionName",),
    ("Deploy", "S3"): ("BucketName", "Extract"),
}

_ALLOWED: Mapping[tuple[str, str], frozenset[str]] = {
    ("Source", "S3"): frozenset(
        {"S3Bucket", "S3ObjectKey", "PollForSourceChanges", "AllowOverrideForS3ObjectKey"}
    ),
    ("Deploy", "ElasticBeanstalk"): frozenset({"ApplicationName", "EnvironmentName"}),
    ("Approval", "Manual"): frozenset({"NotificationArn", "CustomData", "ExternalEntityLink"}),
}

# Input and output artifacts, fewest and most:
# https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-action-artifacts.html
_COUNTS: Mapping[tuple[str, str], tuple[int, int, int, int]] = {
    ("Source", "S3"): (0, 0, 1, 1),
    ("Source", "CodeStarSourceConnection"): (0, 0, 1, 1),
    ("Build", "CodeBuild"): (1, 5, 0, 5),
    ("Test", "CodeBuild"): (1, 5, 0, 5),
    ("Deploy", "ElasticBeanstalk"): (1, 1, 0, 0),
    ("Approval", "Manual"): (0, 0, 0, 0),
}


def _check_actions(stage: Stage, region: str) -> None:
    seen: set[str] = set()
    for action in stage.actions:
        if action.name in seen:
            raise _stage_error(
                f"Action name '{action.name}' is used more than once in stage '{stage.name}'"
            )
        seen.add(action.name)
        _check_action(action, region)


def _check_action(action: Action, region: str) -> None:
    kind = action.type
    if kind.owner == "AWS" and (
        kind.category not in _CATEGORIES.get(kind.provider, frozenset()) or kind.version != "1"
    ):
        where = (action.region or region).replace("-", "_").upper()
        raise _action_error(
            f"ActionType (Category: '{kind.category}', Provider: '{kind.provider}', Owner: "
            f"'{kind.owner}', Version: '{kind.version}') in action '{action.name}' is not "
            f"available in region {where}"
        )
    key = (kind.category, kind.provider)
    for required in _REQUIRED.get(key, ()):
        if not action.configuration.get(required):
            raise _action_error(
                f"Action configuration for action '{action.name}' is missing required "
                f"configuration '{required}'"
            )
    unknown = sorted(set(action.configuration) - _ALLOWED.get(key, frozenset(action.configuration)))
    if unknown:
        raise _action_error(
            f"Action configuration for action '{action.name}' contains unknown configuration "
            f"'{unknown[0]}'"
        )
    if action.timeout_minutes is not None and kind.category != "Approval":
        raise _action_error(
            f"Action '{action.name}' declares timeoutInMinutes, which only manual approval "
            "actions take"
        )
    if key in _COUNTS:
        fewest_in, most_in, fewest_out, most_out = _COUNTS[key]
        _check_count(action.name, "input", len(action.inputs), fewest_in, most_in)
        _check_count(action.name, "output", len(action.outputs), fewest_out, most_out)
    primary = action.configuration.get("PrimarySource")
    if kind.provider == "CodeBuild" and len(action.inputs) > 1 and primary not in action.inputs:
        raise _action_error(
            f"Action configuration for action '{action.name}' is missing required configuration "
            "'PrimarySource', which names one of its several input artifacts"
        )
    if action.configuration.get("PollForSourceChanges", "false").lower() == "true":
        raise _action_error(
            f"The sandbox does not model polling, which PollForSourceChanges of action "
            f"'{action.name}' asks for: set it to false and start the pipeline by a rule"
        )
    if kind.provider == "Manual":
        _check_topic(action, region)


def _check_count(action: str, side: str, count: int, fewest: int, most: int) -> None:
    if count < fewest:
        raise _action_error(
            f"Action {action} declares {count} {side} artifacts which is less than the minimum "
            f"count ({fewest})"
        )
    if count > most:
        raise _action_error(
            f"Action {action} declares {count} {side} artifacts which is greater than the "
            f"maximum count ({most})"
        )


def _check_topic(action: Action, region: str) -> None:
    arn = action.configuration.get("NotificationArn", "")
    if not arn or REFERENCE.search(arn):
        return
    parts = arn.split(":")
    if len(parts) != 6 or parts[0] != "arn":
        raise _action_error(
            f"The ARN {arn} you specified for sending notifications for the approval action "
            f"{action.name} contains a format error."
        )
    if parts[2] != "sns":
        raise _action_error(
            f"The ARN {arn} has been specified for sending notifications for the approval action "
            f"{action.name}, but the AWS service for this ARN cannot be used to send approval "
            "requests."
        )
    if parts[3] != region:
        raise _action_error(
            f"The ARN {arn} has been specified for sending notifications for the approval action "
            f"{action.name}, but the ARN is not in the same region as the pipeline."
        )


def _check_artifacts(stages: tuple[Stage, ...]) -> None:
    """Every input was an output before, in an earlier stage or at a lower run order."""
    produced: set[str] = set()
    for stage in stages:
        for order in stage.run_orders():
            group = [action for action in stage.actions if action.run_order == order]
            for action in group:
                for name in action.inputs:
                    if name not in produced:
                        raise _action_error(
                            f"Input Artifact Bundle {name} in action {action.name} is not an "
                            "output artifact of any action that runs before it"
                        )
            for action in group:
                for name in action.outputs:
                    if name in produced:
                        raise _action_error(
                            f"Output Artifact Bundle name must be unique within the pipeline. "
                            f"{name} has been used more than once"
                        )
                    produced.add(name)


def _check_variables(stages: tuple[Stage, ...], variables: tuple[Variable, ...]) -> None:
    names = [variable.name for variable in variables]
    for name in names:
        if names.count(name) > 1:
            raise _structure(
                "Variable names must be unique. The following variable name is already in use: "
                f"{name}"
            )
    known = {PIPELINE_NAMESPACE, *([VARIABLES_NAMESPACE] if variables else [])}
    for stage in stages:
        for order in stage.run_orders():
            group = [action for action in stage.actions if action.run_order == order]
            for action in group:
                for key, text in references(action.configuration):
                    if stage.is_source and text.startswith(f"{VARIABLES_NAMESPACE}."):
                        raise _structure(
                            "Variables at the pipeline level cannot be used in source actions.\n"
                            f"StageName=[{stage.name}], ActionName=[{action.name}]"
                        )
                    if text.partition(".")[0] not in known or "." not in text:
                        raise _action_error(
                            "Valid format for a pipeline execution variable reference is a "
                            "namespace and a key separated by a period (.). The following "
                            "pipeline execution variables are referencing a namespace that does "
                            f"not exist.\nStageName=[{stage.name}], ActionName=[{action.name}], "
                            f"ActionConfigurationKey=[{key}], VariableReferenceText=[{text}]"
                        )
            for action in group:
                if action.namespace is None:
                    continue
                if action.namespace in known:
                    raise _action_error(
                        f"Namespace '{action.namespace}' of action '{action.name}' is already in "
                        "use or reserved"
                    )
                known.add(action.namespace)


def _stores(declaration: Mapping[str, Any], region: str) -> dict[str, Store]:
    single, several = declaration.get("artifactStore"), declaration.get("artifactStores")
    if bool(single) == bool(several):
        raise _structure("Pipeline must declare exactly one of artifactStore and artifactStores")
    declared: Mapping[str, Any] = several or {region: single}
    return {
        where: Store(store["location"], (store.get("encryptionKey") or {}).get("id"))
        for where, store in declared.items()
    }


def _check_regions(stages: tuple[Stage, ...], stores: Mapping[str, Store], region: str) -> None:
    needed = {region} | {a.region for stage in stages for a in stage.actions if a.region}
    for where in sorted(needed - set(stores)):
        raise _structure(
            "Your pipeline must have an artifact store, such as an artifact bucket, for each "
            "region where you have an action. The following region is missing in "
            f"'pipeline.artifactStores': {where}."
        )
    if needed - {region}:
        raise _structure(
            "The sandbox does not model actions in another Region than the pipeline's: "
            f"{', '.join(sorted(needed - {region}))}"
        )


def _with_defaults(declaration: Mapping[str, Any], kind: str, version: int) -> dict[str, Any]:
    stages = []
    for stage in declaration["stages"]:
        actions = [
            {
                "runOrder": 1,
                "configuration": {},
                "inputArtifacts": [],
                "outputArtifacts": [],
                **action,
            }
            for action in stage["actions"]
        ]
        stages.append({**stage, "actions": actions})
    return {
        **declaration,
        "stages": stages,
        "version": version,
        "pipelineType": kind,
        "executionMode": declaration.get("executionMode", "SUPERSEDED"),
    }


def _structure(message: str) -> InvalidDeclarationError:
    return InvalidDeclarationError("InvalidStructureException", message)


def _stage_error(message: str) -> InvalidDeclarationError:
    return InvalidDeclarationError("InvalidStageDeclarationException", message)


def _action_error(message: str) -> InvalidDeclarationError:
    return InvalidDeclarationError("InvalidActionDeclarationException", message)
