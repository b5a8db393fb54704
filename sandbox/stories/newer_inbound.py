"""A newer version that waits outside gets in only when the bad one is taken back."""

from sandbox.stories.rollbacks import bad, deployed, expect_letter, prove, stop
from sandbox.stories.world import World


def play(world: World) -> None:
    """Given v3 waiting before Test, when v2 turns bad there, v1 is back before v3 comes in."""
    prove(world, "v1", "Open the bakery", "Test")
    bad_run = world.upload("v2", "Sell sourdough", **bad(8, fault_in="test"))
    world.wait_for_approval(bad_run)
    newer = world.upload("v3", "Sell rye")
    deployed(world, newer, "Dev")
    world.expect_ended(bad_run, "Failed")
    expect_letter(world, "Test", "Rolled back:", "v1: Open the bakery", of=bad_run)
    deployed(world, newer, "Test")
    world.expect_served("Test", "v3")
    stop(world, newer)
