"""A release that a person rejects is nobody's failure: what runs in Test is left as it is."""

from sandbox.stories.rollbacks import (
    expect_approval_measured,
    expect_no_rollback,
    now,
    sweep,
    wait_for_words,
)
from sandbox.stories.world import World


def play(world: World) -> None:
    """Given a release that waits, when a person rejects it, nothing is rolled back.

    Meanwhile the sweep measures how long it waits.
    """
    world.confirm_subscription()
    began, before = now(), world.version_label("Prod")
    run = world.upload("v2", "Sell sourdough")
    world.wait_for_approval(run)
    sweep(world, after=0)
    expect_approval_measured(world, began)
    world.reject(run, "Not before the weekend.")
    world.expect_ended(run, "Failed")
    wait_for_words(world, "rejected", "Not before the weekend.")
    world.expect_served("Test", "v2")
    world.expect_untouched("Prod", before)
    expect_no_rollback(world, "Test", began)
