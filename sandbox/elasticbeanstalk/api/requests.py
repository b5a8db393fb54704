"""Taking requests apart and putting answers together."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sandbox.elasticbeanstalk.options import Key, OptionError, Settings
from sandbox.service import ApiError


def check(settings: Settings) -> None:
    """https://github.com/ThoughtWorksStudios/eb_deployer/pull/44 shows code and words."""
    try:
        settings.check()
    except OptionError as error:
        raise ApiError("ConfigurationValidationException", str(error)) from error


def given_settings(settings: Iterable[Mapping[str, str]] | None) -> dict[Key, str]:
    """Option settings of a request by namespace and name."""
    return {
        (one.get("Namespace", ""), one.get("OptionName", "")): one.get("Value", "")
        for one in settings or ()
    }


def given_keys(specified: Iterable[Mapping[str, str]] | None) -> list[Key]:
    """Namespace and name of each option that a request names."""
    return [(one.get("Namespace", ""), one.get("OptionName", "")) for one in specified or ()]


def given_tags(tags: Iterable[Mapping[str, str]] | None) -> dict[str, str]:
    """Tags of a request by key."""
    return {one["Key"]: one.get("Value", "") for one in tags or ()}


def chosen(members: Mapping[str, Any], wanted: Iterable[str] | None) -> dict[str, Any]:
    """The members that AttributeNames asks for; none without it."""
    asked = set(wanted or ())
    return {name: value for name, value in members.items() if "All" in asked or name in asked}


def moment(seconds: float) -> datetime:
    """A time of the API from seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC)


def in_utc(given: datetime | None) -> datetime | None:
    """A time of a request; the parser leaves the zone out."""
    return given.replace(tzinfo=UTC) if given is not None and given.tzinfo is None else given


def page_of[Item](items: Sequence[Item], given: Mapping[str, Any]) -> tuple[list[Item], str | None]:
    """A page by MaxRecords and NextToken; everything without them."""
    token, start = given.get("NextToken"), 0
    if token:
        try:
            kind, number = base64.urlsafe_b64decode(token.encode()).decode().split("/")
            start = int(number)
        except ValueError as error:
            raise ApiError("InvalidParameterValue", f"Invalid NextToken: {token}") from error
        if kind != "items":
            raise ApiError("InvalidParameterValue", f"Invalid NextToken: {token}")
    size = given.get("MaxRecords") or 1000
    end = start + size
    following = base64.urlsafe_b64encode(f"items/{end}".encode()).decode()
    return list(items[start:end]), (following if len(items) > end else None)


def with_token(answer: dict[str, Any], token: str | None) -> dict[str, Any]:
    """An answer with the token of the next page, if there is one."""
    return {**answer, "NextToken": token} if token else answer
