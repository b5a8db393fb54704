"""An environment that is busy is waited for, and then taken back."""

from sandbox.stories.rollbacks import (
    expect_back,
    expect_letter,
    losing_events,
    name_of,
    prove,
    sweep,
)
from sandbox.stories.world import World


def play(world: World) -> None:
    """Given v2 failed in Dev and Dev is updating, the rollback begins when Dev is Ready."""
    prove(world, "v1", "Open the bakery")
    with losing_events(world):
        run = world.upload("v2", "Sell sourdough", fault="fails-at-start", fault_in="dev")
        world.expect_ended(run, "Failed")
        world.client("elasticbeanstalk").update_environment(
            EnvironmentName=name_of(world, "Dev"),
            OptionSettings=[
                {
                    "Namespace": "aws:elasticbeanstalk:application:environment",
                    "OptionName": "COLOUR",
                    "Value": run[:8],
                }
            ],
        )
        sweep(world)
        expect_letter(world, "Dev", "Rolled back", "v1: Open the bakery")
        expect_back(world, "Dev", "v1")
