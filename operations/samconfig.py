"""What samconfig.toml says of the places that Trellis is deployed to."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from operations.template import ROOT

SAMCONFIG = ROOT / "samconfig.toml"


class PlaceError(Exception):
    """When samconfig.toml has no section, or no stack or Region in it; the text says which."""


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

    Raises PlaceError for a section that is not there or says too little.
    """
    config = tomllib.loads(path.read_text(encoding="utf-8"))
    sections = sorted(key for key, value in config.items() if isinstance(value, dict))
    if name not in sections:
        raise PlaceError(f"{path.name} has no section {name!r}; it has {', '.join(sections)}")
    written = {
        key: value
        for command in ("global", "deploy")
        for key, value in config[name].get(command, {}).get("parameters", {}).items()
    }
    for needed in ("stack_name", "region"):
        if not written.get(needed):
            raise PlaceError(f"section {name!r} of {path.name} has no {needed}")
    overrides = written.get("parameter_overrides", [])
    if isinstance(overrides, str):
        overrides = shlex.split(overrides)
    pairs = (one.partition("=") for one in overrides)
    return Place(
        name=name,
        stack=written["stack_name"],
        region=written["region"],
        parameters={key.strip(): value.strip().strip("\"'") for key, _, value in pairs},
    )
