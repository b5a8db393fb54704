"""What happens to an environment: launch, deployment by policy, configuration, termination.

The order of the steps and the words of the events follow AWS's documentation
(https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/using-features.rolling-version-deploy.html,
https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/environmentmgmt-updates-immutable.html) and
event logs that people published; the README names them row by row.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from botocore.exceptions import ClientError

from sandbox.cloud import AccessDeniedError, Caller
from sandbox.elasticbeanstalk import bundle, downstream, options, storage
from sandbox.elasticbeanstalk.bundle import BundleError, Release
from sandbox.elasticbeanstalk.downstream import Step
from sandbox.elasticbeanstalk.environment import AbortedError, Environment, State
from sandbox.elasticbeanstalk.events import DetailType
from sandbox.elasticbeanstalk.fleet import LOGS, CommandFailedError, Instance
from sandbox.elasticbeanstalk.health import Deployment
from sandbox.elasticbeanstalk.names import log_group
from sandbox.elasticbeanstalk.options import Change, Settings
from sandbox.elasticbeanstalk.platforms import Platform

MIXED = (
    "During an aborted deployment, some instances may have deployed the new application version. "
    "To ensure all instances are running the same version, re-deploy the appropriate application "
    "version."
)


class OperationFailedError(Exception):
    """When an operation fails; the messages are its ERROR events, in their order."""

    def __init__(self, *messages: str) -> None:
        self.messages = messages
        super().__init__(" ".join(messages))


@dataclass(frozen=True, slots=True)
class Version:
    """An application version to deploy; without a bundle it is the sample application."""

    application: str
    label: str
    bucket: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Work:
    """One operation on one environment in the name of a caller.

    `caller` is None where Beanstalk acts by itself (a managed update, an instance replaced by
    Auto Scaling): nobody's rights are judged then.
    """

    environment: Environment
    caller: Caller | None

    def judge(self, step: Step) -> None:
        """Judge the caller's rights to a step; raises OperationFailedError for a missing one."""
        self.environment.check_interrupted()
        if self.caller is None:
            return
        here = self.environment
        for one in downstream.needed(step, here.situation):
            try:
                here.world.cloud.authorize(
                    here.identity.scope, self.caller, one.action, one.resource, one.context
                )
            except AccessDeniedError as error:
                raise OperationFailedError(downstream.denial(one.action, str(error))) from error

    def store(self, version: Version | None) -> Release:
        """Copy a version to Beanstalk's bucket with the caller's rights; what instances take."""
        if version is None or not version.bucket:
            sample = bundle.sample_release()
            return sample if version is None else replace(sample, version_label=version.label)
        here = self.environment
        try:
            return storage.store(
                here,
                self.caller or here.root,
                version.bucket,
                version.key,
                version.application,
                version.label,
            )
        except BundleError as error:
            raise OperationFailedError(str(error)) from error
        except AccessDeniedError as error:
            raise OperationFailedError(downstream.denial("s3:GetObject", str(error))) from error


# Launch


def launch(work: Work, version: Version | None) -> None:
    """CreateEnvironment's work."""
    here = work.environment
    name = here.identity.name
    here.announce(
        DetailType.ENVIRONMENT,
        "Environment creation started",
        "INFO",
        "createEnvironment is starting.",
    )
    try:
        problems = _launch(work, version)
    except (OperationFailedError, AbortedError) as failed:
        for message in getattr(failed, "messages", ()):
            here.say("ERROR", message)
        here.say("ERROR", "Failed to launch environment.")
        here.announce(
            DetailType.ENVIRONMENT,
            "Environment creation failed",
            "ERROR",
            "Failed to launch environment.",
        )
        _dismantle(here)
        here.end(State.TERMINATED, succeeded=False)
        here.retire()
        return
    if problems:
        message = (
            f"Launched environment: {name}. However, there were issues during launch. "
            "See event log for details."
        )
        here.say(
            "ERROR",
            "Create environment operation is complete, but with errors. For more information, see "
            "troubleshooting documentation.",
        )
        here.say("WARN", message)
    else:
        message = "createEnvironment completed successfully."
        here.say("INFO", f"Application available at {here.address}.")
        here.say("INFO", f"Successfully launched environment: {name}")
    here.announce(DetailType.ENVIRONMENT, "Environment creation successful", "INFO", message)
    here.end(State.READY, succeeded=not problems)


