"""In mode approve no answer is a no."""

from sandbox.stories.rollbacks import (
    bad,
    behaving,
    deployed,
    expect_back,
    expect_letter,
    expect_no_rollback,
    now,
    order,
    prove,
    stop,
)
from sandbox.stories.world import World


def play(world: World) -> None:
    """Given Dev in mode approve, when v2 turns bad and nobody answers, v2 stays."""
    prove(world, "v1", "Open the bakery")
    began = now()
    with behaving(world, answerHours=0.001), behaving(world, "Dev", mode="approve"):
        run = world.upload("v2", "Sell sourdough", **bad(fault_in="dev"))
        deployed(world, run, "Dev")
        expect_letter(world, "Dev", "It waits for your yes", of=run)
        expect_letter(world, "Dev", "Not rolled back", "Nobody answered", of=run)
        expect_no_rollback(world, "Dev", began)
    stop(world, run)
    order(world, command="roll-back", environment="dev")
    expect_back(world, "Dev", "v1")
