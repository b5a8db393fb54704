"""The engine under many hands at once."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable

import pytest
from botocore.exceptions import ClientError

from tests.unit.sandbox.codepipeline.conftest import World, eventually
from tests.unit.sandbox.codepipeline.declared import gate, pipeline, stage

MOVES = 60
"""Of each hand: a count, since what fits into a second is the machine's affair."""
BEGIN, END = ("STARTED", "RESUMED"), ("SUCCEEDED", "FAILED", "STOPPED", "CANCELED")


@pytest.mark.parametrize("mode", ["SUPERSEDED", "QUEUED"])
def test_a_stage_is_never_shared_whatever_callers_do(world: World, mode: str) -> None:
    world.upload()
    world.create(
        pipeline(
            world.bucket,
            stage("Test", gate("A"), gate("B")),
            stage("Prod", gate("A"), gate("B")),
            executionMode=mode,
        )
    )
    dice = [random.Random(seed) for seed in range(4)]
    hands = [threading.Thread(target=_meddle, args=(world, one)) for one in dice]
    for hand in hands:
        hand.start()
    for hand in hands:
        hand.join()
    _drain(world)

    # Events leave a moment after what they tell.
    eventually(lambda: _held(world) == {})
    finals = {s["status"] for s in world.executions()}
    assert finals <= {"Succeeded", "Failed", "Stopped", "Superseded"}
    assert len(world.executions()) > 5


def _held(world: World) -> dict[str, str]:
    """Replay the stage events: which execution holds which stage at their end."""
    holder: dict[str, str] = {}
    for event in list(world.cloud.events):
        if "Stage" not in event.detail_type:
            continue
        name, state = event.detail["stage"], event.detail["state"]
        if state in BEGIN:
            assert name not in holder, f"{event.detail} entered while {holder[name]} was there"
            holder[name] = event.detail["execution-id"]
        elif state in END:
            assert holder.pop(name) == event.detail["execution-id"]
    return holder


def _meddle(world: World, dice: random.Random) -> None:
    """Do what callers may do, in any order; modelled refusals are ordinary answers."""
    for _ in range(MOVES):
        with contextlib.suppress(ClientError):
            _one_move(world, dice)


def _one_move(world: World, dice: random.Random) -> None:
    stage_name = dice.choice(["Test", "Prod"])
    executions = world.executions()
    some = dice.choice(executions)["pipelineExecutionId"]
    match dice.randrange(8):
        case 0:
            if sum(1 for e in executions if e["status"] == "InProgress") < 10:
                world.start()
        case 1:
            world.client.stop_pipeline_execution(
                pipelineName="shop", pipelineExecutionId=some, abandon=dice.random() < 0.5
            )
        case 2:
            world.client.retry_stage_execution(
                pipelineName="shop",
                stageName=stage_name,
                pipelineExecutionId=some,
                retryMode=dice.choice(["FAILED_ACTIONS", "ALL_ACTIONS"]),
            )
        case 3:
            world.client.rollback_stage(
                pipelineName="shop", stageName=stage_name, targetPipelineExecutionId=some
            )
        case 4:
            world.client.disable_stage_transition(
                pipelineName="shop", stageName=stage_name, transitionType="Inbound", reason="x"
            )
        case 5:
            world.client.enable_stage_transition(
                pipelineName="shop", stageName=stage_name, transitionType="Inbound"
            )
        case _:
            _answer_all(world, lambda: "Approved" if dice.random() < 0.8 else "Rejected")


def _answer_all(world: World, verdict: Callable[[], str] = lambda: "Approved") -> None:
    for state in world.client.get_pipeline_state(name="shop")["stageStates"]:
        for action in state["actionStates"]:
            token = action.get("latestExecution", {}).get("token")
            if token is None:
                continue
            status = verdict()
            with contextlib.suppress(ClientError):
                world.client.put_approval_result(
                    pipelineName="shop",
                    stageName=state["stageName"],
                    actionName=action["actionName"],
                    token=token,
                    result={"status": status, "summary": ""},
                )


def _drain(world: World) -> None:
    """Open every way and approve until nothing moves any more."""
    for name in ("Test", "Prod"):
        world.client.enable_stage_transition(
            pipelineName="shop", stageName=name, transitionType="Inbound"
        )

    def is_quiet() -> bool:
        _answer_all(world)
        live = ("InProgress", "Stopping")
        return not any(s["status"] in live for s in world.executions())

    eventually(is_quiet)
