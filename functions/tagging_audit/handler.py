"""tagging_audit's door: an audit, a tag that changed, or a second look."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tagging_audit.command import (
    Audit,
    Command,
    CommandError,
    Created,
    GoOn,
    LookAgain,
    Nothing,
    Parcel,
    TagChange,
    command_in,
    parcels_in,
)
from tagging_audit.config import Config
from tagging_audit.hearing import hear
from tagging_audit.policy import Policy
from tagging_audit.policy_file import parse
from tagging_audit.scope import RemedyMode
from trellis.observability import count, logger, metrics

if TYPE_CHECKING:
    from tagging_audit.office import Office

POLICY = Path(__file__).with_name("policy.toml")


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Do what an invocation asks for.

    From the queue it answers which messages failed, so that only those come again; whoever calls
    by hand gets the answer itself, or the error. Audits that one batch asks for twice are one.
    """
    config, parcels = _config(), parcels_in(event)
    metrics.add_dimension(name="stack", value=config.stack.name)
    desk = _Desk(config, context)
    count("MessagesHandled", len(parcels))
    answers: list[dict[str, Any]] = []
    failed: list[Parcel] = []
    for command, its in _commands(parcels):
        try:
            answers.append(_do(command, desk))
        except Exception:  # whatever it is, the other messages must not suffer
            logger.exception("will be tried again", messages=[one.message_id for one in its])
            count("CommandsFailed")
            if its[0].message_id is None:
                metrics.flush_metrics()
                raise
            failed += its
    metrics.flush_metrics()
    if any(one.message_id is not None for one in parcels):
        return {"batchItemFailures": [{"itemIdentifier": one.message_id} for one in failed]}
    return answers[0] if answers else {}


def _commands(parcels: list[Parcel]) -> list[tuple[Command, list[Parcel]]]:
    """What the messages ask for, the long work last; what nobody understands is told and dropped.

    Raises CommandError for what a person handed over.
    """
    found: list[tuple[Command, list[Parcel]]] = []
    for parcel in parcels:
        try:
            command = command_in(parcel.content)
        except CommandError as err:
            count("CommandsNotUnderstood")
            logger.error("not understood", reason=str(err))
            if parcel.message_id is None:
                metrics.flush_metrics()
                raise
            continue
        same = next((its for other, its in found if other == command), None)
        if same is None:
            found.append((command, [parcel]))
        else:
            same.append(parcel)
    return sorted(found, key=lambda one: isinstance(one[0], Audit | GoOn | LookAgain))


def _do(command: Command, desk: _Desk) -> dict[str, Any]:
    match command:
        case Nothing():
            logger.info("ignored", reason=command.reason)
            return {"outcome": "ignored", "reason": command.reason}
        case TagChange():
            return _hear(command, desk)
        case _ if desk.config.is_dry_run:
            return {"outcome": "dry run", "would": repr(command)}
        case Created():
            return _watch(command, desk)
        case Audit():
            from tagging_audit.workflow import audit, begin

            return audit(begin(command, desk.office), desk.office)
        case GoOn():
            from tagging_audit.workflow import go_on

            return go_on(command.audit_id, desk.office)
        case LookAgain():
            from tagging_audit.second_look import look_again

            return look_again(desk.office)


def _hear(change: TagChange, desk: _Desk) -> dict[str, Any]:
    """Judge a tag event by itself; only what may have to be told goes on to a second look."""
    config = desk.config
    heard = hear(
        change,
        config.scope,
        config.stack,
        desk.policy,
        datetime.now(UTC),
        config.region,
        tags_api_only_types=config.remedy is not RemedyMode.OFF,
    )
    answer: dict[str, Any] = {
        "arn": change.arn,
        "verdict": heard.judgement.verdict.value,
        "findings": [
            {"tag": one.tag, "problem": one.problem.value, "text": one.text}
            for one in heard.judgement.findings
        ],
        "reason": heard.judgement.reason,
    }
    if heard.reason_to_ignore is not None:
        logger.info("ignored", reason=heard.reason_to_ignore)
        return {**answer, "outcome": "ignored", "reason": heard.reason_to_ignore}
    logger.info("judged", **answer)
    if config.is_dry_run:
        return {**answer, "outcome": "dry run"}
    from tagging_audit.second_look import await_look

    await_look({change.arn: change.tags}, f"event-{change.version:020d}", desk.office)
    return {**answer, "outcome": "looked at again when its grace is over"}


def _watch(created: Created, desk: _Desk) -> dict[str, Any]:
    """Look at what was just created when its grace is over."""
    from tagging_audit.second_look import await_look

    await_look(dict.fromkeys(created.arns), "created", desk.office)
    logger.info("created", resources=list(created.arns))
    return {"outcome": "looked at again when its grace is over", "arns": list(created.arns)}


class _Desk:
    """What one invocation works with; the office behind it opens when it is first needed."""

    def __init__(self, config: Config, context: Any) -> None:
        self.config, self._context = config, context

    @cached_property
    def policy(self) -> Policy:
        return _policy(self.config.parameters)

    @cached_property
    def office(self) -> Office:
        from tagging_audit.wiring import open_office

        return open_office(self.config, self.policy, self._context)


@cache
def _config() -> Config:
    return Config.from_env(os.environ)


@cache
def _policy(parameters: tuple[tuple[str, str], ...]) -> Policy:
    from tagging_audit.inventory.listing import SERVICES

    return parse(POLICY.read_text(encoding="utf-8"), dict(parameters), SERVICES)
