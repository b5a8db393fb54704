"""An environment that is busy is waited for, its update is aborted, and it is taken back."""

from datetime import UTC, datetime

from sandbox.stories.rollbacks import behaving, expect_back, now, order, prove, state_of
from sandbox.stories.world import Mark, StoryError, World


def play(world: World) -> None:
    """Given Dev is long in updating, when a person orders it back, the update is aborted first."""
    first = prove(world, "v1", "Open the bakery")
    with behaving(world, readyMinutes=0), behaving(world, "Dev", mode="observe"):
        # On a busy machine an update may end before the order comes: then there is none to abort.
        for version in ("v2", "v3", "v4"):
            began = now()
            run = world.upload(version, "Sell sourdough", fault="answers-500", fault_in="dev")
            world.wait("Dev to be updating", lambda: state_of(world, "Dev") == "Updating")
            world.audience.happened("Dev", Mark.WAITING, "is updating")
            done = order(world, command="roll-back", environment="dev", revision=first)
            if done["outcome"] != "rolled back":
                raise StoryError(f"{done['outcome']}: {done['reason']}")
            world.wait_until_ended(run)
            expect_back(world, "Dev", "v1")
            if _was_aborted(world, began):
                return
        raise StoryError("no update of Dev was aborted")


def _was_aborted(world: World, since: float) -> bool:
    said = world.client("elasticbeanstalk").describe_events(
        EnvironmentName=world.outputs["DevEnvironmentName"],
        StartTime=datetime.fromtimestamp(since, UTC),
    )["Events"]
    return any("update is aborting" in event["Message"] for event in said)
