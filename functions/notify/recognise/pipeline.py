"""CodePipeline: pipeline, stage and action state changes, and approval requests.

Both shapes of the same event are read: EventBridge's `detail-type` and the `detailType` with
`additionalAttributes` that CodeStar notification rules send.
https://docs.aws.amazon.com/codepipeline/latest/userguide/detect-state-changes-cloudwatch-events.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from notify.errors import UnrecognisedError
from notify.happening import (
    ApprovalRequest,
    Change,
    FailedAction,
    Level,
    Origin,
    ReleaseEvent,
    State,
)
from notify.recognise.fields import items, mapping, moment, origin, parsed, text, whole

_LEVELS = {
    "CodePipeline Pipeline Execution State Change": Level.PIPELINE,
    "CodePipeline Stage Execution State Change": Level.STAGE,
    "CodePipeline Action Execution State Change": Level.ACTION,
}


def release_event(event: Mapping[str, Any]) -> ReleaseEvent:
    """A state change of a pipeline, a stage or an action."""
    kind = text(event, "detail-type", "detailType") or ""
    level = _LEVELS.get(kind)
    if level is None:
        raise UnrecognisedError(f"no recogniser for {kind!r} from 'aws.codepipeline'")
    detail, extra = mapping(event, "detail"), mapping(event, "additionalAttributes")
    pipeline = text(detail, "pipeline")
    if pipeline is None:
        raise UnrecognisedError(f"{kind!r} without a pipeline's name")
    kind_of_action, result = mapping(detail, "type"), mapping(detail, "execution-result")
    trigger = mapping(detail, "execution-trigger")
    state = _state(detail, kind)
    category = text(kind_of_action, "category")
    said = _said(result) or text(extra, "additionalInformation")
    is_source = category == "Source" and state is State.SUCCEEDED
    change = (
        _from_source(result, text(kind_of_action, "provider"))
        if is_source
        else _from_trigger(trigger) or _from_extra(extra)
    )
    return ReleaseEvent(
        origin=origin(event),
        level=level,
        pipeline=pipeline,
        state=state,
        execution_id=text(detail, "execution-id"),
        stage=text(detail, "stage") or text(extra, "failedStage"),
        action=text(detail, "action"),
        attempt=max(1, whole(detail, "pipeline-execution-attempt") or 1),
        action_execution_id=text(detail, "action-execution-id"),
        category=category,
        provider=text(kind_of_action, "provider"),
        action_region=text(detail, "region"),
        reason=None if is_source else said or text(detail, "stop-execution-comments"),
        error_code=text(result, "error-code"),
        external_url=text(result, "external-execution-url"),
        external_id=text(result, "external-execution-id"),
        trigger=text(trigger, "trigger-type", "provider-type"),
        trigger_detail=text(trigger, "trigger-detail", "full-repository-name"),
        change=change,
        began=moment(detail.get("start-time")),
        failed_actions=_failed_actions(extra),
    )


def approval_request(message: Mapping[str, Any]) -> ApprovalRequest:
    """What a manual approval action publishes; every part but the pipeline's name may be null."""
    approval = mapping(message, "approval")
    pipeline = text(approval, "pipelineName")
    if pipeline is None:
        raise UnrecognisedError("an approval request without a pipeline's name")
    return ApprovalRequest(
        origin=Origin(region=text(message, "region")),
        pipeline=pipeline,
        stage=text(approval, "stageName"),
        action=text(approval, "actionName"),
        token=text(approval, "token"),
        expires=moment(text(approval, "expires")),
        review_url=text(approval, "approvalReviewLink"),
        external_url=text(approval, "externalEntityLink"),
        console_url=text(message, "consoleLink"),
        message=text(approval, "customData"),
    )


def _state(detail: Mapping[str, Any], kind: str) -> State:
    found = text(detail, "state") or ""
    spelled = found.upper().replace("CANCELLED", "CANCELED")
    if spelled not in State:
        raise UnrecognisedError(f"{kind!r} with the unknown state {found!r}")
    return State(spelled)


def _said(result: Mapping[str, Any]) -> str | None:
    """The provider's summary; some put JSON there, whose message is what a person wants."""
    summary = text(result, "external-execution-summary")
    inner = parsed(summary) if summary else None
    if isinstance(inner, Mapping):
        return text(inner, "CommitMessage", "message", "Message") or summary
    return summary


def _from_source(result: Mapping[str, Any], provider: str | None) -> Change | None:
    if not result:
        return None
    return Change(
        revision=text(result, "external-execution-id"),
        summary=_said(result),
        url=text(result, "external-execution-url"),
        provider=provider,
    )


def _from_trigger(trigger: Mapping[str, Any]) -> Change | None:
    """The commit that a Git trigger names."""
    if not (text(trigger, "commit-id") or text(trigger, "commit-message")):
        return None
    return Change(
        revision=text(trigger, "commit-id"),
        summary=text(trigger, "commit-message"),
        author=text(trigger, "author-display-name", "author-id", "author", "author-email"),
        branch=text(trigger, "branch-name", "tag-name"),
    )


def _from_extra(extra: Mapping[str, Any]) -> Change | None:
    """The commit that a CodeStar notification names with its source actions."""
    for action in items(extra, "sourceActions"):
        variables = mapping(action, "sourceActionVariables")
        if text(variables, "CommitId", "VersionId"):
            return Change(
                revision=text(variables, "CommitId", "VersionId"),
                summary=text(variables, "CommitMessage"),
                url=text(variables, "CommitUrl"),
                author=text(variables, "AuthorDisplayName", "AuthorId"),
                branch=text(variables, "BranchName"),
                provider=text(action, "sourceActionProvider"),
            )
    return None


def _failed_actions(extra: Mapping[str, Any]) -> tuple[FailedAction, ...]:
    return tuple(
        FailedAction(
            name=text(one, "action") or "an action",
            stage=text(extra, "failedStage"),
            reason=text(one, "additionalInformation"),
        )
        for one in items(extra, "failedActions")
    )
