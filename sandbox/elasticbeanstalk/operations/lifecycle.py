"""The beginning and the end of an environment."""

from __future__ import annotations

from botocore.exceptions import ClientError

from sandbox.elasticbeanstalk import options, storage
from sandbox.elasticbeanstalk.downstream import Step
from sandbox.elasticbeanstalk.environment import AbortedError, Environment, State
from sandbox.elasticbeanstalk.events import DetailType
from sandbox.elasticbeanstalk.fleet import LOGS
from sandbox.elasticbeanstalk.health import Deployment
from sandbox.elasticbeanstalk.names import log_group
from sandbox.elasticbeanstalk.operations.work import (
    OperationFailedError,
    Version,
    Work,
    execute,
    find_instance_role,
    has_network,
    start_instances,
    stream_logs,
    wait_until_healthy,
)


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
        dismantle(here)
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
    """Launch; True when the environment stands but its application does not serve.

    It may stand without instances, where its own stack failed.
    """
    here = work.environment
    here.say(
        "INFO",
        f"Using {here.names.bucket} as Amazon S3 storage bucket for environment data.",
    )
    here.judge(at_once=True)
    find_instance_role(here)
    work.judge(Step.CREATE)
    storage.prepare(here)
    release = work.store(version)
    stream_logs(work)
    here.find_problems()
    if not has_network(here):
        return True
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
    instances = start_instances(here, here.desired)
    failed = execute(here, instances, release, number)
    for instance in instances:
        instance.in_service = True
    if failed:
        return True
    return not wait_until_healthy(here, instances)


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
    dismantle(here)
    message = "terminateEnvironment completed successfully."
    here.say("INFO", message)
    here.announce(DetailType.ENVIRONMENT, "Environment termination successful", "INFO", message)
    here.end(State.TERMINATED, succeeded=True)
    here.retire()


def dismantle(here: Environment) -> None:
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
