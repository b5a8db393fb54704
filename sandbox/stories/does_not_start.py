"""A version that passes its tests but does not start fails in Dev and goes no further."""

from sandbox.stories.world import World


def play(world: World) -> None:
    """Given v1 in production, when v2 cannot start, DeployToDev fails and production keeps v1."""
    world.confirm_subscription()
    world.release("v1", "Open the bakery")
    run = world.upload("v2", "Sell sourdough", fault="fails-at-start")
    world.expect_ended(run, "Failed")
    world.wait_for_letter("DeployToDev", "Sell sourdough")
    world.expect_served("Test", "v1")
    world.expect_served("Prod", "v1")
