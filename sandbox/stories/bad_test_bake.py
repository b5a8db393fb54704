"""A version that turns bad in Test while its approval waits is taken back, and rejected."""

from sandbox.stories.rollbacks import bad, expect_back, expect_letter, prove
from sandbox.stories.world import StoryError, World


def play(world: World) -> None:
    """Given v1 known good in Test, when v2 turns bad there, the approval is rejected for it."""
    prove(world, "v1", "Open the bakery", "Test")
    run = world.upload("v2", "Sell sourdough", **bad(5, fault_in="test"))
    world.wait_for_approval(run)
    world.expect_ended(run, "Failed")
    rejected = world.failure(run)
    if "Rejected by Trellis" not in rejected or "HTTP 5xx" not in rejected:
        raise StoryError(f"the approval does not say why it was rejected: {rejected}")
    expect_letter(world, "Test", "Rolled back:", "UpdateEnvironment", "v1: Open the bakery", of=run)
    expect_back(world, "Test", "v1")
