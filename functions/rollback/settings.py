"""How rollback behaves: one SSM parameter that the template writes, read when a watch begins.

It is read then and not from the environment's variables, because an alias stays on the version
whose code it was published with, and so on that version's variables, when only a setting changes.

    schema         1
    project, pipeline, application
    bucket         where copies of known-good bundles go, under known-good/<environment>/
    region
    function       the function's ARN with its alias: what invokes it, and what messages name
    stages         by stage: {environment, mode, bakeMinutes, alarms: [names]}
    cap, capHours  the most rollbacks of an environment that may happen by themselves, within hours
    answerHours    how long a person may take to answer
    readyMinutes   how long an environment may take to become Ready; with 0 its update is aborted
    eventMinutes   events older than this are refused
    sweepHours     how far back the sweep looks
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from trellis.errors import ConfigError
from trellis.events import RollbackMode

SCHEMA = 1

_MODES = {
    "auto": RollbackMode.AUTOMATIC,
    "approve": RollbackMode.APPROVE,
    "observe": RollbackMode.OBSERVE,
}


BAKE = timedelta(minutes=15)
"""How long a version is watched where nothing is said: BakeMinutes' default in the template."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSettings:
    """What holds for one environment."""

    stage: str
    environment: str
    mode: RollbackMode = RollbackMode.AUTOMATIC
    bake: timedelta = BAKE
    alarms: tuple[str, ...] = ()
    cap: int = 2
    cap_window: timedelta = timedelta(hours=24)
    answer_within: timedelta = timedelta(hours=12)
    ready_within: timedelta = timedelta(minutes=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that the parameter says."""

    project: str
    pipeline: str
    application: str
    bucket: str
    region: str
    function: str
    stages: tuple[EnvironmentSettings, ...]
    event_age: timedelta = timedelta(hours=1)
    sweep_back: timedelta = timedelta(hours=6)

    def of_stage(self, stage: str) -> EnvironmentSettings | None:
        """The settings of the environment that a stage deploys to."""
        return next((one for one in self.stages if one.stage == stage), None)

    def named(self, name: str) -> EnvironmentSettings | None:
        """An environment by its name, its stage, or its tier: `bakery-prod-demo`, `prod`."""
        wanted = name.strip().lower()
        for one in self.stages:
            tier = one.environment.removeprefix(f"{self.project}-").partition("-")[0]
            if wanted in (one.environment.lower(), one.stage.lower(), tier.lower()):
                return one
        return None


def parse(parameter: str, text: str) -> Settings:
    """The settings from the parameter's text; raises ConfigError that names what is wrong."""
    try:
        found = json.loads(text)
    except ValueError as err:
        raise ConfigError(
            parameter, text[:80], "it must be JSON, as the template writes it"
        ) from err
    if not isinstance(found, Mapping):
        raise ConfigError(parameter, text[:80], "it must be a JSON object")
    read = _Reader(parameter, found)
    if read.number("schema", least=1, most=1000) != SCHEMA:
        raise ConfigError(
            f"{parameter}: schema", str(found.get("schema")), f"this code knows schema {SCHEMA}"
        )
    common = {
        "cap": int(read.number("cap", default=2, least=0, most=100)),
        "cap_window": timedelta(hours=read.number("capHours", default=24, least=0.01, most=720)),
        "answer_within": timedelta(
            hours=read.number("answerHours", default=12, least=0.001, most=720)
        ),
        "ready_within": timedelta(
            minutes=read.number("readyMinutes", default=30, least=0, most=240)
        ),
    }
    stages = found.get("stages")
    if not isinstance(stages, Mapping) or not stages:
        raise ConfigError(f"{parameter}: stages", str(stages), "name at least one stage")
    return Settings(
        project=read.text("project"),
        pipeline=read.text("pipeline"),
        application=read.text("application"),
        bucket=read.text("bucket"),
        region=read.text("region"),
        function=read.text("function"),
        stages=tuple(
            _environment(parameter, str(name), value, common) for name, value in stages.items()
        ),
        event_age=timedelta(minutes=read.number("eventMinutes", default=60, least=1, most=1440)),
        sweep_back=timedelta(hours=read.number("sweepHours", default=6, least=0.1, most=168)),
    )


def _environment(
    parameter: str, stage: str, value: object, common: Mapping[str, Any]
) -> EnvironmentSettings:
    where = f"{parameter}: stages.{stage}"
    if not isinstance(value, Mapping):
        raise ConfigError(where, str(value), "it must be a JSON object")
    read = _Reader(where, value)
    mode = read.text("mode", "auto")
    if mode not in _MODES:
        raise ConfigError(f"{where}.mode", mode, f"set it to {', '.join(_MODES)}")
    alarms = value.get("alarms", [])
    if not isinstance(alarms, list) or not all(isinstance(name, str) for name in alarms):
        raise ConfigError(f"{where}.alarms", str(alarms), "set it to a list of alarm names")
    return EnvironmentSettings(
        stage=stage,
        environment=read.text("environment"),
        mode=_MODES[mode],
        bake=timedelta(
            minutes=read.number(
                "bakeMinutes", default=BAKE / timedelta(minutes=1), least=0, most=1440
            )
        ),
        alarms=tuple(alarms),
        **common,
    )


@dataclass(frozen=True, slots=True)
class _Reader:
    where: str
    values: Mapping[str, Any] = field(repr=False)

    def text(self, name: str, default: str | None = None) -> str:
        value = self.values.get(name, default)
        if not isinstance(value, str) or not value.strip():
            raise ConfigError(
                f"{self.where}.{name}", None if value is None else str(value), "set it to a text"
            )
        return value.strip()

    def number(
        self, name: str, *, default: float | None = None, least: float, most: float
    ) -> float:
        value = self.values.get(name, default)
        mend = f"set it to a number from {least:g} to {most:g}"
        try:
            found = float(str(value))
        except ValueError as err:
            raise ConfigError(f"{self.where}.{name}", str(value), mend) from err
        if not least <= found <= most:
            raise ConfigError(f"{self.where}.{name}", str(value), mend)
        return found
