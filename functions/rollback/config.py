"""What rollback is told by its environment, read once.

Everything that may change while a version of the function stays published stands in the settings
parameter instead: see `rollback.settings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trellis import env


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Where the settings and the ledger are."""

    parameter: str
    ledger_table: str
    region: str | None = None

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Config:
        """Raises ConfigError for the first setting that is missing."""
        return cls(
            parameter=env.required(
                environ, "SETTINGS_PARAMETER", "set it to the name of the SSM parameter"
            ),
            ledger_table=env.required(
                environ, "LEDGER_TABLE_NAME", "set it to the ledger table's name"
            ),
            region=env.optional(environ, "AWS_REGION"),
        )
