"""What AWS knows of a release that its events do not say.

Every question has a short timeout and may go unanswered: a message goes out all the same. A
service that did not answer is left alone for a while, so that its silence is waited for once and
not for every message of a batch. Nothing is changed by asking, so what breaks off at once is asked
again, once: the connection may be one that was closed while the function was frozen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from notify.happening import Change, FailedAction, ReleaseEvent
from notify.story import Approval, Occasion, Running, Story, occasion
from trellis.commit import commit_message
from trellis.ledger import Bake, Sighting

_SILENCE_SECONDS = 30.0
_AT_ONCE_SECONDS = 1.0
_MOST_DEEP_LOOKS = 3
_LOG_EVENTS = 100
_LOG_LINES = 15
_MOST_EVIDENCE = 6
_COMMAND_FAILED = re.compile(r"Command did not exit successfully")
_NEEDS_NOTHING = (Occasion.STARTED, Occasion.RESUMED, Occasion.PROGRESS)
_SHOWS_ENVIRONMENTS = (Occasion.APPROVAL_WANTED, Occasion.SUCCEEDED, Occasion.FAILED)

type _Detail = dict[str, Any]


class Gatherer:
    """Asks AWS; what did not answer is reported to `unanswered` and left out."""

    def __init__(
        self,
        client: Callable[[str], Any],
        unanswered: Callable[[str, Exception], None],
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._unanswered = unanswered
        self._clock = clock
        self._silent_until: dict[str, float] = {}

    def story(
        self, event: ReleaseEvent, sightings: Sequence[Sighting], bakes: Sequence[Bake] = ()
    ) -> Story:
        """All that is known of a release now."""
        seen = Story(sightings=tuple(sightings), bakes=tuple(bakes))
        told = occasion(event)
        if event.execution_id is None or told in _NEEDS_NOTHING:
            return seen
        execution = self._execution(event)
        actions = self._newest_actions(event)
        failed = None if actions is None else self._failed_actions(actions)
        is_deploy = failed is None or any(one.category == "Deploy" for one in failed)
        shows = told in _SHOWS_ENVIRONMENTS and (told is not Occasion.FAILED or is_deploy)
        return replace(
            seen,
            failed_actions=failed,
            trigger=execution.get("trigger", {}).get("triggerType"),
            is_rollback=execution.get("executionType") == "ROLLBACK",
            change=_change(execution.get("artifactRevisions") or [], actions or []),
            running=self._running(actions or []) if shows else (),
            approval=_approval(event, actions or []),
        )

    def _ask[T](self, service: str, question: str, answer: Callable[[Any], T]) -> T | None:
        from botocore import exceptions as aws

        if self._silent_until.get(service, 0.0) > self._clock():
            return None
        began = self._clock()
        try:
            client = self._client(service)
            try:
                return answer(client)
            except (aws.ConnectionClosedError, aws.SSLError):
                # Over TLS a hang-up without a word is an SSLError. What broke off late was silence:
                # a second wait for it would double the time that a message may take.
                if self._clock() - began > _AT_ONCE_SECONDS:
                    raise
                return answer(client)
        except (aws.ConnectionError, aws.HTTPClientError) as err:
            self._silent_until[service] = self._clock() + _SILENCE_SECONDS
            self._unanswered(question, err)
        except (aws.BotoCoreError, aws.ClientError) as err:
            self._unanswered(question, err)
        return None

    def _execution(self, event: ReleaseEvent) -> _Detail:
        answer = self._ask(
            "codepipeline",
            "GetPipelineExecution",
            lambda client: client.get_pipeline_execution(
                pipelineName=event.pipeline, pipelineExecutionId=event.execution_id
            ),
        )
        return dict(answer["pipelineExecution"]) if answer else {}

    def _newest_actions(self, event: ReleaseEvent) -> list[_Detail] | None:
        """The newest execution of each action: a retried stage lists its earlier tries too."""
        found = self._ask(
            "codepipeline",
            "ListActionExecutions",
            lambda client: _all_actions(client, event),
        )
        if found is None:
            return None
        newest: dict[tuple[str, str], _Detail] = {}
        for detail in found:
            key = (detail["stageName"], detail["actionName"])
            if key not in newest or detail["startTime"] > newest[key]["startTime"]:
                newest[key] = detail
        return sorted(newest.values(), key=lambda detail: detail["startTime"])

    def _failed_actions(self, actions: Sequence[_Detail]) -> tuple[FailedAction, ...]:
        failed = [_failed_action(detail) for detail in actions if detail["status"] == "Failed"]
        return tuple(
            self._looked_into(one) if number < _MOST_DEEP_LOOKS else one
            for number, one in enumerate(failed)
        )

    def _looked_into(self, failed: FailedAction) -> FailedAction:
        """A failed action with what its own service knows about it."""
        if failed.provider == "CodeBuild" and failed.external_id:
            return self._build(failed, failed.external_id)
        if failed.provider == "ElasticBeanstalk" and failed.environment:
            return replace(failed, evidence=self._evidence(failed.environment))
        return failed

    def _build(self, failed: FailedAction, build_id: str) -> FailedAction:
        answer = self._ask(
            "codebuild",
            "BatchGetBuilds",
            lambda client: client.batch_get_builds(ids=[build_id]),
        )
        build: _Detail = next(iter((answer or {}).get("builds", [])), {})
        logs: _Detail = build.get("logs", {})
        phase: _Detail = next(
            (
                one
                for one in build.get("phases", [])
                if one.get("phaseStatus") not in (None, "SUCCEEDED", "IN_PROGRESS", "QUEUED")
            ),
            {},
        )
        group, stream = logs.get("groupName"), logs.get("streamName")
        return replace(
            failed,
            phase=phase.get("phaseType"),
            reason=failed.reason or _context(phase),
            log_url=logs.get("deepLink") if stream else None,
            log_tail=self._log_tail(group, stream) if group and stream else (),
        )

    def _log_tail(self, group: str, stream: str) -> tuple[str, ...]:
        answer = self._ask(
            "logs",
            "GetLogEvents",
            lambda client: client.get_log_events(
                logGroupName=group, logStreamName=stream, limit=_LOG_EVENTS, startFromHead=False
            ),
        )
        return log_tail([one.get("message", "") for one in (answer or {}).get("events", [])])

    def _evidence(self, environment: str) -> tuple[str, ...]:
        """What is wrong with an environment: the causes of its health, then its last warnings."""
        health = self._ask(
            "elasticbeanstalk",
            "DescribeEnvironmentHealth",
            lambda client: client.describe_environment_health(
                EnvironmentName=environment, AttributeNames=["HealthStatus", "Causes"]
            ),
        )
        events = self._ask(
            "elasticbeanstalk",
            "DescribeEvents",
            lambda client: client.describe_events(
                EnvironmentName=environment, Severity="WARN", MaxRecords=_MOST_EVIDENCE
            ),
        )
        said = [*(health or {}).get("Causes", [])]
        said += [one["Message"] for one in (events or {}).get("Events", []) if "Message" in one]
        return tuple(dict.fromkeys(said))[:_MOST_EVIDENCE]

    def _running(self, actions: Sequence[_Detail]) -> tuple[Running, ...]:
        """What the environments of this release's application run, in the order of its stages."""
        names = list(
            dict.fromkeys(
                name for name in (_setting(detail, "EnvironmentName") for detail in actions) if name
            )
        )
        if not names:
            return ()
        answer = self._ask(
            "elasticbeanstalk",
            "DescribeEnvironments",
            lambda client: client.describe_environments(EnvironmentNames=names),
        )
        found = {one["EnvironmentName"]: one for one in (answer or {}).get("Environments", [])}
        return tuple(
            Running(
                environment=name,
                version_label=found[name].get("VersionLabel"),
                health=found[name].get("HealthStatus") or found[name].get("Health"),
                url=found[name].get("CNAME"),
            )
            for name in names
            if name in found
        )


