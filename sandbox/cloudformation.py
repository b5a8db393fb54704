"""How a service of ours offers its CloudFormation resource types.

The engine that reads templates, orders resources and keeps stacks is MiniStack's; what it lacks
are the types. A type is an object with create, update and delete. Properties arrive with every
intrinsic resolved and already judged by the type's own resource schema.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from sandbox.cloud import Scope

Properties = Mapping[str, Any]
Created = tuple[str, dict[str, str]]
"""A physical id, and what Fn::GetAtt gives of the resource."""


class ResourceFailedError(Exception):
    """When a resource cannot be made, changed or removed; the text is the stack event's reason."""


@dataclass(frozen=True, slots=True)
class Stack:
    """The stack that a resource belongs to."""

    scope: Scope
    name: str

    def physical_name(self, logical_id: str, longest: int) -> str:
        """A name for a resource whose template gives none: stack, logical id, a stable suffix."""
        seed = f"{self.scope.account}/{self.scope.region}/{self.name}/{logical_id}"
        suffix = hashlib.sha256(seed.encode()).hexdigest()[:12]
        return f"{self.name}-{logical_id}"[: longest - 13] + f"-{suffix}"


class ResourceType(Protocol):
    """One CloudFormation resource type, `AWS::Service::Kind`."""

    def create(self, stack: Stack, logical_id: str, properties: Properties) -> Created:
        """Make the resource and return when CloudFormation would call it complete."""

    def update(
        self, stack: Stack, logical_id: str, physical_id: str, old: Properties, new: Properties
    ) -> Created:
        """Change it in place, or make its replacement and return that one's physical id."""

    def delete(self, stack: Stack, physical_id: str, properties: Properties) -> None:
        """Remove it; a resource that is gone already is no error."""
