"""Builds once and deploys to several places at the same time.

`python -m operations.deploy us-east-1 us-west-2` runs `sam build`, then one `sam deploy` for each
section of samconfig.toml that is named, side by side. A place that fails lets the others finish;
it is named at the end with the first reason that CloudFormation gave, with what Elastic Beanstalk
says of an environment that did not start, and with the mend where it is a known one.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from operations import beforehand
from operations.samconfig import Place, PlaceError, place
from operations.stack import client_of
from operations.template import ROOT

_SUPERSEDED = (
    "PlatformVersion is not, or no longer, offered in this Region: `aws elasticbeanstalk "
    "list-platform-versions` names those that are"
)
MENDS = {
    "default vpc": "the account has no default VPC in this Region: set VpcId, InstanceSubnetIds "
    "and LoadBalancerSubnetIds",
    "already exists": "a stack of this project and suffix was deleted before and kept its data: "
    "choose another EnvironmentSuffix, or remove what it kept (docs/operations.md, Delete)",
    "no solution stack": _SUPERSEDED,
    "no platform named": _SUPERSEDED,
    "vpcs has been reached": "the account's quota of VPCs is used up: give it one to use (VpcId)",
    "loadbalancers cannot be created": "the account's quota of load balancers is used up: raise "
    "it, or set DevEnvironmentType to SingleInstance",
    "does not support creating load balancers": "AWS has not opened load balancers for this "
    "account yet: ask AWS Support for it",
    "loadbalancer type option cannot be changed": "an environment without a load balancer never "
    "gets one: keep DevEnvironmentType, or deploy a new stack beside this one",
    "cannot migrate an environment": "an environment stays in the VPC that it was made in: keep "
    "VpcId, or deploy a new stack beside this one",
    "more than one load balancer": "another LoadBalancerScheme needs another load balancer: keep "
    "it, or deploy a new stack beside this one",
    "not eligible for free tier": "the account is on AWS's free plan, which does not start this "
    "instance type: upgrade it to the paid plan",
    "vcpu": "the account's quota of running instances is used up: raise it (Service Quotas, EC2)",
    "builds in queue": "the account may not run that many builds at a time: leave "
    "ParallelBuildActions false, or raise the quota of concurrent builds (Service Quotas)",
    "is in rollback_complete state": "the first deployment failed, and what is left of the stack "
    "has to go first: `aws cloudformation delete-stack --stack-name` with its name",
    "not authorized to perform": "whoever deploys lacks this permission",
    "unconfirmed": "confirm the subscription by the link in AWS's mail",
    "did not stabilize": "the environment's own events say why: `aws elasticbeanstalk "
    "describe-events --severity ERROR --environment-name` with its name; an account without a "
    "default VPC needs VpcId, InstanceSubnetIds and LoadBalancerSubnetIds",
}
"""Parts of reasons, in lower case, and what to do about them; the first that is there counts."""

_ENVIRONMENT = "AWS::ElasticBeanstalk::Environment"

_CONSEQUENCES = ("resource creation cancelled", "resource update cancelled", "the following")
"""How the reasons of resources begin that failed because another one did."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the deployment to one place ended."""

    place: Place
    is_deployed: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """The resource that the others failed with, and CloudFormation's reason."""

    resource: str
    reason: str
    environment: str | None = None
    """The name of the environment of Elastic Beanstalk that it is, if it is one."""

    def __str__(self) -> str:
        return f"{self.resource}: {self.reason}"


def first_failure(events: Iterable[Mapping[str, Any]], since: datetime) -> Failure | None:
    """What the others follow from, of a stack's events in any order."""
    failed = [
        event
        for event in events
        if str(event.get("ResourceStatus", "")).endswith("_FAILED")
        and event["Timestamp"] >= since
        and event.get("ResourceStatusReason")
        and not event["ResourceStatusReason"].lower().startswith(_CONSEQUENCES)
    ]
    if not failed:
        return None
    first = min(failed, key=lambda event: event["Timestamp"])
    is_environment = first.get("ResourceType") == _ENVIRONMENT
    return Failure(
        resource=first["LogicalResourceId"],
        reason=first["ResourceStatusReason"],
        environment=_environment_of(first) if is_environment else None,
    )


def _environment_of(event: Mapping[str, Any]) -> str | None:
    """The environment's name: where nothing was made, it stands in the reason alone."""
    named = re.search(r"with identifier '([^']+)'", event["ResourceStatusReason"])
    return event.get("PhysicalResourceId") or (named[1] if named else None)


def mend(reason: str) -> str | None:
    """What to do about a reason, where that is known."""
    lower = reason.lower()
    return next((what for part, what in MENDS.items() if part in lower), None)


