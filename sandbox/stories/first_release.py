"""A first release that turns bad has nothing to go back to: a person is paged, and told why."""

from sandbox.stories.rollbacks import (
    bad,
    deployed,
    expect_letter,
    expect_no_rollback,
    forget_what_is_good,
    now,
    stop,
    thaw,
)
from sandbox.stories.world import World


def play(world: World) -> None:
    """Given no known-good version in Dev, when v1 turns bad, Dev is frozen and a person paged."""
    world.confirm_subscription()
    forget_what_is_good(world, "Dev")
    began = now()
    run = world.upload("v1", "Open the bakery", **bad(fault_in="dev"))
    deployed(world, run, "Dev")
    expect_letter(world, "Dev", "Not rolled back", "No version has proven itself", of=run)
    expect_no_rollback(world, "Dev", began)
    thaw(world, "Dev")
    stop(world, run)
