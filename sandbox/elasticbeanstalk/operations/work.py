"""What operations share: whose rights they use, and what they do to instances."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from botocore.exceptions import ClientError

from sandbox.cloud import AccessDeniedError, Caller
from sandbox.elasticbeanstalk import bundle, downstream, options, storage
from sandbox.elasticbeanstalk.bundle import BundleError, Release
from sandbox.elasticbeanstalk.downstream import Step
from sandbox.elasticbeanstalk.environment import Environment, State
from sandbox.elasticbeanstalk.events import DetailType
from sandbox.elasticbeanstalk.fleet import LOGS, CommandFailedError, Instance
from sandbox.elasticbeanstalk.names import log_group


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


def find_instance_role(here: Environment) -> None:
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


def has_network(here: Environment) -> bool:
    """Whether there is a VPC for it: its own setting's, or the default one of its Region.

    Without either Beanstalk's stack fails at its security group, and the environment stands with
    nothing in it. https://github.com/awslabs/windows-web-app-migration-assistant/issues/11
    """
    if here.settings.get(options.VPC, "VPCId"):
        return True
    ec2 = here.world.cloud.forward(here.identity.scope, "ec2", here.root)
    default = {"Name": "is-default", "Values": ["true"]}
    if ec2.describe_vpcs(Filters=[default])["Vpcs"]:
        return True
    here.say(
        "ERROR",
        f"Stack named '{here.names.stack}' aborted operation. Current state: 'CREATE_FAILED'  "
        "Reason: The following resource(s) failed to create: [AWSEBSecurityGroup].",
    )
    here.say(
        "ERROR",
        "Creating security group failed Reason: No default VPC for this user (Service: AmazonEC2; "
        f"Status Code: 400; Error Code: VPCIdNotSpecified; Request ID: {uuid.uuid4()}; "
        "Proxy: null)",
    )
    return False


def announce_update(here: Environment) -> None:
    """Tell EventBridge that an update begins, and judge the health that it changes."""
    here.announce(
        DetailType.ENVIRONMENT,
        "Environment update started",
        "INFO",
        "Environment update is starting.",
    )
    here.judge(at_once=True)


def complete_update(here: Environment) -> None:
    """Tell that an update has succeeded, and leave it."""
    message = "Environment update completed successfully."
    here.say("INFO", message)
    here.announce(DetailType.ENVIRONMENT, "Environment update successful", "INFO", message)
    here.end(State.READY, succeeded=True)


def stream_logs(work: Work) -> None:
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


def start_instances(here: Environment, count: int, *, is_new: bool = False) -> list[Instance]:
    """Launch instances into the fleet, out of service."""
    here.wait(lambda: False, here.world.pace.launch)
    instances = [here.new_instance() for _ in range(count)]
    for instance in instances:
        instance.is_new = is_new
    if instances:
        here.add(instances)
    return instances


def execute(
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


def put_in_service(instances: Sequence[Instance]) -> None:
    """Register instances with the load balancer."""
    for instance in instances:
        instance.in_service = True


def wait_until_healthy(here: Environment, instances: Sequence[Instance]) -> bool:
    """Wait for instances to pass their checks within the command timeout."""
    seconds = here.settings.command_timeout * here.world.pace.second
    return here.wait(lambda: all(here.passes(one) for one in instances), seconds)


def listed(instances: Sequence[Instance]) -> str:
    """Instance ids in brackets, as batches name them."""
    return f"[{', '.join(one.id for one in instances)}]"


def quoted(instances: Sequence[Instance]) -> str:
    """Instance ids in quotes, as failures name them."""
    return f"'{','.join(one.id for one in instances)}'"


def trim(here: Environment) -> None:
    """Terminate the newest instances beyond the desired size."""
    here.remove(here.fleet[here.desired :])
