"""CodeBuild: state changes of builds, and the ends of their phases.

https://docs.aws.amazon.com/codebuild/latest/userguide/sample-build-notifications-ref.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from notify.errors import NotForUsError, UnrecognisedError
from notify.happening import BuildEvent, BuildStatus
from notify.recognise.fields import items, mapping, origin, text, whole

_STATE = "CodeBuild Build State Change"
_PHASE = "CodeBuild Build Phase Change"
_EMPTY_CONTEXT = re.compile(r"^[\s\[\]:]*$")


def build_event(event: Mapping[str, Any]) -> BuildEvent:
    """A build's state, or the phase that ended."""
    kind = text(event, "detail-type", "detailType") or ""
    if kind not in (_STATE, _PHASE):
        if kind.startswith("CodeBuild"):
            raise NotForUsError(f"{kind!r}: builds are told, what runs them is not")
        raise UnrecognisedError(f"no recogniser for {kind!r} from 'aws.codebuild'")
    detail = mapping(event, "detail")
    project = text(detail, "project-name")
    if project is None:
        raise UnrecognisedError(f"{kind!r} without a project's name")
    extra = mapping(detail, "additional-information")
    is_phase = kind == _PHASE
    failed = _failed_phase(extra)
    phase = text(detail, "completed-phase") if is_phase else text(failed, "phase-type")
    own_context = "completed-phase-context" if is_phase else "current-phase-context"
    return BuildEvent(
        origin=origin(event),
        project=project,
        status=_status(detail, kind, is_phase=is_phase),
        build_id=_build_id(text(detail, "build-id")),
        is_phase=is_phase,
        phase=phase,
        reason=_context(detail.get(own_context)) or _context(failed.get("phase-context")),
        initiator=text(extra, "initiator"),
        log_url=_log_url(mapping(extra, "logs")),
        source_version=text(extra, "source-version"),
        number=whole(extra, "build-number"),
    )


def _status(detail: Mapping[str, Any], kind: str, *, is_phase: bool) -> BuildStatus:
    found = text(detail, "completed-phase-status" if is_phase else "build-status")
    if found is None and is_phase:
        return BuildStatus.IN_PROGRESS
    spelled = (found or "").upper().replace(" ", "_")
    if spelled not in BuildStatus:
        raise UnrecognisedError(f"{kind!r} with the unknown status {found!r}")
    return BuildStatus(spelled)


def _failed_phase(extra: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first phase that ended badly: the only place where some errors stand."""
    for phase in items(extra, "phases"):
        status = text(phase, "phase-status")
        if status not in (None, "SUCCEEDED", "IN_PROGRESS", "QUEUED"):
            return phase
    return {}


def _context(value: object) -> str | None:
    """The words of a phase's context: a list of texts, or such a list written as text."""
    lines = value if isinstance(value, list) else [value]
    said = [
        line.strip().removeprefix("[").removesuffix("]").strip()
        for line in lines
        if isinstance(line, str) and not _EMPTY_CONTEXT.match(line)
    ]
    return "\n".join(said) or None


def _build_id(arn: str | None) -> str | None:
    """`project:uuid`, from the ARN that events carry."""
    return arn.rsplit("build/", 1)[-1] if arn else None


def _log_url(logs: Mapping[str, Any]) -> str | None:
    """The link to the log; before the log exists it says `group=null;stream=null`."""
    url = text(logs, "deep-link")
    return None if url is None or "stream=null" in url else url
