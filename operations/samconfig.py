"""What samconfig.toml says of the places that Trellis is deployed to."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
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
    return Place(name=name, stack=written["stack_name"], region=written["region"])
