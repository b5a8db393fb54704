"""CodePipeline, as far as rollback reads and changes it.

Every method answers with facts or raises an AwsError of `rollback.calls`. The acts (RollbackStage
has no client token) go through a client that never tries again by itself.
https://docs.aws.amazon.com/codepipeline/latest/APIReference/Welcome.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from rollback.calls import RefusedError, call
from rollback.facts import (
    ActionRun,
    ActionState,
    Deployment,
    Run,
    StageState,
    Transition,
    WaitingApproval,
)
from trellis.commit import commit_message

_LONGEST_REASON = 300
_LONGEST_SUMMARY = 512
_MOST_PAGES = 5


class NoSuchStageError(RefusedError):
    """When the pipeline has no stage of that name, or no deploy action in it."""

    def __init__(self, pipeline: str, stage: str) -> None:
        super().__init__(
            "GetPipelineState", "StageNotFound", f"{pipeline} has no deploy action in {stage}"
        )


class Pipeline:
    """One pipeline; `acting` is a client that makes one attempt."""

    def __init__(self, client: Any, acting: Any, name: str) -> None:
        self._client, self._acting, self._name = client, acting, name

    @property
    def name(self) -> str:
        return self._name

    def run(self, execution_id: str) -> Run:
        """An execution with its variables, which only GetPipelineExecution tells."""
        found = call(
            self._client.get_pipeline_execution,
            pipelineName=self._name,
            pipelineExecutionId=execution_id,
        )["pipelineExecution"]
        revisions = found.get("artifactRevisions") or []
        first = revisions[0] if revisions else {}
        listed = next((one for one in self.runs() if one.execution_id == execution_id), None)
        summary = first.get("revisionSummary") or (listed.summary if listed else None)
        return Run(
            execution_id=execution_id,
            status=str(found.get("status", "")),
            started=listed.started if listed else self._began(execution_id),
            pipeline_version=found.get("pipelineVersion"),
            revision=first.get("revisionId") or (listed.revision if listed else None),
            summary=self._message(execution_id, summary) if summary else None,
            is_rollback=found.get("executionType") == "ROLLBACK",
            rollback_target=_target(found),
            trigger=(found.get("trigger") or {}).get("triggerType"),
            stop_reason=listed.stop_reason if listed else None,
            variables=tuple(
                (str(one.get("name")), str(one.get("resolvedValue")))
                for one in found.get("variables") or []
            ),
        )

    def _message(self, execution_id: str, summary: str) -> str:
        """The commit's message, whole where the source tells it among its variables.

        The summary of a connection's source is JSON and may be cut; a trailer stands last.
        https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodestarConnectionSource.html
        """
        message = commit_message(summary)
        if message == summary:
            return summary
        told = (one.get("output", {}).get("outputVariables") for one in self._actions(execution_id))
        return next(
            (str(one["CommitMessage"]) for one in told if one and one.get("CommitMessage")), message
        )

    def _began(self, execution_id: str) -> datetime:
        """When a run began that is not among the newest: with its first action."""
        actions = self._actions(execution_id)
        return min((one["startTime"] for one in actions if "startTime" in one), default=_EPOCH)

    def runs(self) -> list[Run]:
        """The newest executions, newest first."""
        found = [
            _listed(one)
            for one in call(
                self._client.list_pipeline_executions, pipelineName=self._name, maxResults=100
            )["pipelineExecutionSummaries"]
        ]
        return sorted(found, key=lambda one: one.started, reverse=True)

    def succeeded_in(self, stage: str) -> list[Run]:
        """Executions that succeeded in a stage under the pipeline's present structure.

        The filter looks at the current pipeline version alone, which is what RollbackStage takes
        too. Their order is not documented, so they are sorted here.
        https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_ListPipelineExecutions.html
        """
        found: list[Run] = []
        page: dict[str, Any] = {}
        for _ in range(_MOST_PAGES):
            answer = call(
                self._client.list_pipeline_executions,
                pipelineName=self._name,
                filter={"succeededInStage": {"stageName": stage}},
                **page,
            )
            found += [_listed(one) for one in answer["pipelineExecutionSummaries"]]
            if "nextToken" not in answer:
                break
            page = {"nextToken": answer["nextToken"]}
        return sorted(found, key=lambda one: one.started, reverse=True)

    def deploys(self, execution_id: str | None = None) -> list[ActionRun]:
        """Executions of deploy actions, newest first: of one run, or of the newest runs."""
        return sorted(
            (run for run in map(self._action_run, self._actions(execution_id)) if run is not None),
            key=lambda run: run.deployment.started,
            reverse=True,
        )

    def deploy(self, execution_id: str, action_execution_id: str) -> ActionRun | None:
        """One execution of a deploy action, by its own id."""
        return next(
            (
                run
                for run in self.deploys(execution_id)
                if run.deployment.action_execution_id == action_execution_id
            ),
            None,
        )

    def _actions(self, execution_id: str | None) -> Iterator[Mapping[str, Any]]:
        page: dict[str, Any] = (
            {"filter": {"pipelineExecutionId": execution_id}} if execution_id else {}
        )
        for _ in range(_MOST_PAGES):
            answer = call(self._client.list_action_executions, pipelineName=self._name, **page)
            yield from answer["actionExecutionDetails"]
            if "nextToken" not in answer:
                return
            page = {**page, "nextToken": answer["nextToken"]}

    def _action_run(self, found: Mapping[str, Any]) -> ActionRun | None:
        given = found.get("input", {})
        kind = given.get("actionTypeId", {})
        if kind.get("category") != "Deploy" or kind.get("provider") != "ElasticBeanstalk":
            return None
        configured = {**given.get("configuration", {}), **given.get("resolvedConfiguration", {})}
        result = found.get("output", {}).get("executionResult", {})
        artifacts: list[dict[str, Any]] = given.get("inputArtifacts") or [{}]
        artifact = artifacts[0].get("s3location", {})
        message = result.get("errorDetails", {}).get("message")
        return ActionRun(
            deployment=Deployment(
                pipeline=self._name,
                stage=str(found["stageName"]),
                action=str(found["actionName"]),
                execution_id=str(found["pipelineExecutionId"]),
                action_execution_id=str(found["actionExecutionId"]),
                application=str(configured.get("ApplicationName", "")),
                environment=str(configured.get("EnvironmentName", "")),
                started=found["startTime"],
            ),
            state=ActionState(found["status"]),
            updated=found.get("lastUpdateTime", found["startTime"]),
            external_id=result.get("externalExecutionId"),
            message=message or result.get("externalExecutionSummary"),
            artifact_bucket=artifact.get("bucket"),
            artifact_key=artifact.get("key"),
        )

    def stage(self, stage: str, action: str = "Deploy") -> StageState:
        """A stage as it is now. Raises NoSuchStageError."""
        state = call(self._client.get_pipeline_state, name=self._name)
        found = next((one for one in state["stageStates"] if one["stageName"] == stage), None)
        if found is None:
            raise NoSuchStageError(self._name, stage)
        latest = found.get("latestExecution", {})
        actions = {
            one["actionName"]: one.get("latestExecution", {}) for one in found["actionStates"]
        }
        approval = self._approval(stage)
        transition = found.get("inboundTransitionState", {})
        return StageState(
            pipeline_version=int(state.get("pipelineVersion", 0)),
            execution_id=latest.get("pipelineExecutionId"),
            status=latest.get("status"),
            action_execution_id=actions.get(action, {}).get("actionExecutionId"),
            inbound=tuple(
                str(one["pipelineExecutionId"])
                for one in found.get("inboundExecutions") or []
                if one.get("status") != "Stopped"
            ),
            transition=Transition(
                is_enabled=transition.get("enabled", True),
                reason=transition.get("disabledReason"),
                changed_by=transition.get("lastChangedBy"),
                changed_at=transition.get("lastChangedAt"),
            ),
            has_approval=approval is not None,
            approval_action=approval,
            approval_token=actions.get(approval, {}).get("token") if approval else None,
        )

    def _approval(self, stage: str) -> str | None:
        """The name of a stage's approval action; GetPipelineState does not tell categories."""
        declared = call(self._client.get_pipeline, name=self._name)["pipeline"]
        for one in declared["stages"]:
            if one["name"] == stage:
                for action in one["actions"]:
                    if action["actionTypeId"]["category"] == "Approval":
                        return str(action["name"])
        return None

    def approvals(self) -> list[WaitingApproval]:
        """The approvals that wait for an answer, in whatever stage; who waits longest comes first.

        Nothing but an open approval has a token, and its last change of status is its beginning.
        ListActionExecutions would tell too, but not within a bounded number of pages: runs that
        are superseded before the stage bury what waits in it.
        https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_ActionExecution.html
        """
        state = call(self._client.get_pipeline_state, name=self._name)
        found = [
            WaitingApproval(
                stage=str(stage["stageName"]),
                action=str(action["actionName"]),
                since=latest["lastStatusChange"],
            )
            for stage in state["stageStates"]
            for action in stage.get("actionStates") or []
            for latest in [action.get("latestExecution", {})]
            if latest.get("token") and latest.get("status") == "InProgress"
        ]
        return sorted(found, key=lambda one: one.since)

    # Changing ------------------------------------------------------------------------------

    def disable(self, stage: str, reason: str) -> None:
        """Let nothing enter a stage; the reason is made to fit what the API takes."""
        call(
            self._client.disable_stage_transition,
            pipelineName=self._name,
            stageName=stage,
            transitionType="Inbound",
            reason=reason_for_api(reason),
        )

    def enable(self, stage: str) -> None:
        """Let executions enter a stage again."""
        call(
            self._client.enable_stage_transition,
            pipelineName=self._name,
            stageName=stage,
            transitionType="Inbound",
        )

    def roll_back(self, stage: str, target: str) -> str:
        """RollbackStage to an execution; gives the id of the new execution. One attempt."""
        answer = call(
            self._acting.rollback_stage,
            pipelineName=self._name,
            stageName=stage,
            targetPipelineExecutionId=target,
        )
        return str(answer["pipelineExecutionId"])

    def rollback_begun(self, target: str, since: datetime) -> Run | None:
        """The rollback to a target that began since a time: what an interrupted act has done."""
        return next(
            (
                run
                for run in self.runs()
                if run.is_rollback and run.rollback_target == target and run.started >= since
            ),
            None,
        )

    def reject(self, stage: str, action: str, token: str, summary: str) -> None:
        """Reject an approval that waits."""
        call(
            self._client.put_approval_result,
            pipelineName=self._name,
            stageName=stage,
            actionName=action,
            result={"summary": summary[:_LONGEST_SUMMARY], "status": "Rejected"},
            token=token,
        )


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


def _listed(found: Mapping[str, Any]) -> Run:
    revisions = found.get("sourceRevisions") or []
    first = revisions[0] if revisions else {}
    return Run(
        execution_id=str(found["pipelineExecutionId"]),
        status=str(found.get("status", "")),
        started=found.get("startTime", _EPOCH),
        revision=first.get("revisionId"),
        summary=first.get("revisionSummary"),
        is_rollback=found.get("executionType") == "ROLLBACK",
        rollback_target=_target(found),
        trigger=(found.get("trigger") or {}).get("triggerType"),
        stop_reason=(found.get("stopTrigger") or {}).get("reason"),
    )


def _target(found: Mapping[str, Any]) -> str | None:
    target = (found.get("rollbackMetadata") or {}).get("rollbackTargetPipelineExecutionId")
    return str(target) if target else None


_NOT_IN_A_REASON = re.compile(r"[^a-zA-Z0-9!@ ().*?-]+")


def reason_for_api(reason: str) -> str:
    """A reason in the characters that DisableStageTransition takes: no colon, slash, underscore,
    comma or number sign.
    https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_DisableStageTransition.html
    """
    return " ".join(_NOT_IN_A_REASON.sub(" ", reason).split())[:_LONGEST_REASON].strip() or "frozen"
