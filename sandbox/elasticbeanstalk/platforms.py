"""The platform versions that an environment can run, and their three ways of being named."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sandbox.cloud import Scope

# https://docs.aws.amazon.com/elasticbeanstalk/latest/platforms/platforms-supported.html
LISTED = (
    ("Python 3.9", "4.5.2"),
    ("Python 3.11", "4.5.2"),
    ("Python 3.12", "4.5.2"),
    ("Python 3.13", "4.5.2"),
)
"""What ListPlatformVersions answers; other versions of the same branches are taken, not listed."""

OPERATING_SYSTEM = "64bit Amazon Linux 2023"
BRANCHES = frozenset(language for language, _ in LISTED)


class PlatformError(Exception):
    """When no platform has the given name; the text names it and what there is."""


@dataclass(frozen=True, slots=True)
class Platform:
    """One platform version: `Python 3.13`, `4.5.2`."""

    language: str
    version: str

    @property
    def name(self) -> str:
        """`Python 3.13 running on 64bit Amazon Linux 2023`."""
        return f"{self.language} running on {OPERATING_SYSTEM}"

    @property
    def solution_stack(self) -> str:
        """`64bit Amazon Linux 2023 v4.5.2 running Python 3.13`."""
        return f"{OPERATING_SYSTEM} v{self.version} running {self.language}"

    def arn(self, scope: Scope) -> str:
        """The account is empty: a platform is AWS's, one a Region."""
        return (
            f"arn:{scope.partition}:elasticbeanstalk:{scope.region}::"
            f"platform/{self.name}/{self.version}"
        )


def listed() -> tuple[Platform, ...]:
    """The catalogue."""
    return tuple(Platform(language, version) for language, version in LISTED)


def by_arn(scope: Scope, arn: str) -> Platform:
    """The platform of an ARN; raises PlatformError when the Region has none of that name."""
    form = (
        rf"arn:{scope.partition}:elasticbeanstalk:{scope.region}::"
        rf"platform/(.+) running on {OPERATING_SYSTEM}/(\d+\.\d+\.\d+)"
    )
    return _known(re.fullmatch(form, arn), f"No Platform named '{arn}' found.")


def by_solution_stack(name: str) -> Platform:
    """The platform of a solution stack's name; raises PlatformError when there is none."""
    found = re.fullmatch(rf"{OPERATING_SYSTEM} v(\d+\.\d+\.\d+) running (.+)", name)
    if found:
        found = re.fullmatch(r"(.+)\0(.+)", f"{found[2]}\0{found[1]}")
    return _known(found, f"No Solution Stack named '{name}' found.")


def _known(found: re.Match[str] | None, message: str) -> Platform:
    if found is None or found[1] not in BRANCHES:
        raise PlatformError(
            f"{message} The sandbox knows {', '.join(sorted(BRANCHES))} on {OPERATING_SYSTEM}."
        )
    return Platform(found[1], found[2])
