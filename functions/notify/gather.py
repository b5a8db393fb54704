"""What AWS knows of a release that its events do not say.

Every question has a short timeout and may go unanswered: a message goes out all the same. The
answers are read where they stand, nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from notify.happening import Change, FailedAction, ReleaseEvent
from notify.story import Story
from trellis.ledger import Sighting


class Gatherer:
    """Asks AWS; what did not answer is reported to `unanswered` and left out."""

    def __init__(
        self, client: Callable[[str], Any], unanswered: Callable[[str, Exception], None]
    ) -> None:
        self._client = client
        self._unanswered = unanswered

    def story(self, event: ReleaseEvent, sightings: list[Sighting]) -> Story:
        """All that is known of a release now."""
        if event.execution_id is None:
            return Story(sightings=tuple(sightings))
        execution = self._ask("GetPipelineExecution", lambda: self._execution(event)) or {}
        actions = self._ask("ListActionExecutions", lambda: self._newest_actions(event))
        return Story(
            sightings=tuple(sightings),
            failed_actions=None if actions is None else _failed_actions(actions),
            trigger=execution.get("trigger", {}).get("triggerType"),
            change=_change(execution.get("artifactRevisions") or [], actions or []),
        )

    def _ask[T](self, question: str, answer: Callable[[], T]) -> T | None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return answer()
        except (BotoCoreError, ClientError) as err:
            self._unanswered(question, err)
            return None

    def _execution(self, event: ReleaseEvent) -> dict[str, Any]:
        answer = self._client("codepipeline").get_pipeline_execution(
            pipelineName=event.pipeline, pipelineExecutionId=event.execution_id
        )
        found: dict[str, Any] = answer["pipelineExecution"]
        return found

    def _newest_actions(self, event: ReleaseEvent) -> list[dict[str, Any]]:
        """The newest execution of each action: a retried stage lists its earlier tries too."""
        newest: dict[tuple[str, str], dict[str, Any]] = {}
        for detail in self._action_executions(event):
            key = (detail["stageName"], detail["actionName"])
            if key not in newest or detail["startTime"] > newest[key]["startTime"]:
                newest[key] = detail
        return list(newest.values())

    def _action_executions(self, event: ReleaseEvent) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        page: dict[str, Any] = {}
        while True:
            answer = self._client("codepipeline").list_action_executions(
                pipelineName=event.pipeline,
                filter={"pipelineExecutionId": event.execution_id},
                **page,
            )
            found += answer["actionExecutionDetails"]
            if "nextToken" not in answer:
                return found
            page = {"nextToken": answer["nextToken"]}


def _failed_actions(actions: Sequence[dict[str, Any]]) -> tuple[FailedAction, ...]:
    return tuple(_failed_action(detail) for detail in actions if detail["status"] == "Failed")


def _failed_action(detail: dict[str, Any]) -> FailedAction:
    result = detail.get("output", {}).get("executionResult", {})
    kind = detail.get("input", {}).get("actionTypeId", {})
    return FailedAction(
        name=detail["actionName"],
        stage=detail["stageName"],
        reason=result.get("externalExecutionSummary")
        or result.get("errorDetails", {}).get("message"),
        url=result.get("externalExecutionUrl"),
        category=kind.get("category"),
        provider=kind.get("provider"),
        external_id=result.get("externalExecutionId"),
        execution_id=detail.get("actionExecutionId"),
        by=detail.get("updatedBy"),
    )


def _change(
    revisions: Sequence[dict[str, Any]], actions: Sequence[dict[str, Any]]
) -> Change | None:
    if not revisions:
        return None
    providers = [
        kind.get("provider")
        for kind in (detail.get("input", {}).get("actionTypeId", {}) for detail in actions)
        if kind.get("category") == "Source"
    ]
    return Change(
        revision=revisions[0].get("revisionId"),
        summary=revisions[0].get("revisionSummary"),
        url=revisions[0].get("revisionUrl"),
        provider=next(iter(providers), None),
    )
