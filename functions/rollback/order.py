"""What this function can be asked for: an event of CodePipeline, the sweep, a person's command.

{"detail-type": "CodePipeline Action Execution State Change", …}   from the rule
{"sweep": {}}                                                      from the schedule
{"watch": {…deployment…}, "dead": "<holder>"}                      from the sweep, to itself
{"command": "plan", "environment": "prod"}                         by hand, and so on
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from rollback.codec import decode
from rollback.facts import Deployment
from trellis.errors import TrellisError

_ACTION_CHANGE = "CodePipeline Action Execution State Change"
_STATES = ("STARTED", "SUCCEEDED", "FAILED", "ABANDONED")


class NotForUsError(TrellisError):
    """When an event is understood and there is nothing to do about it; the text says why."""


class BadOrderError(TrellisError):
    """When nobody can tell what is wanted; the text names the field, its value and the mend."""


class CommandName(StrEnum):
    """What a person may want."""

    PLAN = "plan"
    ROLL_BACK = "roll-back"
    RELEASE = "release"
    LIFT_QUARANTINE = "lift-quarantine"
    FREEZE = "freeze"
    UNFREEZE = "unfreeze"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """Look for deployments that nobody watches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Watch one deployment, `dead`: in the place of a holder that died."""

    deployment: Deployment
    dead: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """A deploy action began or ended; what the event leaves out is looked up."""

    pipeline: str
    stage: str
    action: str
    execution_id: str
    action_execution_id: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a person wants."""

    name: CommandName
    environment: str | None = None
    """Its name, its stage's name or its tier."""
    version: str | None = None
    """A revision or a version label."""
    reason: str = ""


type Order = Sweep | Watch | Happened | Command


def read(event: Mapping[str, Any], now: datetime, oldest: timedelta) -> Order:
    """What an event asks for. Raises NotForUsError or BadOrderError."""
    if "sweep" in event:
        return Sweep()
    if "watch" in event:
        dead = event.get("dead")
        return Watch(deployment=_deployment(event["watch"]), dead=str(dead) if dead else None)
    if "command" in event:
        return _command(event)
    if event.get("detail-type") == _ACTION_CHANGE:
        return _happened(event, now, oldest)
    keys = ", ".join(sorted(map(str, event))) or "nothing"
    raise BadOrderError(f"the event holds {keys}: see docs/rollback.md for what can be asked")


def _deployment(written: object) -> Deployment:
    try:
        return decode(Deployment, _mapping(written))
    except (TypeError, ValueError) as err:
        raise BadOrderError(f"watch holds no deployment: {err}") from err


def _happened(event: Mapping[str, Any], now: datetime, oldest: timedelta) -> Happened:
    if event.get("replay-name"):
        raise NotForUsError(f"the event is replayed ({event['replay-name']}): it is history")
    at = _time(event.get("time"))
    if at is not None and now - at > oldest:
        minutes = round((now - at).total_seconds() / 60)
        raise NotForUsError(f"the event is {minutes} minutes old: the sweep looks after the past")
    detail = _mapping(event.get("detail"))
    kind = _mapping(detail.get("type"))
    if kind.get("category") != "Deploy" or kind.get("provider") != "ElasticBeanstalk":
        raise NotForUsError("the action does not deploy to Elastic Beanstalk")
    if detail.get("state") not in _STATES:
        raise NotForUsError(f"nothing follows from the state {detail.get('state')}")
    found = {
        name: detail.get(key)
        for name, key in (
            ("pipeline", "pipeline"),
            ("stage", "stage"),
            ("action", "action"),
            ("execution_id", "execution-id"),
            ("action_execution_id", "action-execution-id"),
            ("state", "state"),
        )
    }
    missing = [name for name, value in found.items() if not isinstance(value, str)]
    if missing:
        raise BadOrderError(f"the event's detail lacks {', '.join(missing)}")
    return Happened(**{name: str(value) for name, value in found.items()})


def _command(event: Mapping[str, Any]) -> Command:
    name = event.get("command")
    if not isinstance(name, str) or name not in set(CommandName):
        known = ", ".join(CommandName)
        raise BadOrderError(f"command is {name!r}: it must be one of {known}")
    known_fields = {"command", "environment", "stage", "revision", "version", "reason"}
    unknown = sorted(set(event) - known_fields)
    if unknown:
        fields = ", ".join(sorted(known_fields))
        raise BadOrderError(f"{unknown[0]} is no field of a command: they are {fields}")
    command = Command(
        name=CommandName(name),
        environment=_text(event, "environment") or _text(event, "stage"),
        version=_text(event, "revision") or _text(event, "version"),
        reason=_text(event, "reason") or "",
    )
    if command.environment is None and command.name is not CommandName.PLAN:
        raise BadOrderError(f"{name} needs an environment, like prod, or a stage")
    if command.name is CommandName.LIFT_QUARANTINE and command.version is None:
        raise BadOrderError("lift-quarantine needs the revision that is to be lifted")
    return command


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(event: Mapping[str, Any], key: str) -> str | None:
    value = event.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise BadOrderError(f"{key} is {value!r}: it must be a text")
    return value.strip()


def _time(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo else None
