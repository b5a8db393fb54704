"""From what happened, and what is known of it, to a notice a person can act on. Pure."""

from __future__ import annotations

from notify.happening import (
    AlarmEvent,
    ApprovalRequest,
    BuildEvent,
    EnvironmentEvent,
    Happening,
    Over,
    OwnHappening,
    ReleaseEvent,
)
from notify.notice import Notice
from notify.story import Story


def compose(
    happening: Happening,
    story: Story | None = None,
    recovered_from: int = 0,
    *,
    is_recovery: bool = False,
    over: Over | None = None,
    is_silent: bool = False,
) -> Notice:
    """The notice of anything that can happen.

    `story` and `recovered_from` (failed runs that a success makes good) count for releases only;
    for alarms and environments `is_recovery`, where something bad was told before, and `over`,
    where the bad that it tells of is over; for alarms `is_silent`, where OK says nothing of an
    environment that was not well.
    """
    match happening:
        case ReleaseEvent():
            from notify.compose.release import release_notice

            return release_notice(happening, story or Story(), recovered_from)
        case ApprovalRequest():
            from notify.compose.approval import approval_notice

            return approval_notice(happening)
        case BuildEvent():
            from notify.compose.build import build_notice

            return build_notice(happening)
        case AlarmEvent():
            from notify.compose.alarm import alarm_notice

            return alarm_notice(happening, is_recovery=is_recovery, over=over, is_silent=is_silent)
        case EnvironmentEvent():
            from notify.compose.environment import environment_notice

            return environment_notice(happening, is_recovery=is_recovery, over=over)
        case OwnHappening():
            from notify.compose.own import own_notice

            return own_notice(happening)
