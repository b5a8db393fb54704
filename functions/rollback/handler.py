"""rollback's door: an event, the sweep or a command becomes one durable execution."""

from __future__ import annotations

import os
from datetime import datetime
from functools import cache
from typing import Any

from aws_durable_execution_sdk_python import durable_execution

from rollback.calls import UnansweredError
from rollback.codec import encode
from rollback.commands import obey
from rollback.config import Config
from rollback.desk import Desk
from rollback.facts import Deployment
from rollback.order import BadOrderError, Command, Happened, NotForUsError, Sweep, Watch, read
from rollback.script import DurableScript, Script
from rollback.sweep import Swept, measure_approvals, sweep
from rollback.wiring import open_desk, parse_settings, read_settings
from rollback.workflow import watch
from trellis.observability import count, logger, metrics


@durable_execution
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Watch a deployment, sweep, or obey; answers how it ended.

    An invocation that waits returns at once and comes back; nothing runs meanwhile.
    """
    script, config = DurableScript(context), _config()
    text = script.do("settings", str, lambda: read_settings(config))
    desk = open_desk(config, parse_settings(config, text))
    metrics.add_dimension(name="pipeline", value=desk.settings.pipeline)
    try:
        ended = run(script, desk, event)
    except NotForUsError as ignored:
        logger.info("ignored", reason=str(ignored))
        ended = {"outcome": "ignored", "reason": str(ignored)}
    except BadOrderError as wrong:
        logger.error("not understood", reason=str(wrong))
        ended = {"outcome": "not understood", "reason": str(wrong)}
    count("ExecutionsEnded")
    metrics.flush_metrics()
    return ended


def run(script: Script, desk: Desk, event: dict[str, Any]) -> dict[str, Any]:
    """What an event asks for, done. Raises NotForUsError, BadOrderError and GaveUpError."""
    now = script.do("now", datetime, desk.now)
    order = read(event, now, desk.settings.event_age)
    match order:
        case Sweep():
            swept = script.do("sweep", Swept, lambda: sweep(desk))
            # Apart and last: deployments are found whether or not this can be measured.
            script.do("approvals", float, lambda: measure_approvals(desk))
            return _answer(swept)
        case Command():
            return _answer(obey(script, desk, order))
        case Watch():
            return _watch(script, desk, order.deployment, order.dead)
        case Happened():
            deployment = script.do("deployment", Deployment, lambda: _look_up(desk, order))
            return _watch(script, desk, deployment, None)


def _watch(script: Script, desk: Desk, deployment: Deployment, dead: str | None) -> dict[str, Any]:
    settings = desk.settings.of_stage(deployment.stage)
    if settings is None or settings.environment != deployment.environment:
        raise NotForUsError(
            f"{deployment.stage} deploys to {deployment.environment}, which is none of ours"
        )
    return _answer(watch(script, desk, deployment, settings, dead))


def _look_up(desk: Desk, happened: Happened) -> Deployment:
    """The deployment that an event is about: its environment stands in CodePipeline alone."""
    if happened.pipeline != desk.pipeline.name:
        raise NotForUsError(f"the pipeline {happened.pipeline} is not {desk.pipeline.name}")
    found = desk.pipeline.deploy(happened.execution_id, happened.action_execution_id)
    if found is None:
        # The listing may be behind its own event.
        raise UnansweredError(
            "ListActionExecutions", "NotYet", f"{happened.action_execution_id} is not listed"
        )
    return found.deployment


def _answer(ended: object) -> dict[str, Any]:
    answer: dict[str, Any] = encode(ended)
    return answer


@cache
def _config() -> Config:
    return Config.from_env(os.environ)
