"""Deployments of application versions, by policy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sandbox.elasticbeanstalk import options
from sandbox.elasticbeanstalk.bundle import Release
from sandbox.elasticbeanstalk.downstream import Step
from sandbox.elasticbeanstalk.environment import AbortedError, Environment, State
from sandbox.elasticbeanstalk.events import DetailType
from sandbox.elasticbeanstalk.fleet import Instance
from sandbox.elasticbeanstalk.health import Deployment
from sandbox.elasticbeanstalk.operations.work import (
    OperationFailedError,
    Version,
    Work,
    announce_update,
    complete_update,
    execute,
    listed,
    put_in_service,
    quoted,
    start_instances,
    trim,
    wait_until_healthy,
)

MIXED = (
    "During an aborted deployment, some instances may have deployed the new application version. "
    "To ensure all instances are running the same version, re-deploy the appropriate application "
    "version."
)


def deploy(work: Work, version: Version) -> None:
    """UpdateEnvironment's work for a version label."""
    here = work.environment
    announce_update(here)
    policy = here.settings.policy
    before = [(one, one.deployed) for one in here.fleet]
    label = here.expected.version_label if here.expected else ""
    try:
        work.judge(Step.PREPARE)
        release = work.store(version)
        here.check_interrupted()
        number = here.number()
        _DEPLOYMENTS[policy](work, release, number)
    except (OperationFailedError, AbortedError) as failed:
        for message in getattr(failed, "messages", ()):
            here.say("ERROR", message)
        here.say("ERROR", "Failed to deploy application.")
        touched = any(one.deployed is not was for one, was in before) or len(here.fleet) > len(
            before
        )
        if touched:
            here.say("ERROR", MIXED)
        with here.lock:
            # "If a deployment fails, the expected version is reset to the version from the most
            # recent successful deployment."
            here.version_label = label
        here.end(State.READY, succeeded=False)
        return
    with here.lock:
        here.release = release
        here.expected = Deployment(release.version_label, number)
        here.version_label = release.version_label
    here.say("INFO", "New application version was deployed to running EC2 instances.")
    complete_update(here)


def _all_at_once(work: Work, release: Release, number: int) -> None:
    here = work.environment
    here.say("INFO", "Deploying new version to instance(s).")
    fleet = list(here.fleet)
    here.progress(len(fleet), 0)
    deploy_batch(work, fleet, release, number, "", len(fleet))
    here.commit()


def _rolling(work: Work, release: Release, number: int) -> None:
    here = work.environment
    here.say("INFO", "Deploying new version to instance(s).")
    fleet = list(here.fleet)
    roll(work, fleet, release, number, 1, 0)
    here.commit()


def _rolling_with_additional_batch(work: Work, release: Release, number: int) -> None:
    here = work.environment
    fleet = list(here.fleet)
    size = here.settings.batch(len(fleet))
    here.say(
        "INFO",
        "Rolling with Additional Batch deployment policy enabled. Launching a new batch of "
        f"{size} additional instance(s).",
    )
    work.judge(Step.LAUNCH)
    additional = start_instances(here, size)
    here.say(
        "INFO",
        f"Batch 1: {size} EC2 instance(s) {listed(additional)} launched. Deploying application "
        f"version '{release.version_label}'.",
    )
    total = len(fleet) + size
    here.progress(total, 0)
    deploy_batch(work, additional, release, number, "Batch 1: ", total)
    roll(work, fleet, release, number, 2, size)
    here.commit()
    work.judge(Step.TRIM)
    trim(here)


def roll(
    work: Work, fleet: Sequence[Instance], release: Release, number: int, first: int, done: int
) -> None:
    """Deploy to instances batch by batch; `first` is the first batch's number."""
    here = work.environment
    size = here.settings.batch(len(fleet))
    total = done + len(fleet)
    for index, start in enumerate(range(0, len(fleet), size), first):
        batch = fleet[start : start + size]
        here.progress(total, done)
        deploy_batch(work, batch, release, number, f"Batch {index}: ", total)
        done += len(batch)
    here.progress(total, done)


def deploy_batch(
    work: Work,
    batch: Sequence[Instance],
    release: Release,
    number: int,
    title: str,
    total: int,
) -> None:
    """Deploy to some instances in place, out of service while it happens, and see them healthy.

    Only batches have a title; all at once says less.
    """
    here = work.environment
    balanced = not here.settings.is_single
    here.check_interrupted()
    if title:
        here.say("INFO", f"{title}Starting application deployment on instance(s) {listed(batch)}.")
    was_in_service = [one for one in batch if one.in_service]
    if balanced and was_in_service:
        if title:
            here.say(
                "INFO",
                f"{title}De-registering instance(s) from the load balancer and waiting for them "
                "to go out of service.",
            )
        work.judge(Step.DETACH)
        for instance in batch:
            instance.in_service = False
    if title:
        here.say("INFO", f"{title}Starting application deployment command execution.")
    failed = execute(here, batch, release, number)
    if failed:
        put_in_service(batch)
        raise OperationFailedError(
            f"Unsuccessful command execution on instance id(s) {quoted(failed)}. "
            "Aborting the operation."
        )
    if title:
        here.say("INFO", f"{title}Completed application deployment command execution.")
        done = sum(
            1 for one in here.fleet if one.deployed and one.deployed.deployment.number == number
        )
        here.say(
            "INFO", f"Command execution completed on {done} of {total} instances in environment."
        )
    if balanced:
        if title:
            here.say(
                "INFO",
                f"{title}Registering instance(s) with the load balancer and waiting for them to "
                "be healthy.",
            )
        work.judge(Step.ATTACH)
    put_in_service(batch)
    if not wait_until_healthy(here, batch) and not here.settings.ignores_health:
        unhealthy = [one for one in batch if not here.passes(one)]
        raise OperationFailedError(
            f"Instance id(s) {quoted(unhealthy)} did not pass health check after command "
            "execution. Aborting the operation."
        )
    if title:
        here.say("INFO", f"{title}Completed application deployment.")


