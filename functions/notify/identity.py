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
            said = hashlib.sha256(happening.message.encode(errors="replace")).hexdigest()[:12]
            about = about_happening(f"environment#{happening.environment}")
            return about, f"{_at(happening.origin.at)}#{said}"
        case OwnHappening():
            return _of_own(happening)


def _of_own(happening: OwnHappening) -> tuple[str, str]:
    from trellis.events import RollbackStateChange, TaggingAuditCompleted

    event = happening.event
    if isinstance(event, TaggingAuditCompleted):
        return about_happening(f"audit#{event.audit_id}"), "completed"
    kind = "rollback" if isinstance(event, RollbackStateChange) else "bake"
    about = about_release(event.pipeline, event.execution_id)
    return about, f"{kind}#{event.watch_id}#{event.state.value}"


def _at(at: datetime | None) -> str:
    return at.astimezone(UTC).isoformat() if at else "?"
