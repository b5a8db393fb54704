"""A known-good version whose bundle is gone from every place is no way back: a person is paged."""

from sandbox.stories.rollbacks import (
    bad,
    deployed,
    expect_letter,
    expect_no_rollback,
    lose_artifact,
    lose_copy,
    now,
    prove,
    stop,
    thaw,
)
from sandbox.stories.world import World


def play(world: World) -> None:
    """Given v1 whose bundle and its copy are deleted, when v2 turns bad, a person is paged."""
    prove(world, "v1", "Open the bakery")
    began = now()
    lose_artifact(world, "Dev")
    lose_copy(world, "Dev")
    run = world.upload("v2", "Sell sourdough", **bad(fault_in="dev"))
    deployed(world, run, "Dev")
    expect_letter(world, "Dev", "Not rolled back", "is gone from every place", of=run)
    expect_no_rollback(world, "Dev", began)
    thaw(world, "Dev")
    stop(world, run)
    prove(world, "v3", "Mend the oven")
