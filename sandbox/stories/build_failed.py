"""A push whose own tests fail stops at Build, and the e-mail shows what the tests said."""

from sandbox.stories.world import World


def play(world: World) -> None:
    """Given any stack, when the uploaded source fails its tests, nothing is deployed."""
    world.confirm_subscription()
    before = world.version_label("Dev")
    run = world.upload("", "Forget to name the version")
    world.expect_ended(run, "Failed")
    world.wait_for_letter("Build failed", "release.json has no version")
    world.expect_untouched("Dev", before)
