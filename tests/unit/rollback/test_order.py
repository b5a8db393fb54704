"""What can be asked for, and that anything else gets one clear answer."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollback.codec import encode
from rollback.order import (
    BadOrderError,
    Command,
    CommandName,
    Happened,
    NotForUsError,
    Sweep,
    Watch,
    read,
)
from tests.unit.rollback.samples import DEPLOYMENT

EVENTS = Path(__file__).parents[3] / "events/rollback"
NOW = datetime(2026, 11, 24, 12, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)


def shipped(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EVENTS / f"{name}.json").read_text())
    return found


@pytest.mark.parametrize("path", sorted(EVENTS.glob("*.json")), ids=lambda path: path.stem)
def test_every_shipped_event_is_understood(path: Path) -> None:
    read(json.loads(path.read_text()), NOW, HOUR)


def test_a_deploy_action_that_began_or_ended_is_watched() -> None:
    order = read(shipped("deploy-started"), NOW, HOUR)
    assert order == Happened(
        pipeline="storefront-pipeline-main",
        stage="DeployToProd",
        action="Deploy",
        execution_id="01234567-0123-0123-0123-012345678901",
        action_execution_id="47f821c5-a902-4c31-b9f5-4c9ee5d9b2d6",
        state="STARTED",
    )


def test_the_sweep_hands_over_a_deployment_as_it_reads_it() -> None:
    event = json.loads(json.dumps({"watch": encode(DEPLOYMENT), "dead": "holder"}))
    assert read(event, NOW, HOUR) == Watch(deployment=DEPLOYMENT, dead="holder")
    assert read({"sweep": {}}, NOW, HOUR) == Sweep()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"replay-name": "last-week"}, "replayed (last-week)"),
        ({"time": "2026-11-24T10:00:00Z"}, "125 minutes old"),
        ({"detail": {"type": {"category": "Build", "provider": "CodeBuild"}}}, "does not deploy"),
        (
            {
                "detail": {
                    "type": {"category": "Deploy", "provider": "ElasticBeanstalk"},
                    "state": "CANCELED",
                }
            },
            "CANCELED",
        ),
    ],
)
def test_history_and_other_actions_are_left_alone(change: dict[str, Any], words: str) -> None:
    with pytest.raises(NotForUsError) as caught:
        read({**shipped("deploy-failed"), **change}, NOW, HOUR)
    assert words in str(caught.value)


def test_an_event_without_a_time_is_not_taken_for_old() -> None:
    event = shipped("deploy-failed")
    del event["time"]
    assert isinstance(read(event, NOW, HOUR), Happened)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({}, "the event holds nothing"),
        ({"Records": []}, "the event holds Records"),
        ({"command": "dance"}, "command is 'dance': it must be one of plan, roll-back"),
        ({"command": "roll-back"}, "needs an environment"),
        ({"command": "roll-back", "environment": 7}, "environment is 7: it must be a text"),
        ({"command": "plan", "enviroment": "prod"}, "enviroment is no field of a command"),
        ({"command": "lift-quarantine", "environment": "prod"}, "needs the revision"),
        ({"watch": {"pipeline": "p"}}, "watch holds no deployment"),
        (
            {
                "detail-type": "CodePipeline Action Execution State Change",
                "detail": {
                    "type": {"category": "Deploy", "provider": "ElasticBeanstalk"},
                    "state": "FAILED",
                    "pipeline": "p",
                },
            },
            "lacks stage, action, execution_id, action_execution_id",
        ),
    ],
)
def test_whatever_is_wrong_is_named_with_its_mend(event: dict[str, Any], words: str) -> None:
    with pytest.raises(BadOrderError) as caught:
        read(event, NOW, HOUR)
    assert words in str(caught.value)


def test_a_command_takes_a_stage_or_an_environment_and_a_version_by_either_name() -> None:
    assert read(
        {"command": "roll-back", "stage": "DeployToProd", "version": "label-1"}, NOW, HOUR
    ) == Command(name=CommandName.ROLL_BACK, environment="DeployToProd", version="label-1")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(["command", "environment", "detail-type", "detail", "time", "watch", "x"]),
        _json,
    )
)
def test_any_event_is_an_order_or_one_clear_error(event: dict[str, Any]) -> None:
    with suppress(BadOrderError, NotForUsError):
        read(event, NOW, HOUR)