def _launch(work: Work, version: Version | None) -> bool:
    """Launch; True when the environment stands but its application does not serve."""
    here = work.environment
    here.say(
        "INFO",
        f"Using {here.names.bucket} as Amazon S3 storage bucket for environment data.",
    )
    here.judge(at_once=True)
    _find_instance_role(here)
    work.judge(Step.CREATE)
    storage.prepare(here)
    release = work.store(version)
    _stream_logs(work)
    here.find_problems()
    if not here.settings.is_single:
        message = f"Created load balancer named: {here.names.balancer}"
        here.say("INFO", message)
        here.announce(DetailType.RESOURCE, "Load balancer created", "INFO", message)
    message = f"Created Auto Scaling group named: {here.names.group}"
    here.say("INFO", message)
    here.announce(DetailType.RESOURCE, "Auto Scaling group created", "INFO", message)
    here.say("INFO", "Waiting for EC2 instances to launch. This may take a few minutes.")
    here.open()
    with here.lock:
        here.release, number = release, here.number()
        here.expected = Deployment(release.version_label, number)
        here.version_label = release.version_label
    instances = _start_instances(here, here.desired)
    failed = _execute(here, instances, release, number)
    for instance in instances:
        instance.in_service = True
    if failed:
        return True
    return not _wait_until_healthy(here, instances)


