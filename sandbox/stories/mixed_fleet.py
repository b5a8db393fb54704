"""A failed deployment leaves new code under the old label: every instance is deployed again."""

from sandbox.stories.rollbacks import expect_back, expect_letter, prove
from sandbox.stories.world import World


def play(world: World) -> None:
    """Given v1 known good in Dev, when v2 fails there, its instances do not run what Dev says."""
    prove(world, "v1", "Open the bakery")
    run = world.upload("v2", "Sell sourdough", fault="fails-at-start", fault_in="dev")
    world.expect_ended(run, "Failed")
    expect_letter(world, "Dev", "Rolled back:", "and instances run", "is labelled", of=run)
    expect_back(world, "Dev", "v1")
