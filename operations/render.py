"""What each channel would get for an event, or for every event of a folder.

`python -m operations.render events` runs notify's own handler with DRY_RUN on the files and
prints its answers: one JSON document a line for a folder, each with its `file`; a single one,
indented, for a file. A file that is no JSON is taken as the text of a mail. Nothing is sent.
The functions and the layer must be on PYTHONPATH, as `make render` puts them.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from notify.handler import lambda_handler

CHANNELS = ("email", "slack", "teams", "pagerduty", "webhook")
_SETTINGS = {
    "DRY_RUN": "true",
    "POWERTOOLS_SERVICE_NAME": "notify",
    "POWERTOOLS_LOG_LEVEL": "CRITICAL",
}


def rendered(path: Path) -> dict[str, Any]:
    """The dry run of one file."""
    os.environ.update(_SETTINGS)
    text = path.read_text(encoding="utf-8")
    try:
        event = json.loads(text)
    except ValueError:
        event = text
    return lambda_handler(event, None)


def events_in(path: Path) -> list[Path]:
    """The files to render: the file itself, or the JSON files of a folder by name."""
    return sorted(path.glob("*.json")) if path.is_dir() else [path]


def only(found: dict[str, Any], channel: str | None) -> dict[str, Any]:
    """A dry run with the renderings of one channel alone."""
    if channel is None:
        return found
    if "items" in found:
        return {**found, "items": [only(item, channel) for item in found["items"]]}
    if "renderings" in found:
        return {**found, "renderings": {channel: found["renderings"][channel]}}
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make render", description=__doc__)
    parser.add_argument("event", type=Path, help="a file, or a folder of JSON files")
    parser.add_argument("--channel", choices=CHANNELS, help="show one channel alone")
    given = parser.parse_args(arguments)
    if not given.event.exists():
        sys.stderr.write(f"EVENT={given.event}: there is no such file or folder\n")
        return 2
    events = events_in(given.event)
    if not events:
        sys.stderr.write(f"EVENT={given.event}: there is no JSON file in that folder\n")
        return 2
    failures = 0
    for path in events:
        try:
            found = only(rendered(path), given.channel)
        except Exception as err:  # one event must not hide the others
            sys.stderr.write(f"{path}: {type(err).__name__}: {err}\n")
            failures += 1
            continue
        if given.event.is_dir():
            said = json.dumps({"file": path.name, **found}, ensure_ascii=False)
        else:
            said = json.dumps(found, ensure_ascii=False, indent=2)
        sys.stdout.write(f"{said}\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
