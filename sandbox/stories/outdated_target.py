"""After the pipeline itself has changed, CodePipeline has no way back; the second route has."""

from sandbox.stories.rollbacks import bad, deployed, expect_back, expect_letter, prove, stop
from sandbox.stories.world import Mark, World


def play(world: World) -> None:
    """Given v1 from before the pipeline was updated, when v2 turns bad, v1 is back."""
    prove(world, "v1", "Open the bakery")
    client = world.client("codepipeline")
    declared = client.get_pipeline(name=world.outputs["PipelineName"])["pipeline"]
    client.update_pipeline(pipeline=declared)
    world.audience.happened("you", Mark.DONE, "update the pipeline")
    run = world.upload("v2", "Sell sourdough", **bad(fault_in="dev"))
    deployed(world, run, "Dev")
    expect_letter(world, "Dev", "Rolled back:", "UpdateEnvironment", "pipeline has changed", of=run)
    expect_back(world, "Dev", "v1")
    stop(world, run)
