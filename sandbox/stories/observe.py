"""In mode observe a person reads what would be done, and nothing is done."""

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
    """Given Dev in mode observe, when v2 turns bad, v2 stays until a person orders otherwise."""
    prove(world, "v1", "Open the bakery")
    began = now()
    with behaving(world, "Dev", mode="observe"):
        run = world.upload("v2", "Sell sourdough", **bad(fault_in="dev"))
        deployed(world, run, "Dev")
        expect_letter(world, "Dev", "Observed only", "v1: Open the bakery", "roll-back", of=run)
        expect_no_rollback(world, "Dev", began)
    stop(world, run)
    order(world, command="roll-back", environment="dev")
    expect_back(world, "Dev", "v1")
