"""In mode approve a person is asked, and a yes is enough."""

from sandbox.stories.rollbacks import (
    answer_yes,
    bad,
    behaving,
    deployed,
    expect_back,
    expect_letter,
    prove,
    stop,
)
from sandbox.stories.world import World


def play(world: World) -> None:
    """Given Dev in mode approve, when v2 turns bad and a person says yes, v1 is back."""
    prove(world, "v1", "Open the bakery")
    with behaving(world, "Dev", mode="approve"):
        run = world.upload("v2", "Sell sourdough", **bad(fault_in="dev"))
        deployed(world, run, "Dev")
        answer_yes(world, expect_letter(world, "Dev", "It waits for your yes", of=run))
        expect_letter(world, "Dev", "Rolled back:", "v1: Open the bakery", of=run)
        expect_back(world, "Dev", "v1")
    stop(world, run)
