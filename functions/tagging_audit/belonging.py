"""What belongs to this stack, told by a name or a tag alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from tagging_audit.scope import ENVIRONMENT_TAG, SHARED
from trellis.arn import Arn

_TIERS = ("dev", "test", "prod")
_STACK_TAGS = ("aws:cloudformation:stack-id", "aws:cloudformation:stack-name")
_PLACE = r"(-[a-z]{2}(-[a-z]+)+-[0-9]-[0-9]{12})?"
"""Region and account, which end the name of a bucket."""


@dataclass(frozen=True, kw_only=True)
class OwnStack:
    """This stack, by its names."""

    stack_id: str
    project: str
    suffix: str
    tiers: Mapping[str, str] = field(init=False)
    """Which environment, by its name, is dev, test or prod."""

    def __post_init__(self) -> None:
        names = {f"{self.project}-{tier}-{self.suffix}": tier for tier in _TIERS}
        object.__setattr__(self, "tiers", names)

    @property
    def name(self) -> str:
        parts = self.stack_id.split("/")
        return parts[1] if len(parts) == 3 else self.stack_id

    def owns(self, arn: str, tags: Mapping[str, str]) -> bool:
        """Whether a resource surely belongs to this stack: by its name, or by what made it."""
        if any(tags.get(key) in (self.stack_id, self.name) for key in _STACK_TAGS):
            return True
        if tags.get(ENVIRONMENT_TAG) in self.tiers:
            return True
        parsed = Arn.parse(arn)
        return parsed is not None and self._named.search(parsed.resource) is not None

    def tier_of(self, arn: str, tags: Mapping[str, str]) -> str:
        """The environment that a resource of this stack belongs to."""
        name = tags.get(ENVIRONMENT_TAG) or arn.rsplit("/", 1)[-1]
        return self.tiers.get(name, SHARED)

    @cached_property
    def _named(self) -> re.Pattern[str]:
        project, suffix = re.escape(self.project), re.escape(self.suffix)
        return re.compile(rf"(?:^|[/:]){project}-(?:[a-z0-9-]+-)?{suffix}{_PLACE}(?:$|[/:])")
