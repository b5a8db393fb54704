"""In mode approve a no is final: the bad version stays, and a person has decided so."""

from sandbox.stories.rollbacks import (
    answer_no,
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
    """Given Dev in mode approve, when v2 turns bad and a person says no, v2 stays."""
    prove(world, "v1", "Open the bakery")
    began = now()
    with behaving(world, "Dev", mode="approve"):
        run = world.upload("v2", "Sell sourdough", **bad(fault_in="dev"))
        deployed(world, run, "Dev")
        answer_no(world, expect_letter(world, "Dev", "It waits for your yes", of=run))
        expect_letter(world, "Dev", "Not rolled back", "A person said no", of=run)
        expect_no_rollback(world, "Dev", began)
    stop(world, run)
    order(world, command="roll-back", environment="dev")
    expect_back(world, "Dev", "v1")
