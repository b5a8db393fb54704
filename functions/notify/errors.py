"""Why an event is not told."""

from __future__ import annotations

from trellis.errors import TrellisError


class NotForUsError(TrellisError):
    """When an event is known and nobody needs to hear of it; the text says why."""


class UnrecognisedError(TrellisError):
    """When nothing here knows what an event means; the text names what it looks like."""
