"""A new pipeline has nothing to release yet: no failure to undo, and environments that are well."""

from sandbox.stories.rollbacks import expect_no_rollback, name_of
from sandbox.stories.world import Mark, StoryError, World


def play(world: World) -> None:
    """Given a new stack, its first run finds nothing, and every environment is Ready and well."""
    world.confirm_subscription()
    first = min(world.runs(), key=lambda run: run["startTime"])
    trigger = first["trigger"]["triggerType"]
    if (trigger, first["status"]) != ("CreatePipeline", "Failed"):
        raise StoryError(f"the first run was begun by {trigger} and is {first['status']}")
    world.audience.happened("Source", Mark.WAITING, "waits for the first upload")
    for environment in ("Dev", "Test", "Prod"):
        described = world.client("elasticbeanstalk").describe_environments(
            EnvironmentNames=[name_of(world, environment)]
        )["Environments"][0]
        if described["Status"] != "Ready":
            raise StoryError(f"{environment} is {described['Status']}")
    expect_no_rollback(world, "Dev", first["startTime"].timestamp())
