"""A release reaches production: uploaded, built, deployed, approved and served. Then the next."""

from sandbox.stories.world import World


def play(world: World) -> None:
    """Given a fresh stack, when v1 and v2 are uploaded and approved, production serves each."""
    world.confirm_subscription()
    for version, message in (("v1", "Open the bakery"), ("v2", "Sell sourdough")):
        run = world.upload(version, message)
        world.wait_for_approval(run)
        world.expect_served("Test", version)
        world.wait_for_letter("approval is needed", message)
        world.approve(run)
        world.expect_ended(run, "Succeeded")
        world.expect_served("Prod", version)
        world.wait_for_letter("Released", message)
