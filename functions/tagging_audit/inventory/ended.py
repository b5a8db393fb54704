"""What services still describe of resources that have come to their end.

A terminated instance is shown for about an hour, and may have lost its tags already; a deleted
secret can be restored for up to 30 days. Nobody can mend the tags of either, so neither is there.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/terminating-instances.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_STATES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "AWS::AutoScaling::AutoScalingGroup": ("Status", ("Delete in progress",)),
    "AWS::EC2::Instance": ("State", ("shutting-down", "terminated")),
    "AWS::EC2::Volume": ("State", ("deleting", "deleted")),
    "AWS::ElasticBeanstalk::Environment": ("Status", ("Terminating", "Terminated")),
    "AWS::RDS::DBCluster": ("Status", ("deleting",)),
    "AWS::RDS::DBInstance": ("DBInstanceStatus", ("deleting",)),
}
"""The field that says it, and what it says then."""

_SECRET = "AWS::SecretsManager::Secret"  # noqa: S105  # a type of resource


def can_linger(type_: str) -> bool:
    """Whether resources of a type are described after their end."""
    return type_ in _STATES or type_ == _SECRET


def has_ended(type_: str, described: Mapping[str, Any]) -> bool:
    """Whether a service describes a resource that has come to its end, or is about to."""
    if type_ == _SECRET:
        return bool(described.get("DeletedDate"))
    if type_ not in _STATES:
        return False
    field, ends = _STATES[type_]
    said = described.get(field)
    return (said.get("Name") if isinstance(said, Mapping) else said) in ends
