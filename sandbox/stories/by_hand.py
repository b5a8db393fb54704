"""By hand: what would happen, back to a named version, out of quarantine, closed and open."""

from sandbox.stories.rollbacks import (
    expect_back,
    is_open,
    name_of,
    order,
    prove,
    wait_for_words,
)
from sandbox.stories.world import StoryError, World


def play(world: World) -> None:
    """Given v1 and v2 known good one after the other, a person orders each thing once."""
    first = prove(world, "v1", "Open the bakery")
    second = prove(world, "v2", "Sell sourdough")
    [plan] = order(world, command="plan", environment="dev")["plans"]
    expect(plan["known_good"], second)
    expect(len(order(world, command="plan")["plans"]), 3)
    expect(order(world, command="roll-back", environment="dev")["outcome"], "refused")
    wait_for_words(world, "Your order was refused", name_of(world, "Dev"), "already runs")
    expect(
        order(world, command="roll-back", environment="dev", revision=first)["outcome"],
        "rolled back",
    )
    expect_back(world, "Dev", "v1")
    wait_for_words(world, name_of(world, "Dev"), "runs the ordered version again")
    [plan] = order(world, command="plan", environment="dev")["plans"]
    expect(second in plan["quarantined"], True)
    lifted = order(world, command="lift-quarantine", environment="dev", revision=second)
    expect(lifted["outcome"], "lifted")
    expect(order(world, command="freeze", stage="DeployToDev", reason="sale")["outcome"], "frozen")
    expect(is_open(world, "Dev"), False)
    expect(order(world, command="unfreeze", stage="DeployToDev")["outcome"], "unfrozen")
    expect(is_open(world, "Dev"), True)
    expect(order(world, command="release", environment="dev")["outcome"], "refused")
    expect(order(world, command="dance", environment="dev")["outcome"], "not understood")


def expect(found: object, wanted: object) -> None:
    if found != wanted:
        raise StoryError(f"{found!r} is not {wanted!r}")
