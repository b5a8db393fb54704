"""The errors that more than one room raises or catches."""

from __future__ import annotations


class TrellisError(Exception):
    """When anything of ours goes wrong; its text is one sentence that a person can act on."""


class ConfigError(TrellisError):
    """When a setting is missing or wrong; the text names the setting, its value and the mend."""

    def __init__(self, setting: str, value: str | None, mend: str) -> None:
        self.setting, self.value, self.mend = setting, value, mend
        found = "is not set" if value is None else f"is {value!r}"
        super().__init__(f"{setting} {found}: {mend}")


class SchemaError(TrellisError):
    """When an event or a ledger item was written by a schema that this code does not know."""

    def __init__(self, what: str, found: object, known: str) -> None:
        self.what, self.found, self.known = what, found, known
        super().__init__(
            f"{what} has schema version {found!r}, this code knows {known}: "
            "deploy the version of Trellis that wrote it, or newer"
        )


class LedgerError(TrellisError):
    """When the ledger cannot be read or written; what was asked may or may not have happened."""


class BusError(TrellisError):
    """When the event bus did not take one of our events."""
