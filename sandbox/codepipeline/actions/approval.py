"""Approval/Manual: wait until somebody answers, or time runs out.

https://docs.aws.amazon.com/codepipeline/latest/userguide/approvals.html
"""

from __future__ import annotations

import json
import time
from datetime import timedelta

from botocore.exceptions import ClientError

from sandbox.codepipeline.actions.work import ActionAbandonedError, Finished, Work
from sandbox.codepipeline.execution import Decision
from sandbox.codepipeline.failures import ActionFailedError, is_denied, worded

DEFAULT_TIMEOUT_MINUTES = 7 * 24 * 60


def approve(work: Work) -> Finished:
    minutes = work.action.timeout_minutes or DEFAULT_TIMEOUT_MINUTES
    seconds = minutes * work.pace.minute
    if work.configuration.get("NotificationArn"):
        _notify(work, seconds)
    decision = _answer(work, work.begun + seconds)
    if decision is None:
        raise ActionFailedError(
            "JobFailed", f"The approval was not answered within {minutes} minutes and timed out"
        )
    verb = "Approved" if decision.is_approved else "Rejected"
    summary = decision.summary or f"{verb} by {decision.by}"
    if not decision.is_approved:
        raise ActionFailedError("JobFailed", summary, summary=summary, updated_by=decision.by)
    return Finished(summary=summary, updated_by=decision.by)


def _answer(work: Work, deadline: float) -> Decision | None:
    while True:
        if work.watch.is_abandoned():
            raise ActionAbandonedError
        decision = work.watch.decision()
        if decision is not None:
            return decision
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            return work.watch.expire()
        work.watch.sleep(remaining)


def _notify(work: Work, seconds: float) -> None:
    """Publish what the service publishes.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/approvals-json-format.html
    """
    region = work.scope.region
    console = f"https://console.aws.amazon.com/codepipeline/home?region={region}#/view/"
    here = f"{work.pipeline}/{work.stage}/{work.action.name}"
    expires = work.clock() + timedelta(seconds=seconds)
    message = {
        "region": region,
        "consoleLink": f"{console}{work.pipeline}",
        "approval": {
            "pipelineName": work.pipeline,
            "stageName": work.stage,
            "actionName": work.action.name,
            "token": work.id,
            "expires": expires.strftime("%Y-%m-%dT%H:%MZ"),
            "externalEntityLink": work.configuration.get("ExternalEntityLink"),
            "approvalReviewLink": f"{console}{here}/approve/{work.id}",
            "customData": work.configuration.get("CustomData"),
        },
    }
    subject = f"APPROVAL NEEDED: AWS CodePipeline {work.pipeline} for action {work.action.name}"
    try:
        work.client("sns").publish(
            TopicArn=work.configuration["NotificationArn"],
            Subject=subject[:99],
            Message=json.dumps(message),
        )
    except ClientError as error:
        code = "PermissionError" if is_denied(error) else "ConfigurationError"
        raise ActionFailedError(
            code,
            f"The notification for the approval action {work.action.name} could not be "
            f"published: {worded(error, 'AmazonSNS')}",
        ) from error