def ask_cloudformation(where: Place, since: datetime) -> str | None:
    """The first reason of a failed deployment, or None where the stack cannot be asked."""
    try:
        session = boto3.session.Session()
        client = client_of(session, "cloudformation", region_name=where.region)
        pages = client.get_paginator("describe_stack_events").paginate(StackName=where.stack)
        failure = first_failure((event for page in pages for event in page["StackEvents"]), since)
    except (BotoCoreError, ClientError):
        return None
    if failure is None or failure.environment is None:
        return str(failure) if failure else None
    said = ask_beanstalk(where, failure.environment, since)
    return f"{failure} Elastic Beanstalk says: {said}" if said else str(failure)


def ask_beanstalk(where: Place, environment: str, since: datetime) -> str | None:
    """What an environment says of its own failure, or None where it cannot be asked.

    Of an environment that was not launched CloudFormation says no more than that it "did not
    stabilize". Events are kept for six weeks, also those of environments that are gone again.
    https://docs.aws.amazon.com/elasticbeanstalk/latest/api/API_DescribeEvents.html
    """
    try:
        session = boto3.session.Session()
        client = client_of(session, "elasticbeanstalk", region_name=where.region)
        events = client.describe_events(
            EnvironmentName=environment, Severity="ERROR", StartTime=since
        )["Events"]
    except (BotoCoreError, ClientError):
        return None
    return " ".join(event["Message"] for event in reversed(events)) or None


Explain = Callable[[Place, datetime], str | None]
Check = Callable[[Place], str | None]
Say = Callable[[str], None]


def deploy(where: Place, explain: Explain, say: Say, check: Check) -> Outcome:
    """Run `sam deploy` for one place, say its lines, and find out why it failed if it did.

    It is not run where it is known to fail.
    """
    if refused := check(where):
        return Outcome(where, is_deployed=False, reason=refused)
    since = datetime.now(UTC)
    last = ""
    with subprocess.Popen(  # noqa: S603 -- the name is a section of our own samconfig.toml
        ["sam", "deploy", "--config-env", where.name, "--no-confirm-changeset"],  # noqa: S607 -- the SAM CLI that a person has on the PATH
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        cwd=ROOT,
    ) as process:
        for line in process.stdout or ():
            if line.strip():
                last = line.strip()
                say(f"[{where.name}] {line.rstrip()}")
    if process.returncode == 0:
        return Outcome(where, is_deployed=True)
    return Outcome(where, is_deployed=False, reason=explain(where, since) or last or "no reason")


def deploy_all(places: Sequence[Place], explain: Explain, say: Say, check: Check) -> list[Outcome]:
    """Deploy to every place at the same time; all of them end, whatever becomes of the others."""
    outcomes: dict[str, Outcome] = {}

    def work(where: Place) -> None:
        outcomes[where.name] = deploy(where, explain, say, check)

    threads = [threading.Thread(target=work, args=(where,), name=where.name) for where in places]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [
        outcomes.get(where.name, Outcome(where, is_deployed=False, reason="it could not be run"))
        for where in places
    ]


def summary(outcomes: Iterable[Outcome]) -> list[str]:
    """A line for each place, with the mend of a failure below it."""
    lines = []
    for outcome in outcomes:
        where = f"{outcome.place.stack} in {outcome.place.region}"
        if outcome.is_deployed:
            lines.append(f"{where}: deployed")
            continue
        lines.append(f"{where}: FAILED: {outcome.reason}")
        if found := mend(outcome.reason):
            lines.append(f"  what to do: {found}")
    return lines


def main(
    arguments: Sequence[str],
    explain: Explain = ask_cloudformation,
    say: Say = lambda line: print(line, flush=True),  # noqa: T201 -- a person reads it
    check: Check = beforehand.refusal,
    nobody: Callable[[], str | None] = beforehand.nobody,
) -> int:
    parser = argparse.ArgumentParser(prog="python -m operations.deploy", description=__doc__)
    parser.add_argument("--no-build", action="store_true", help="deploy what was built before")
    parser.add_argument("places", nargs="+", help="sections of samconfig.toml")
    options = parser.parse_args(arguments)
    try:
        places = [place(name) for name in dict.fromkeys(options.places)]
    except PlaceError as err:
        say(str(err))
        return 2
    if reason := nobody():
        say(f"nothing was built or deployed: {reason}")
        return 1
    if not options.no_build:
        built = subprocess.run(["sam", "build"], cwd=ROOT, check=False)  # noqa: S607 -- as above
        if built.returncode:
            return built.returncode
    outcomes = deploy_all(places, explain, say, check)
    for line in summary(outcomes):
        say(line)
    return 0 if all(outcome.is_deployed for outcome in outcomes) else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
