"""Parameters that an environment is made with, and that Elastic Beanstalk changes in none."""

from __future__ import annotations

from collections.abc import Mapping

from operations.samconfig import Place

_BESIDE = (
    "keep the value that the stack stands with ({stands}), or deploy a new stack beside it with "
    "another EnvironmentSuffix"
)


def refusal(where: Place, standing: Mapping[str, str]) -> str | None:
    """Why an update of a stack that stands with these values would fail, with the mend.

    The type of the load balancer is chosen
    [when an environment is made](https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/environments-cfg-alb.html),
    and so is the VPC ("You cannot migrate an environment to a VPC"); another scheme is another
    load balancer, which the target groups of the first
    [cannot join](https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/780).
    """
    for name, why in (
        ("DevEnvironmentType", "an environment without a load balancer never gets one"),
        ("VpcId", "an environment stays in the VPC that it was made in"),
        ("LoadBalancerScheme", "another scheme needs another load balancer"),
    ):
        stands = standing.get(name)
        wanted = where.parameters.get(name, stands)
        if stands is None or wanted == stands:
            continue
        if name == "DevEnvironmentType" and stands == "LoadBalanced":
            continue  # a load balancer can be given up
        if name == "LoadBalancerScheme" and not standing.get("VpcId"):
            continue  # without a VPC the scheme is not used
        mend = _BESIDE.format(stands=repr(stands) if stands else "nothing")
        return f"{name} cannot become {wanted or 'empty'!r}: {why}. So {mend}"
    return None
