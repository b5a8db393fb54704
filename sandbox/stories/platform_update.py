"""A managed platform update while a version is watched is not blamed on the version."""

from sandbox.stories.rollbacks import (
    accident,
    deployed,
    expect_no_rollback,
    name_of,
    now,
    prove,
    stop,
)
from sandbox.stories.world import Mark, World


def play(world: World) -> None:
    """Given v2 under watch in Dev, when Dev's platform is updated, v2 stays."""
    prove(world, "v1", "Open the bakery")
    began = now()
    run = world.upload("v2", "Sell sourdough")
    deployed(world, run, "Dev")
    accident(
        world,
        "POST",
        f"{world.region}/environments/{name_of(world, 'Dev')}/platform-update",
        {"version": "4.6.0"},
    )
    world.audience.happened("Dev", Mark.WAITING, "gets a managed platform update")

    def is_ready() -> bool:
        described = world.client("elasticbeanstalk").describe_environments(
            EnvironmentNames=[name_of(world, "Dev")]
        )["Environments"][0]
        return described["Status"] == "Ready" and "4.6.0" in described["PlatformArn"]

    world.wait("the platform update", is_ready)
    world.expect_served("Dev", "v2")
    expect_no_rollback(world, "Dev", began)
    stop(world, run)
