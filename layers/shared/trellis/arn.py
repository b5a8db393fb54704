"""Amazon Resource Names, read as they are really written.

AWS's own Elastic Beanstalk samples print `arn:was:` for `arn:aws:`
(https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/AWSHowTo.eventbridge.html).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_PARTITIONS = ("aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f")
_CONSOLES = {
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}


@dataclass(frozen=True, slots=True)
class Arn:
    """The parts of an ARN; `resource` is all that follows the account, colons included."""

    partition: str
    service: str
    region: str
    account: str
    resource: str

    @classmethod
    def parse(cls, text: object) -> Arn | None:
        """The parts, or None for what is no ARN. An unknown partition is read as `aws`."""
        if not isinstance(text, str):
            return None
        parts = text.strip().split(":", 5)
        if len(parts) != 6 or parts[0] != "arn" or not parts[2]:
            return None
        _, partition, service, region, account, resource = parts
        known = partition if partition in _PARTITIONS else "aws"
        return cls(known, service, region, account, resource)

    def __str__(self) -> str:
        return ":".join(
            ("arn", self.partition, self.service, self.region, self.account, self.resource)
        )


_REGION = re.compile(r"[a-z]{2,}(?:-[a-z]+)+-\d+")


def is_region(text: str | None) -> bool:
    """Whether a text has the shape of a Region: samples and mails write other things there."""
    return text is not None and _REGION.fullmatch(text) is not None


def partition_of(region: str) -> str:
    """The partition a Region belongs to, by its prefix."""
    for prefix, partition in (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov")):
        if region.startswith(prefix):
            return partition
    return "aws"


def console_host(region: str) -> str:
    """The host of the AWS console for a Region, `us-west-2.console.aws.amazon.com`."""
    host = _CONSOLES.get(partition_of(region), "console.aws.amazon.com")
    return f"{region}.{host}" if is_region(region) else host
