"""What an audit says of a resource; apart from the events, which are not needed to say it."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """What an audit says of one resource."""

    COMPLIANT = "compliant"
    NON_COMPLIANT = "non-compliant"
    EXEMPT = "exempt"
    UNTAGGABLE = "untaggable"
    UNKNOWN = "unknown"
