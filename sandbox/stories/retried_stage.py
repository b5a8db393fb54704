"""A retried stage is a deployment of its own, with a watch of its own."""

from sandbox.stories.rollbacks import STAGES, behaving, expect_back, expect_letter, prove
from sandbox.stories.world import Mark, World


def play(world: World) -> None:
    """Given v2 failed in Dev and was left there, when Dev is retried, the second failure counts."""
    prove(world, "v1", "Open the bakery")
    with behaving(world, "Dev", mode="observe"):
        run = world.upload("v2", "Sell sourdough", fault="fails-at-start", fault_in="dev")
        world.expect_ended(run, "Failed")
        expect_letter(world, "Dev", "Observed only", of=run)
    world.client("codepipeline").retry_stage_execution(
        pipelineName=world.outputs["PipelineName"],
        stageName=STAGES["Dev"],
        pipelineExecutionId=run,
        retryMode="ALL_ACTIONS",
    )
    world.audience.happened("you", Mark.DONE, "retry DeployToDev")
    expect_letter(world, "Dev", "Rolled back:", "v1: Open the bakery", of=run)
    expect_back(world, "Dev", "v1")
