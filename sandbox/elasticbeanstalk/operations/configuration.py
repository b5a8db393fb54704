"""Changes of configuration, platform and size; managed platform updates."""

from __future__ import annotations

from sandbox.elasticbeanstalk import options
from sandbox.elasticbeanstalk.downstream import Step
from sandbox.elasticbeanstalk.environment import AbortedError, Environment, State
from sandbox.elasticbeanstalk.events import DetailType
from sandbox.elasticbeanstalk.health import Deployment
from sandbox.elasticbeanstalk.operations.deployment import deploy_batch, replace_fleet, roll
from sandbox.elasticbeanstalk.operations.work import (
    OperationFailedError,
    Work,
    announce_update,
    complete_update,
    execute,
    find_instance_role,
    put_in_service,
    quoted,
    start_instances,
    stream_logs,
    trim,
    wait_until_healthy,
)
from sandbox.elasticbeanstalk.options import Change, Settings
from sandbox.elasticbeanstalk.platforms import Platform


def configure(work: Work, settings: Settings, platform: Platform) -> None:
    """UpdateEnvironment's work for option settings or a platform."""
    here = work.environment
    announce_update(here)
    before = here.settings, here.platform, here.desired
    here.say("INFO", f"Updating environment {here.identity.name}'s configuration settings.")
    try:
        work.judge(Step.PREPARE)
        work.judge(Step.CONFIGURE)
        _apply(work, settings, platform)
    except (OperationFailedError, AbortedError) as failed:
        for message in getattr(failed, "messages", ()):
            here.say("ERROR", message)
        here.say("ERROR", "Failed to deploy configuration.")
        _revert(here, *before)
        here.say("INFO", "The environment was reverted to the previous configuration setting.")
        here.announce(
            DetailType.ENVIRONMENT,
            "Environment update failed",
            "ERROR",
            "Failed to deploy configuration.",
        )
        here.end(State.READY, succeeded=False)
        return
    here.say("INFO", "Successfully deployed new configuration to environment.")
    complete_update(here)


def _apply(work: Work, settings: Settings, platform: Platform) -> None:
    here = work.environment
    change = options.effect(here.settings, settings)
    if platform != here.platform:
        change = Change.REPLACE
    resized = settings.size != here.settings.size
    with here.lock:
        here.settings, here.platform = settings, platform
        if resized:
            here.desired = settings.size
        here.desired = min(max(here.desired, settings.size), settings.largest_size)
    find_instance_role(here)
    here.find_problems()
    stream_logs(work)
    if change is not Change.NOTHING:
        number = here.number()
        if change is Change.RESTART:
            _restart_with_configuration(work, number)
        elif settings.get(options.ROLLING, "RollingUpdateType") == "Immutable":
            replace_fleet(work, here.release, number, split=False)
        else:
            _replace_instances(work, number)
        with here.lock:
            here.expected = Deployment(here.release.version_label, number)
    here.commit()
    resize(work)


def _restart_with_configuration(work: Work, number: int) -> None:
    """Give the running release its new variables, by the deployment policy."""
    here = work.environment
    fleet = list(here.fleet)
    match here.settings.policy:
        case "Rolling" | "RollingWithAdditionalBatch":
            roll(work, fleet, here.release, number, 1, 0)
        case "Immutable" | "TrafficSplitting":
            replace_fleet(work, here.release, number, split=False)
        case _:
            here.progress(len(fleet), 0)
            deploy_batch(work, fleet, here.release, number, "", len(fleet))


def _replace_instances(work: Work, number: int) -> None:
    """Replace the instances, in batches when rolling updates are enabled, else all at once.

    https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/using-features.rollingupdates.html
    """
    here = work.environment
    old = list(here.fleet)
    size = len(old)
    if here.settings.get(options.ROLLING, "RollingUpdateEnabled") == "true":
        wanted = here.settings.get(options.ROLLING, "MaxBatchSize")
        size = int(wanted) if wanted else max(1, -(-here.settings.size // 3))
    for start in range(0, len(old), max(1, size)):
        batch = old[start : start + size]
        here.progress(len(old), start)
        here.remove(batch)
        fresh = start_instances(here, len(batch))
        if execute(here, fresh, here.release, number):
            raise OperationFailedError(
                f"Unsuccessful command execution on instance id(s) {quoted(fresh)}. "
                "Aborting the operation."
            )
        put_in_service(fresh)
        if not wait_until_healthy(here, fresh) and not here.settings.ignores_health:
            raise OperationFailedError(
                f"Instance id(s) {quoted(fresh)} did not pass health check after command "
                "execution. Aborting the operation."
            )


def _revert(here: Environment, settings: Settings, platform: Platform, desired: int) -> None:
    """Go back to the previous configuration on whatever took the new one."""
    with here.lock:
        changed = here.settings != settings
        here.settings, here.platform, here.desired = settings, platform, desired
        expected = here.expected
        here.lift_abort()
    if not changed or expected is None:
        return
    other = [one for one in here.fleet if not one.deployed or one.deployed.deployment != expected]
    execute(here, other, here.release, expected.number)
    put_in_service(other)
    resize(Work(here, None))


def resize(work: Work) -> None:
    """Launch or terminate instances until the fleet has the desired size."""
    here = work.environment
    missing = here.desired - len(here.fleet)
    if missing > 0:
        work.judge(Step.LAUNCH)
        expected = here.expected
        added = start_instances(here, missing)
        if expected is not None:
            execute(here, added, here.release, expected.number)
        put_in_service(added)
        wait_until_healthy(here, added)
    elif missing < 0:
        work.judge(Step.TRIM)
        trim(here)


def scale(work: Work, count: int) -> None:
    """What a scaling trigger does: another number of instances, within the group's bounds."""
    here = work.environment
    with here.lock:
        here.desired = min(max(count, here.settings.size), here.settings.largest_size)
    resize(work)


def managed_update(work: Work, platform: Platform, *, fails: bool) -> bool:
    """A managed platform update: immutable, without anybody's rights.

    https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/environment-platform-update-managed.html.
    The status is printed there as "Managed updated started". True when it succeeded.
    """
    here = work.environment
    message = "Managed platform update is in-progress."
    here.judge(at_once=True)
    here.announce(DetailType.MANAGED, "Managed updated started", "INFO", message)
    before = here.platform
    try:
        if fails:
            raise OperationFailedError("The platform update was made to fail.")
        with here.lock:
            here.platform = platform
        number = here.number()
        replace_fleet(work, here.release, number, split=False)
    except (OperationFailedError, AbortedError):
        with here.lock:
            here.platform = before
        message = "Managed update failed, retrying in 60 minutes."
        here.say("INFO", message)
        here.announce(DetailType.MANAGED, "Managed update failed", "INFO", message)
        here.end(State.READY, succeeded=False)
        return False
    here.say("INFO", "Managed platform update completed successfully.")
    here.end(State.READY, succeeded=True)
    return True
