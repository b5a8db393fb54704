"""The same bad version again is not rolled back again: a person is paged."""

from sandbox.stories.rollbacks import (
    bad,
    deployed,
    expect_back,
    expect_letter,
    order,
    prove,
    revision_of,
    stop,
    thaw,
)
from sandbox.stories.world import Mark, World


def play(world: World) -> None:
    """Given v2 was rolled back, when that very revision is released again, it is escalated."""
    prove(world, "v1", "Open the bakery")
    run = world.upload("v2", "Sell sourdough", **bad(fault_in="dev"))
    deployed(world, run, "Dev")
    expect_letter(world, "Dev", "Rolled back:", "v1: Open the bakery", of=run)
    expect_back(world, "Dev", "v1")
    stop(world, run)
    again = world.client("codepipeline").start_pipeline_execution(
        name=world.outputs["PipelineName"],
        sourceRevisions=[
            {
                "actionName": "Source",
                "revisionType": "S3_OBJECT_VERSION_ID",
                "revisionValue": revision_of(world, run),
            }
        ],
    )["pipelineExecutionId"]
    world.audience.happened("you", Mark.DONE, "release the very same v2 again")
    deployed(world, again, "Dev")
    expect_letter(world, "Dev", "Not rolled back", "was rolled back from", "before", of=run)
    thaw(world, "Dev")
    stop(world, again)
    order(world, command="roll-back", environment="dev")
    expect_back(world, "Dev", "v1")
