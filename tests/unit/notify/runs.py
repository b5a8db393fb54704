"""A run that fails: its twenty events, and CodePipeline as it answers about it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

PIPELINE = "shop-pipeline-main"
START = datetime(2026, 11, 24, 9, 0, 0, tzinfo=UTC)
REASONS = {
    "Build": "Build terminated with state: FAILED. Phase: BUILD, Code: COMMAND_EXECUTION_ERROR, "
    "Message: Error while executing command: python -m unittest. Reason: exit status 1",
    "Checks": "Build terminated with state: FAILED. Phase: BUILD, Code: COMMAND_EXECUTION_ERROR, "
    "Message: Error while executing command: ruff check . Reason: exit status 1",
}


def failed_run(execution: str, start: datetime = START) -> list[dict[str, Any]]:
    """Twenty events: two of three parallel actions fail, then their stage, then the pipeline."""

    def event(kind: str, seconds: int, source: str = "aws.codepipeline", **detail: Any) -> Any:
        return {
            "version": "0",
            "id": f"{execution}-{kind}-{seconds}-{len(detail)}",
            "detail-type": kind,
            "source": source,
            "account": "123456789012",
            "time": (start + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": "us-east-1",
            "resources": [f"arn:aws:codepipeline:us-east-1:123456789012:{PIPELINE}"],
            "detail": {key.replace("_", "-"): value for key, value in detail.items()},
        }

    common: dict[str, Any] = {
        "pipeline": PIPELINE,
        "execution_id": execution,
        "version": 7.0,
        "pipeline_execution_attempt": 1.0,
    }

    def pipeline(state: str, seconds: int, **more: Any) -> Any:
        kind = "CodePipeline Pipeline Execution State Change"
        return event(kind, seconds, state=state, **common, **more)

    def stage(name: str, state: str, seconds: int) -> Any:
        kind = "CodePipeline Stage Execution State Change"
        return event(kind, seconds, stage=name, state=state, **common)

    def action(of: str, name: str, state: str, seconds: int, category: str, provider: str) -> Any:
        result: dict[str, Any] = {}
        if state == "FAILED":
            result = {
                "external-execution-summary": REASONS[name],
                "external-execution-id": f"shop-{name.lower()}-main:{execution}",
                "error-code": "JobFailed",
            }
        elif name == "Source" and state == "SUCCEEDED":
            result = {
                "external-execution-id": "3HL4kqtJlcpXroDTDmJ.rmSpXd3dIbrH",
                "external-execution-summary": "8c1f2e9 Show the delivery date in the basket",
            }
        kind = "CodePipeline Action Execution State Change"
        return event(
            kind,
            seconds,
            stage=of,
            action=name,
            state=state,
            action_execution_id=f"{execution}/{name}",
            type={"owner": "AWS", "provider": provider, "category": category, "version": "1"},
            execution_result=result,
            **common,
        )

    def build(project: str, status: str, seconds: int) -> Any:
        return event(
            "CodeBuild Build State Change",
            seconds,
            source="aws.codebuild",
            build_status=status,
            project_name=project,
            build_id=f"arn:aws:codebuild:us-east-1:123456789012:build/{project}:{execution}",
            additional_information={"initiator": f"codepipeline/{PIPELINE}", "logs": {}},
            current_phase="COMPLETED",
            current_phase_context="[: ]",
        )

    return [
        pipeline("STARTED", 0, execution_trigger={"trigger-type": "CloudWatchEvent"}),
        stage("Source", "STARTED", 0),
        action("Source", "Source", "STARTED", 1, "Source", "S3"),
        action("Source", "Source", "SUCCEEDED", 3, "Source", "S3"),
        stage("Source", "SUCCEEDED", 4),
        stage("Build", "STARTED", 4),
        action("Build", "Build", "STARTED", 5, "Build", "CodeBuild"),
        action("Build", "Checks", "STARTED", 5, "Test", "CodeBuild"),
        action("Build", "Lint", "STARTED", 5, "Test", "CodeBuild"),
        build("shop-build-main", "IN_PROGRESS", 6),
        build("shop-checks-main", "IN_PROGRESS", 6),
        build("shop-lint-main", "IN_PROGRESS", 6),
        build("shop-lint-main", "SUCCEEDED", 50),
        action("Build", "Lint", "SUCCEEDED", 51, "Test", "CodeBuild"),
        build("shop-build-main", "FAILED", 60),
        build("shop-checks-main", "FAILED", 61),
        action("Build", "Build", "FAILED", 62, "Build", "CodeBuild"),
        action("Build", "Checks", "FAILED", 62, "Test", "CodeBuild"),
        stage("Build", "FAILED", 63),
        pipeline("FAILED", 64),
    ]


class Pipeline:
    """CodePipeline as it answers once both actions have failed; `error` is what it raises."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.questions: list[str] = []

    def get_pipeline_execution(self, **request: Any) -> dict[str, Any]:
        self._asked("get_pipeline_execution")
        return {
            "pipelineExecution": {
                "pipelineName": request["pipelineName"],
                "pipelineExecutionId": request["pipelineExecutionId"],
                "status": "Failed",
                "executionType": "STANDARD",
                "trigger": {"triggerType": "CloudWatchEvent", "triggerDetail": "arn"},
                "artifactRevisions": [
                    {
                        "name": "SourceArtifact",
                        "revisionId": "3HL4kqtJlcpXroDTDmJ.rmSpXd3dIbrH",
                        "revisionSummary": "8c1f2e9 Show the delivery date in the basket",
                    }
                ],
            }
        }

    def list_action_executions(self, **request: Any) -> dict[str, Any]:
        self._asked("list_action_executions")
        execution = request["filter"]["pipelineExecutionId"]
        return {
            "actionExecutionDetails": [
                self._detail(execution, "Build", "Build", "Build", "Failed"),
                self._detail(execution, "Build", "Checks", "Test", "Failed"),
                self._detail(execution, "Build", "Lint", "Test", "Succeeded"),
                self._detail(execution, "Source", "Source", "Source", "Succeeded"),
            ]
        }

    def batch_get_builds(self, **request: Any) -> dict[str, Any]:
        self._asked("batch_get_builds")
        return {"builds": []}

    def _asked(self, question: str) -> None:
        self.questions.append(question)
        if self.error is not None:
            raise self.error

    @staticmethod
    def _detail(execution: str, stage: str, name: str, category: str, status: str) -> Any:
        result: dict[str, Any] = {}
        if status == "Failed":
            result = {
                "externalExecutionId": f"shop-{name.lower()}-main:{execution}",
                "externalExecutionSummary": REASONS[name],
            }
        provider = "S3" if category == "Source" else "CodeBuild"
        return {
            "pipelineExecutionId": execution,
            "actionExecutionId": f"{execution}/{name}",
            "stageName": stage,
            "actionName": name,
            "status": status,
            "startTime": START,
            "input": {"actionTypeId": {"category": category, "provider": provider}},
            "output": {"executionResult": result},
        }


SILENCE = ReadTimeoutError(endpoint_url="https://codepipeline.us-east-1.amazonaws.com")
DENIED = ClientError(
    {"Error": {"Code": "AccessDeniedException", "Message": "not authorized"}}, "GetPipelineState"
)