def _immutable(work: Work, release: Release, number: int) -> None:
    here = work.environment
    here.say(
        "INFO",
        "Immutable deployment policy enabled. Launching one instance with the new settings to "
        "verify health.",
    )
    replace_fleet(work, release, number, split=False)


def _traffic_splitting(work: Work, release: Release, number: int) -> None:
    replace_fleet(work, release, number, split=True)


def replace_fleet(work: Work, release: Release, number: int, *, split: bool) -> None:
    """Put a fleet of new instances in the old one's place, or end them and leave the old alone.

    With `split` the load balancer first sends a share of the visitors to the new ones for a while.
    """
    here = work.environment
    new: list[Instance] = []
    try:
        work.judge(Step.TEMPORARY)
        message = f"Created temporary auto scaling group {here.names.temporary_group}."
        here.say("INFO", message)
        here.announce(DetailType.RESOURCE, "Auto Scaling group created", "INFO", message)
        if split:
            work.judge(Step.SPLIT)
            _share_traffic(here, 0)
        here.progress(here.desired, 0)
        _launch_new(work, release, number, 1 if not split else here.desired, new)
        if len(new) < here.desired:
            here.say(
                "INFO", "Test instance passed health checks. Launching remaining new instances."
            )
            here.progress(here.desired, 1)
            _launch_new(work, release, number, here.desired - 1, new)
            here.say("INFO", "Successfully launched all instances.")
        here.progress(here.desired, here.desired)
        if split:
            _evaluate(here, new)
        here.commit()
        work.judge(Step.TRANSFER)
    except (OperationFailedError, AbortedError):
        _share_traffic(here, None)
        here.remove(new)
        raise
    here.say(
        "INFO",
        f"Detached new instance(s) from temporary auto scaling group {here.names.temporary_group}.",
    )
    here.say(
        "INFO",
        f"Attached new instance(s) to the permanent auto scaling group {here.names.group}.",
    )
    here.say(
        "INFO",
        "Deployment succeeded. Terminating old instances and temporary Auto Scaling group.",
    )
    _share_traffic(here, None)
    with here.lock:
        # From here on the new ones are what is expected; the old ones are on their way out.
        here.release, here.expected = release, Deployment(release.version_label, number)
        old = [one for one in here.fleet if one not in new]
    here.remove(old)
    for instance in new:
        instance.is_new = False
    message = f"Deleted Auto Scaling group named: {here.names.temporary_group}"
    here.announce(DetailType.RESOURCE, "Auto Scaling group deleted", "INFO", message)


def _launch_new(work: Work, release: Release, number: int, count: int, new: list[Instance]) -> None:
    """Launch instances of the temporary group with a release, in service, and see all healthy."""
    here = work.environment
    added = start_instances(here, count, is_new=True)
    new.extend(added)
    failed = execute(here, added, release, number)
    if failed:
        raise OperationFailedError(
            f"Unsuccessful command execution on instance id(s) {quoted(failed)}. "
            "Aborting the operation."
        )
    ids = ",".join(one.id for one in added)
    if not here.settings.is_single:
        here.say("INFO", f"Adding new instance(s) ({ids}) to the load balancer.")
        work.judge(Step.ATTACH)
    here.say(
        "INFO",
        f"Waiting for instance(s) ({','.join(one.id for one in new)}) to pass health checks.",
    )
    put_in_service(added)
    if not wait_until_healthy(here, new) and not here.settings.ignores_health:
        unhealthy = [one for one in new if not here.passes(one)]
        raise OperationFailedError(
            f"Instance id(s) {quoted(unhealthy)} did not pass health check after command "
            "execution. Aborting the operation."
        )


def _share_traffic(here: Environment, percent: int | None) -> None:
    if here.balancer is not None:
        here.balancer.new_percent = percent


def _evaluate(here: Environment, new: Sequence[Instance]) -> None:
    """Send a share of the traffic to the new instances for the evaluation time.

    https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/using-features.rolling-version-deploy.html
    """
    percent = int(here.settings.get(options.SPLITTING, "NewVersionPercent"))
    minutes = int(here.settings.get(options.SPLITTING, "EvaluationTime"))
    here.say(
        "INFO",
        f"Traffic-splitting deployment: sending {percent}% of the traffic to the new version and "
        f"evaluating it for {minutes} minutes.",
    )
    _share_traffic(here, percent)
    sick: list[Instance] = []

    def fell_ill() -> bool:
        sick[:] = [one for one in new if not here.passes(one)]
        return bool(sick)

    if here.wait(fell_ill, minutes * 60 * here.world.pace.second):
        raise OperationFailedError(
            f"Instance id(s) {quoted(sick)} did not stay healthy during the evaluation time. "
            "Aborting the operation."
        )


_DEPLOYMENTS: Mapping[str, Callable[[Work, Release, int], None]] = {
    "AllAtOnce": _all_at_once,
    "Rolling": _rolling,
    "RollingWithAdditionalBatch": _rolling_with_additional_batch,
    "Immutable": _immutable,
    "TrafficSplitting": _traffic_splitting,
}
