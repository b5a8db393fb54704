"""Under which name a happening is told once, outside of what releases need."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from notify.happening import (
    AlarmEvent,
    ApprovalRequest,
    BuildEvent,
    EnvironmentEvent,
    OwnHappening,
)
from trellis.ledger import about_happening, about_release


def identity(
    happening: ApprovalRequest | BuildEvent | AlarmEvent | EnvironmentEvent | OwnHappening,
) -> tuple[str, str]:
    """What it is about, and the fact within that: the same for every repeat of one event."""
    match happening:
        case ApprovalRequest():
            where = f"{happening.pipeline}#{happening.stage}#{happening.action}"
            return about_happening(where), f"approval#{happening.token}"
        case BuildEvent():
            what = f"{happening.phase}#" if happening.is_phase else ""
            build = happening.build_id or happening.project
            return about_happening(f"build#{build}"), f"{what}{happening.status.value}"
        case AlarmEvent():
            fact = f"{happening.state.value}#{_at(happening.origin.at)}"
            return about_happening(f"alarm#{happening.arn or happening.name}"), fact
        case EnvironmentEvent():
            about = about_environment(happening.environment)
            return about, f"{_at(happening.origin.at)}#{_short(happening.message)}"
        case OwnHappening():
            return _of_own(happening)


def about_environment(name: str | None) -> str:
    """What all that an environment tells of itself is about."""
    return about_happening(f"environment#{name}")


def _of_own(happening: OwnHappening) -> tuple[str, str]:
    from trellis.events import RollbackState, RollbackStateChange, TaggingAuditCompleted

    event = happening.event
    if isinstance(event, TaggingAuditCompleted):
        return about_happening(f"audit#{event.audit_id}"), "completed"
    about = about_release(event.pipeline, event.execution_id)
    if not isinstance(event, RollbackStateChange):
        return about, f"bake#{event.watch_id}#{event.state.value}"
    fact = f"rollback#{event.watch_id}#{event.state.value}"
    if event.state in (RollbackState.FAILED, RollbackState.REFUSED):
        # A watch that gave up may be taken over and then fail for good, under the same id: people
        # need both. An event that is published again carries the same reason.
        return about, f"{fact}#{_short(event.reason)}"
    return about, fact


def _short(text: str) -> str:
    """A text's stand-in, so that a key stays short whatever it is made of."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:12]


def _at(at: datetime | None) -> str:
    return at.astimezone(UTC).isoformat() if at else "?"
