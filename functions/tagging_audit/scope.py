"""What an audit is about, and how what belongs to this stack is told from the rest."""

from __future__ import annotations

from enum import StrEnum

SHARED = "shared"
"""The tier of what belongs to no single environment."""

ENVIRONMENT_TAG = "elasticbeanstalk:environment-name"
"""What Beanstalk puts on everything it makes for an environment:
https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/using-features.tagging.html
"""


class ScopeKind(StrEnum):
    """Which resources an audit is about."""

    STACK = "stack"
    ACCOUNT = "account"
    ARNS = "arns"
    """A few resources that are looked at again."""


class RemedyMode(StrEnum):
    """What the remedy does; in the order in which a careful person switches it on."""

    OFF = "off"
    DRY_RUN = "dry-run"
    ON = "on"
