"""When no event arrives at all, the sweep finds the failed deployment and mends it."""

from sandbox.stories.rollbacks import (
    expect_back,
    expect_letter,
    losing_events,
    prove,
    sweep,
)
from sandbox.stories.world import World


def play(world: World) -> None:
    """Given neither STARTED nor FAILED arrives, when the sweep comes round, Dev is taken back."""
    prove(world, "v1", "Open the bakery")
    with losing_events(world):
        run = world.upload("v2", "Sell sourdough", fault="fails-at-start", fault_in="dev")
        world.expect_ended(run, "Failed")
        sweep(world)
        expect_letter(world, "Dev", "Rolled back:", "v1: Open the bakery", of=run)
        expect_back(world, "Dev", "v1")
