"""Whether an account may run the instances of a first deployment.

A new account may run very few, and one on AWS's free plan only some types; CloudFormation would say
so after ten minutes, or the first release to production would.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from operations.samconfig import Place
from operations.template import load

Client = Callable[..., Any]

QUOTA = "L-1216C47A"
"""Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances, counted in vCPUs: 5 in some new
accounts. https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html"""

_STANDARD = re.compile(r"(?:[acdhimrtz]|im|is)\d")
"""How the names of that quota's types begin. Inf, Trn, DL, HPC and Mac begin with one of the same
letters, and have quotas of their own."""

_DEDICATED_HOST = "host"
"""Where the tenancy is this, hosts are counted, by another quota, and not what runs on them."""

_RUNNING = ("pending", "running")


def plan_refusal(client: Client, where: Place) -> str | None:
    """Which instance types an account on AWS's free plan does not get.

    https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/free-tier-plans.html
    """
    plan = client("freetier", region="us-east-1").get_account_plan_state()
    if plan["accountPlanType"] != "FREE":
        return None
    described = _types(client("ec2"))
    refused = [name for name, one in described.items() if not one["FreeTierEligible"]]
    if not refused:
        return None
    return (
        f"the account is on AWS's free plan, which starts no {', '.join(refused)}: upgrade it to "
        "the paid plan (Billing, Account plan; what is left of its credits stays)"
    )


def quota_refusal(client: Client, where: Place) -> str | None:
    """Whether the vCPUs that are left are fewer than the environments need."""
    ec2 = client("ec2")
    sizes = {name: one["VCpuInfo"]["DefaultVCpus"] for name, one in _types(ec2).items()}
    at_rest, in_release = needed(load()["Mappings"]["Environment"], sizes)
    quotas = client("service-quotas")
    limit = int(quotas.get_service_quota(ServiceCode="ec2", QuotaCode=QUOTA)["Quota"]["Value"])
    used = _used(ec2)
    if limit - used >= in_release:
        return None
    return (
        f"the account may run {limit} vCPUs of ordinary instances in {where.region}, and {used} of "
        f"them run; the three environments need {at_rest}, and {in_release} while a release "
        "reaches production. Raise the quota: `aws service-quotas "
        f"request-service-quota-increase --service-code ec2 --quota-code {QUOTA} "
        f"--desired-value {max(used + in_release, 16)} --region {where.region}`"
    )


def needed(
    environments: Mapping[str, Mapping[str, str]], sizes: Mapping[str, int]
) -> tuple[int, int]:
    """The vCPUs of the environments at their smallest, and of the largest deployment on top.

    An immutable deployment doubles an environment, and a rolling one with an additional batch adds
    that batch; the pipeline deploys to one environment at a time.
    https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/using-features.rolling-version-deploy.html
    """
    at_rest, more = 0, [0]
    for one in environments.values():
        least = int(one["MinSize"])
        largest = max(sizes[name] for name in one["InstanceTypes"].split(","))
        at_rest += least * largest
        if one["DeploymentPolicy"] == "Immutable":
            more.append(least * largest)
        elif one["DeploymentPolicy"] == "RollingWithAdditionalBatch":
            more.append(math.ceil(least * int(one["BatchSize"]) / 100) * largest)
    return at_rest, at_rest + max(more)


def _types(ec2: Any) -> dict[str, Any]:
    """Every instance type that an environment may start, as EC2 describes it."""
    environments = load()["Mappings"]["Environment"].values()
    names = sorted({name for one in environments for name in one["InstanceTypes"].split(",")})
    described = ec2.describe_instance_types(InstanceTypes=names)["InstanceTypes"]
    return {one["InstanceType"]: one for one in described}


def _used(ec2: Any) -> int:
    """The vCPUs of the On-Demand Standard instances that run."""
    pages = ec2.get_paginator("describe_instances").paginate(
        Filters=[{"Name": "instance-state-name", "Values": list(_RUNNING)}]
    )
    return sum(
        one["CpuOptions"]["CoreCount"] * one["CpuOptions"]["ThreadsPerCore"]
        for page in pages
        for reservation in page["Reservations"]
        for one in reservation["Instances"]
        if _STANDARD.match(one["InstanceType"])
        and "InstanceLifecycle" not in one
        and one.get("Placement", {}).get("Tenancy") != _DEDICATED_HOST
    )
