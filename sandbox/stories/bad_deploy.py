"""A version that does not start in Test is taken back there, and production never sees it."""

from sandbox.stories.rollbacks import expect_back, expect_letter, prove
from sandbox.stories.world import World


def play(world: World) -> None:
    """Given v1 known good in Test, when v2 fails there, Test serves v1 again, told with proof."""
    prove(world, "v1", "Open the bakery", "Test")
    before = world.version_label("Prod")
    run = world.upload("v2", "Sell sourdough", fault="fails-at-start", fault_in="test")
    world.expect_ended(run, "Failed")
    expect_letter(
        world,
        "Test",
        "Rolled back:",
        "v2: Sell sourdough",
        "v1: Open the bakery",
        "The deployment failed",
        "of 1 instances of",
        of=run,
    )
    expect_back(world, "Test", "v1")
    world.expect_untouched("Prod", before)
