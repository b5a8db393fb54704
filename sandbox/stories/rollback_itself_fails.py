"""A rollback that fails is not tried for ever: the stage stays frozen and a person is paged."""

import time

from sandbox.stories.rollbacks import (
    bad,
    deployed,
    expect_letter,
    is_open,
    prove,
    stop,
    thaw,
)
from sandbox.stories.world import StoryError, World

GOOD_FOR = 45


def play(world: World) -> None:
    """Given v1 that starts no more, when v2 turns bad, the failure of going back is told."""
    broken_from = time.time() + GOOD_FOR
    prove(
        world,
        "v1",
        "Open the bakery",
        fault="fails-at-start",
        fault_in="dev",
        fault_from=broken_from,
    )
    time.sleep(max(0.0, broken_from - time.time()))
    run = world.upload("v2", "Sell sourdough", **bad(fault_in="dev"))
    deployed(world, run, "Dev")
    expect_letter(world, "Dev", "Rollback failed", "v1: Open the bakery", "roll-back", of=run)
    if is_open(world, "Dev"):
        raise StoryError("Dev is open although its rollback failed")
    thaw(world, "Dev")
    stop(world, run)
    prove(world, "v3", "Mend the oven")
