"""Freezing a stage, and unfreezing what nobody has touched since."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rollback.desk import Desk
from rollback.facts import Deployment
from rollback.pipeline import reason_for_api
from rollback.script import Script
from trellis.records import Freeze

ORDERED = "by hand"
"""Whose freeze it is, where a person ordered it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """A stage's inbound transition after we asked for it to be closed."""

    is_ours: bool
    """We hold it closed; otherwise a person does."""
    is_new: bool
    """It was open before."""


def freeze(script: Script, desk: Desk, deployment: Deployment, reason: str) -> Frozen:
    """Let nothing more into a deployment's stage. The same again is the same."""
    return script.do("freeze", Frozen, lambda: freeze_for(desk, deployment, reason))


def freeze_for(desk: Desk, deployment: Deployment, reason: str) -> Frozen:
    """Close a deployment's stage, for its watch."""
    return close(
        desk, deployment.stage, deployment.execution_id, deployment.action_execution_id, reason
    )


def close(desk: Desk, stage: str, execution_id: str, watch_id: str, reason: str) -> Frozen:
    """Disable a stage's inbound transition, unless it is closed already.

    It is written down before it is done, so that a freeze that was interrupted is still ours.
    """
    pipeline = desk.pipeline.name
    now = desk.pipeline.stage(stage).transition
    before = desk.ledger.frozen(pipeline, stage)
    if not now.is_enabled:
        is_ours = before is not None and now.reason == reason_for_api(before.reason)
        is_this = is_ours and before is not None and before.execution_id == execution_id
        if is_ours and before is not None and watch_id == ORDERED:
            # A person's from now on: the watch that closed it does not open it again.
            desk.ledger.freeze(replace(before, execution_id=execution_id, watch_id=ORDERED))
        return Frozen(is_ours=is_ours, is_new=is_this)
    text = f"Trellis: {reason}"
    desk.ledger.freeze(
        Freeze(
            pipeline=pipeline,
            stage=stage,
            reason=text,
            execution_id=execution_id,
            watch_id=watch_id,
            at=desk.now(),
        )
    )
    desk.pipeline.disable(stage, text)
    return Frozen(is_ours=True, is_new=True)


def unfreeze_after(script: Script, desk: Desk, stage: str, frozen: Frozen) -> bool:
    """Open what was closed for a rollback that is over; gives whether the stage is open then.

    Not what was closed before it, and not what a person has ordered closed since.
    """

    def open_it() -> bool:
        ours = desk.ledger.frozen(desk.pipeline.name, stage)
        if frozen.is_new and (ours is None or ours.watch_id != ORDERED):
            return open_again(desk, stage)
        return desk.pipeline.stage(stage).transition.is_enabled

    return script.do("unfreeze", bool, open_it)


def unfreeze_own(script: Script, desk: Desk, deployment: Deployment) -> bool:
    """Open what this very watch closed, where it still looks as it left it.

    For a watch that steps back: nobody is paged, so nobody would look for what it left closed.
    """

    def open_own() -> bool:
        ours = desk.ledger.frozen(desk.pipeline.name, deployment.stage)
        is_own = ours is not None and ours.watch_id == deployment.action_execution_id
        return is_own and open_again(desk, deployment.stage)

    return script.do("unfreeze", bool, open_own)


def open_again(desk: Desk, stage: str) -> bool:
    """Open what we closed, where it still looks as we left it; gives whether the stage is open.

    Not whether this opened it: a move whose last call went unanswered is made once more.
    """
    pipeline = desk.pipeline.name
    ours = desk.ledger.frozen(pipeline, stage)
    now = desk.pipeline.stage(stage).transition
    if ours is None:
        return now.is_enabled
    is_as_we_left_it = not now.is_enabled and now.reason == reason_for_api(ours.reason)
    if is_as_we_left_it:
        desk.pipeline.enable(stage)
    desk.ledger.unfreeze(pipeline, stage)
    return now.is_enabled or is_as_we_left_it


def let_in(script: Script, desk: Desk, stage: str) -> bool:
    """Open our freeze for a rollback that waits before it; gives whether the stage is open.

    The freeze stays written down, whoever holds it: `shut_again` closes the stage after it.
    """

    def open_it() -> bool:
        ours = desk.ledger.frozen(desk.pipeline.name, stage)
        now = desk.pipeline.stage(stage).transition
        if ours is None or now.is_enabled:
            return now.is_enabled
        if now.reason != reason_for_api(ours.reason):
            return False
        desk.pipeline.enable(stage)
        return True

    return script.do("let it in", bool, open_it)


def shut_again(script: Script, desk: Desk, stage: str) -> None:
    """Close a stage behind the rollback that was let in, unless the freeze was lifted meanwhile."""

    def shut() -> str:
        ours = desk.ledger.frozen(desk.pipeline.name, stage)
        if ours is None or not desk.pipeline.stage(stage).transition.is_enabled:
            return "it is as it should be"
        desk.pipeline.disable(stage, ours.reason)
        return "closed again"

    script.do("shut again", str, shut)
