"""What samconfig.toml says of the places that Trellis is deployed to."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from operations.template import ROOT

SAMCONFIG = ROOT / "samconfig.toml"


class PlaceError(Exception):
    """When samconfig.toml does not read, or does not say where a place is; the text says which."""


@dataclass(frozen=True, slots=True)
class Place:
    """One section of samconfig.toml: where a stack of which name goes."""

    name: str
    stack: str
    region: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    """The template's parameters that are given there."""


def place(name: str, path: Path = SAMCONFIG) -> Place:
    """A section by its name, the `--config-env` of `sam deploy`.

    Raises PlaceError for a file that cannot be read, and for a section that is not there, says too
    little, or does not read.
    """
    config = _read(path)
    sections = sorted(key for key, value in config.items() if isinstance(value, dict))
    if not name:
        raise PlaceError(f"no place is named: add one, like PLACE={sections[-1]}")
    if name not in sections:
        raise PlaceError(f"{path.name} has no section {name!r}; it has {', '.join(sections)}")
    try:
        return _place(name, config[name], path)
    except (AttributeError, TypeError, ValueError) as err:
        raise PlaceError(f"section {name!r} of {path.name} cannot be read: {err}") from err


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as err:
        raise PlaceError(f"{path} cannot be read: {err.strerror}") from err
    except ValueError as err:  # no TOML, or no UTF-8
        raise PlaceError(f"{path.name} cannot be read: {err}") from err


def _place(name: str, section: Mapping[str, Any], path: Path) -> Place:
    written = {
        key: value
        for command in ("global", "deploy")
        for key, value in section.get(command, {}).get("parameters", {}).items()
    }
    for needed in ("stack_name", "region"):
        if not written.get(needed):
            raise PlaceError(f"section {name!r} of {path.name} has no {needed}")
        if not isinstance(written[needed], str):
            raise PlaceError(f"section {name!r} of {path.name}: {needed} is no text in quotes")
    overrides = written.get("parameter_overrides", [])
    if isinstance(overrides, str):
        try:
            overrides = shlex.split(overrides)
        except ValueError as err:
            raise PlaceError(
                f"section {name!r} of {path.name}: parameter_overrides cannot be read: {err}"
            ) from err
    pairs = (one.partition("=") for one in overrides)
    return Place(
        name=name,
        stack=written["stack_name"],
        region=written["region"],
        parameters={key.strip(): value.strip().strip("\"'") for key, _, value in pairs},
    )
