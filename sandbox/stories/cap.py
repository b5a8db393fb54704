"""After so many rollbacks within a day a person is paged instead."""

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
    thaw,
)
from sandbox.stories.world import World


def play(world: World) -> None:
    """Given a cap that is reached, when v2 turns bad, Dev is frozen and a person paged."""
    prove(world, "v1", "Open the bakery")
    began = now()
    with behaving(world, cap=0):
        run = world.upload("v2", "Sell sourdough", **bad(fault_in="dev"))
        deployed(world, run, "Dev")
        expect_letter(world, "Dev", "Not rolled back", "the most that may happen by itself", of=run)
        expect_no_rollback(world, "Dev", began)
    thaw(world, "Dev")
    stop(world, run)
    order(world, command="roll-back", environment="dev")
    expect_back(world, "Dev", "v1")
