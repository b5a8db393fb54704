"""A resource as the sources describe it, before anyone judges it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Source(StrEnum):
    """Who told of a resource, or of its tags."""

    TAGGING_API = "tagging-api"
    """GetResources, which knows only what is or once was tagged."""
    LIST = "list"
    """A list call of the service itself: the only source for what was never tagged."""
    SERVICE = "service"
    """The service's own read of one resource's tags."""
    STACK = "stack"
    """CloudFormation's list of what a stack holds."""
    ENVIRONMENT = "environment"
    """Elastic Beanstalk's list of what an environment runs on."""
    EXPLORER = "resource-explorer"
    """The index of Resource Explorer, which may be hours old."""
    EVENT = "event"
    """A tag event, which carries every tag of its resource."""


class TagRoute(StrEnum):
    """Who can put tags on a type of resource."""

    TEMPLATE = "template"
    API = "api"
    """Its own API can, CloudFormation has no property for it."""
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One resource and all that is known of it."""

    arn: str
    type: str
    """CloudFormation's name of the type, or `service:kind` where we know none."""
    region: str
    """`global` for what belongs to no Region."""
    tags: Mapping[str, str] | None
    """None where nobody could tell; an empty mapping is a resource without tags."""
    sources: tuple[Source, ...] = ()
    route: TagRoute = TagRoute.TEMPLATE
    created: datetime | None = None
    logical_id: str | None = None
    """Its name in this stack's template, where it is declared there."""
    is_ours: bool = False
    """It belongs to this stack: declared in it, or made by what is declared in it."""
    tier: str | None = None
    """dev, test, prod, or shared, where it is ours."""
    trouble: str | None = None
    """Why its tags could not be read."""
    refusal: str | None = None
    """Why it can carry no tags."""