def _find_instance_role(here: Environment) -> None:
    """The role of the instance profile; raises OperationFailedError in AWS's words.

    https://github.com/Securing-DevOps/invoicer/issues/20,
    https://github.com/onnela-lab/beiwe-backend/issues/32
    """
    profile = here.settings.instance_profile
    if not profile:
        raise OperationFailedError("Environment must have instance profile associated with it.")
    iam = here.world.cloud.forward(here.identity.scope, "iam", here.root)
    try:
        found = iam.get_instance_profile(InstanceProfileName=profile)["InstanceProfile"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchEntity":
            raise
        raise OperationFailedError(
            f"The instance profile {profile} associated with the environment does not exist."
        ) from error
    if not found["Roles"]:
        raise OperationFailedError(
            f"The instance profile {profile} associated with the environment has no role. "
            "Please attach a role to the instance profile."
        )
    here.instance_role = found["Roles"][0]["Arn"]


# Deployment


def deploy(work: Work, version: Version) -> None:
    """UpdateEnvironment's work for a version label."""
    here = work.environment
    _announce_update(here)
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
    _complete_update(here)


def _announce_update(here: Environment) -> None:
    here.announce(
        DetailType.ENVIRONMENT,
        "Environment update started",
        "INFO",
        "Environment update is starting.",
    )
    here.judge(at_once=True)


def _complete_update(here: Environment) -> None:
    message = "Environment update completed successfully."
    here.say("INFO", message)
    here.announce(DetailType.ENVIRONMENT, "Environment update successful", "INFO", message)
    here.end(State.READY, succeeded=True)


def _all_at_once(work: Work, release: Release, number: int) -> None:
    here = work.environment
    here.say("INFO", "Deploying new version to instance(s).")
    fleet = list(here.fleet)
    here.progress(len(fleet), 0)
    _deploy_batch(work, fleet, release, number, "", len(fleet))
    here.commit()


def _rolling(work: Work, release: Release, number: int) -> None:
    here = work.environment
    here.say("INFO", "Deploying new version to instance(s).")
    fleet = list(here.fleet)
    _roll(work, fleet, release, number, 1, 0)
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
    additional = _start_instances(here, size)
    here.say(
        "INFO",
        f"Batch 1: {size} EC2 instance(s) {_listed(additional)} launched. Deploying application "
        f"version '{release.version_label}'.",
    )
    total = len(fleet) + size
    here.progress(total, 0)
    _deploy_batch(work, additional, release, number, "Batch 1: ", total)
    _roll(work, fleet, release, number, 2, size)
    here.commit()
    work.judge(Step.TRIM)
    _trim(here)


def _roll(
    work: Work, fleet: Sequence[Instance], release: Release, number: int, first: int, done: int
) -> None:
    """Deploy to instances batch by batch; `first` is the first batch's number."""
    here = work.environment
    size = here.settings.batch(len(fleet))
    total = done + len(fleet)
    for index, start in enumerate(range(0, len(fleet), size), first):
        batch = fleet[start : start + size]
        here.progress(total, done)
        _deploy_batch(work, batch, release, number, f"Batch {index}: ", total)
        done += len(batch)
    here.progress(total, done)


def _deploy_batch(
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
        here.say("INFO", f"{title}Starting application deployment on instance(s) {_listed(batch)}.")
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
    failed = _execute(here, batch, release, number)
    if failed:
        _put_in_service(batch)
        raise OperationFailedError(
            f"Unsuccessful command execution on instance id(s) {_quoted(failed)}. "
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
    _put_in_service(batch)
    if not _wait_until_healthy(here, batch) and not here.settings.ignores_health:
        unhealthy = [one for one in batch if not here.passes(one)]
        raise OperationFailedError(
            f"Instance id(s) {_quoted(unhealthy)} did not pass health check after command "
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
    _replace_fleet(work, release, number, split=False)


def _traffic_splitting(work: Work, release: Release, number: int) -> None:
    _replace_fleet(work, release, number, split=True)


def _replace_fleet(work: Work, release: Release, number: int, *, split: bool) -> None:
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
    added = _start_instances(here, count, is_new=True)
    new.extend(added)
    failed = _execute(here, added, release, number)
    if failed:
        raise OperationFailedError(
            f"Unsuccessful command execution on instance id(s) {_quoted(failed)}. "
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
    _put_in_service(added)
    if not _wait_until_healthy(here, new) and not here.settings.ignores_health:
        unhealthy = [one for one in new if not here.passes(one)]
        raise OperationFailedError(
            f"Instance id(s) {_quoted(unhealthy)} did not pass health check after command "
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
            f"Instance id(s) {_quoted(sick)} did not stay healthy during the evaluation time. "
            "Aborting the operation."
        )


_DEPLOYMENTS: Mapping[str, Callable[[Work, Release, int], None]] = {
    "AllAtOnce": _all_at_once,
    "Rolling": _rolling,
    "RollingWithAdditionalBatch": _rolling_with_additional_batch,
    "Immutable": _immutable,
    "TrafficSplitting": _traffic_splitting,
}


# Configuration


def configure(work: Work, settings: Settings, platform: Platform) -> None:
    """UpdateEnvironment's work for option settings or a platform."""
    here = work.environment
    _announce_update(here)
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
    _complete_update(here)


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
    _find_instance_role(here)
    here.find_problems()
    _stream_logs(work)
    if change is not Change.NOTHING:
        number = here.number()
        if change is Change.RESTART:
            _restart_with_configuration(work, number)
        elif settings.get(options.ROLLING, "RollingUpdateType") == "Immutable":
            _replace_fleet(work, here.release, number, split=False)
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
            _roll(work, fleet, here.release, number, 1, 0)
        case "Immutable" | "TrafficSplitting":
            _replace_fleet(work, here.release, number, split=False)
        case _:
            here.progress(len(fleet), 0)
            _deploy_batch(work, fleet, here.release, number, "", len(fleet))


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
        fresh = _start_instances(here, len(batch))
        if _execute(here, fresh, here.release, number):
            raise OperationFailedError(
                f"Unsuccessful command execution on instance id(s) {_quoted(fresh)}. "
                "Aborting the operation."
            )
        _put_in_service(fresh)
        if not _wait_until_healthy(here, fresh) and not here.settings.ignores_health:
            raise OperationFailedError(
                f"Instance id(s) {_quoted(fresh)} did not pass health check after command "
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
    _execute(here, other, here.release, expected.number)
    _put_in_service(other)
    resize(Work(here, None))


def resize(work: Work) -> None:
    """Launch or terminate instances until the fleet has the desired size."""
    here = work.environment
    missing = here.desired - len(here.fleet)
    if missing > 0:
        work.judge(Step.LAUNCH)
        expected = here.expected
        added = _start_instances(here, missing)
        if expected is not None:
            _execute(here, added, here.release, expected.number)
        _put_in_service(added)
        _wait_until_healthy(here, added)
    elif missing < 0:
        work.judge(Step.TRIM)
        _trim(here)


def _trim(here: Environment) -> None:
    """Terminate the newest instances beyond the desired size."""
    here.remove(here.fleet[here.desired :])


def scale(work: Work, count: int) -> None:
    """What a scaling trigger does: another number of instances, within the group's bounds."""
    here = work.environment
    with here.lock:
        here.desired = min(max(count, here.settings.size), here.settings.largest_size)
    resize(work)


# Managed updates


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
        _replace_fleet(work, here.release, number, split=False)
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


# Termination


def terminate(work: Work) -> None:
    """TerminateEnvironment's work."""
    here = work.environment
    here.judge(at_once=True)
    here.announce(
        DetailType.ENVIRONMENT,
        "Environment termination started",
        "INFO",
        "terminateEnvironment is starting.",
    )
    try:
        work.judge(Step.DELETE)
    except OperationFailedError as failed:
        for message in failed.messages:
            here.say("ERROR", message)
        message = "terminateEnvironment failed."
        here.say("ERROR", message)
        here.announce(DetailType.ENVIRONMENT, "Environment termination failed", "INFO", message)
        here.end(State.READY, succeeded=False)
        return
    _dismantle(here)
    message = "terminateEnvironment completed successfully."
    here.say("INFO", message)
    here.announce(DetailType.ENVIRONMENT, "Environment termination successful", "INFO", message)
    here.end(State.TERMINATED, succeeded=True)
    here.retire()


def _dismantle(here: Environment) -> None:
    """Take down what an environment has."""
    with here.lock:
        here.desired = 0
    here.remove(list(here.fleet))
    if here.balancer is not None:
        message = f"Deleted Auto Scaling group named: {here.names.group}"
        here.say("INFO", message)
        here.announce(DetailType.RESOURCE, "Auto Scaling group deleted", "INFO", message)
        if not here.settings.is_single:
            message = f"Deleted load balancer named: {here.names.balancer}"
            here.say("INFO", message)
            here.announce(DetailType.RESOURCE, "Load balancer deleted", "INFO", message)
    storage.clear(here)
    if here.settings.get(options.LOGS, "DeleteOnTerminate") == "true":
        logs = here.world.cloud.forward(here.identity.scope, "logs", here.root)
        for log in LOGS:
            try:
                logs.delete_log_group(logGroupName=log_group(here.identity.name, log))
            except ClientError as error:
                if error.response["Error"]["Code"] != "ResourceNotFoundException":
                    raise


def _stream_logs(work: Work) -> None:
    """Make the log groups of instance log streaming, with their retention."""
    here = work.environment
    if here.settings.get(options.LOGS, "StreamLogs") != "true":
        return
    work.judge(Step.STREAM)
    logs = here.world.cloud.forward(here.identity.scope, "logs", here.root)
    for log in LOGS:
        group = log_group(here.identity.name, log)
        try:
            logs.create_log_group(logGroupName=group)
        except ClientError as error:
            if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
                raise
        logs.put_retention_policy(
            logGroupName=group,
            retentionInDays=int(here.settings.get(options.LOGS, "RetentionInDays")),
        )


# Instances


def _start_instances(here: Environment, count: int, *, is_new: bool = False) -> list[Instance]:
    """Launch instances into the fleet, out of service."""
    here.wait(lambda: False, here.world.pace.launch)
    instances = [here.new_instance() for _ in range(count)]
    for instance in instances:
        instance.is_new = is_new
    if instances:
        here.add(instances)
    return instances


def _execute(
    here: Environment, instances: Sequence[Instance], release: Release, number: int
) -> list[Instance]:
    """Run the deployment command on instances side by side; those where it failed, told."""
    begun = time.time()
    if not instances:
        return []
    for instance in instances:
        instance.begin("application deployment" if instance.deployed else "initialization")
    variables = here.settings.variables

    def run(instance: Instance) -> bool:
        try:
            instance.execute(release, number, variables, begun)
        except CommandFailedError:
            return False
        finally:
            instance.settle()
        return True

    with ThreadPoolExecutor(len(instances)) as together:
        results = list(together.map(run, instances))
    failed = [one for one, succeeded in zip(instances, results, strict=True) if not succeeded]
    if len(failed) < len(instances):
        here.say("INFO", "Instance deployment completed successfully.")
    if failed:
        here.say("ERROR", "Instance deployment failed. For details, see 'eb-engine.log'.")
        for instance in failed:
            here.say(
                "ERROR",
                f"[Instance: {instance.id}] Command failed on instance. Return code: 1 Output: "
                "Engine execution has encountered an error..",
            )
        here.say(
            "INFO",
            "Command execution completed on all instances. Summary: "
            f"[Successful: {len(instances) - len(failed)}, Failed: {len(failed)}].",
        )
    return failed


def _put_in_service(instances: Sequence[Instance]) -> None:
    for instance in instances:
        instance.in_service = True


def _wait_until_healthy(here: Environment, instances: Sequence[Instance]) -> bool:
    """Wait for instances to pass their checks within the command timeout."""
    seconds = here.settings.command_timeout * here.world.pace.second
    return here.wait(lambda: all(here.passes(one) for one in instances), seconds)


def _listed(instances: Sequence[Instance]) -> str:
    return f"[{', '.join(one.id for one in instances)}]"


def _quoted(instances: Sequence[Instance]) -> str:
    return f"'{','.join(one.id for one in instances)}'"