def log_tail(messages: Sequence[str]) -> tuple[str, ...]:
    """The lines of a build log that say why it failed.

    After a failed command CodeBuild goes on logging: the lines that matter end where it says so.
    """
    lines = [line.rstrip() for message in messages for line in message.splitlines()]
    failed_at = [number for number, line in enumerate(lines) if _COMMAND_FAILED.search(line)]
    end = failed_at[0] + 1 if failed_at else len(lines)
    return tuple(line for line in lines[:end] if line.strip())[-_LOG_LINES:]


def _all_actions(client: Any, event: ReleaseEvent) -> list[_Detail]:
    found: list[_Detail] = []
    page: dict[str, Any] = {}
    while True:
        answer = client.list_action_executions(
            pipelineName=event.pipeline, filter={"pipelineExecutionId": event.execution_id}, **page
        )
        found += answer["actionExecutionDetails"]
        if "nextToken" not in answer:
            return found
        page = {"nextToken": answer["nextToken"]}


def _setting(detail: _Detail, name: str) -> str | None:
    """A setting of an action, its variables filled in where CodePipeline did so."""
    given: _Detail = detail.get("input", {})
    for settings in (given.get("resolvedConfiguration"), given.get("configuration")):
        if settings and settings.get(name):
            return str(settings[name])
    return None


def _failed_action(detail: _Detail) -> FailedAction:
    result = detail.get("output", {}).get("executionResult", {})
    kind = _kind(detail)
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
        by=detail.get("updatedBy") if kind.get("category") == "Approval" else None,
        environment=_setting(detail, "EnvironmentName"),
        application=_setting(detail, "ApplicationName"),
    )


def _context(phase: _Detail) -> str | None:
    said = [
        ": ".join(part for part in (one.get("statusCode"), one.get("message")) if part)
        for one in phase.get("contexts", [])
    ]
    return "\n".join(line for line in said if line) or None


def _approval(event: ReleaseEvent, actions: Sequence[_Detail]) -> Approval | None:
    """The approval that an event is about."""
    for detail in actions:
        if (detail["stageName"], detail["actionName"]) == (event.stage, event.action):
            if _kind(detail).get("category") != "Approval":
                return None
            result = detail.get("output", {}).get("executionResult", {})
            return Approval(
                asks=_setting(detail, "CustomData"),
                url=_setting(detail, "ExternalEntityLink"),
                by=detail.get("updatedBy"),
                words=result.get("externalExecutionSummary"),
            )
    return None


def _change(revisions: Sequence[_Detail], actions: Sequence[_Detail]) -> Change | None:
    """The code that travels; a connection's source says more about it in its variables.

    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodestarConnectionSource.html
    """
    source: _Detail = next((one for one in actions if _kind(one).get("category") == "Source"), {})
    variables: _Detail = source.get("output", {}).get("outputVariables", {})
    revision: _Detail = next(iter(revisions), {})
    if not revision and not variables:
        return None
    summary = revision.get("revisionSummary")
    return Change(
        revision=revision.get("revisionId")
        or variables.get("CommitId")
        or variables.get("VersionId"),
        summary=variables.get("CommitMessage") or (commit_message(summary) if summary else None),
        url=revision.get("revisionUrl"),
        author=variables.get("AuthorDisplayName")
        or variables.get("AuthorId")
        or variables.get("AuthorEmail"),
        branch=variables.get("BranchName"),
        provider=_kind(source).get("provider"),
    )


def _kind(detail: _Detail) -> _Detail:
    found: _Detail = detail.get("input", {}).get("actionTypeId", {})
    return found
