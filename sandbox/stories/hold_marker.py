"""A release that says it is not safe to roll back is held, until a person releases it."""

from sandbox.stories.rollbacks import (
    bad,
    deployed,
    expect_back,
    expect_letter,
    expect_no_rollback,
    now,
    order,
    prove,
    stop,
)
from sandbox.stories.world import World


def play(world: World) -> None:
    """Given v2 that migrated the orders, when it turns bad, only a person takes it back."""
    prove(world, "v1", "Open the bakery")
    began = now()
    run = world.upload("v2", "Migrate the orders. Rollback-Safe: no", **bad(fault_in="dev"))
    deployed(world, run, "Dev")
    expect_letter(world, "Dev", "Rollback held", "Rollback-Safe: no", '"release"', of=run)
    expect_no_rollback(world, "Dev", began)
    stop(world, run)
    order(world, command="release", environment="dev", reason="the migration goes both ways")
    expect_back(world, "Dev", "v1")
