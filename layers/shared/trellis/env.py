"""Settings from environment variables: read once, checked at the door, one clear error each.

The readers take the environment as an argument, so that `config` rooms are the only ones that
touch `os.environ`.
"""

from __future__ import annotations

from collections.abc import Mapping

from trellis.errors import ConfigError

_FLAGS = {"true": True, "false": False}


def required(environ: Mapping[str, str], name: str, mend: str) -> str:
    """The text of a setting that must be there; blank counts as missing."""
    value = environ.get(name, "").strip()
    if not value:
        raise ConfigError(name, None, mend)
    return value


def optional(environ: Mapping[str, str], name: str) -> str | None:
    """The text of a setting, or None where it is missing or blank."""
    return environ.get(name, "").strip() or None


def flag(environ: Mapping[str, str], name: str) -> bool:
    """A switch: `true` or `false` in any case; missing or blank is false."""
    value = environ.get(name, "").strip()
    if not value:
        return False
    if value.lower() not in _FLAGS:
        raise ConfigError(name, value, "set it to true or false")
    return _FLAGS[value.lower()]


def number(
    environ: Mapping[str, str], name: str, *, default: float, least: float, most: float
) -> float:
    """A number within limits, both included; missing or blank is the default."""
    value = environ.get(name, "").strip()
    if not value:
        return default
    mend = f"set it to a number from {least:g} to {most:g}"
    try:
        found = float(value)
    except ValueError as err:
        raise ConfigError(name, value, mend) from err
    if not least <= found <= most:
        raise ConfigError(name, value, mend)
    return found
