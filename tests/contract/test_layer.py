"""What the shared layer leaves out of Powertools is nothing that we use."""

from __future__ import annotations

import ast
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

from sandbox import running

ROOT = running.PROJECT
POWERTOOLS = "aws_lambda_powertools"


def names_used() -> Iterator[tuple[str, str | None]]:
    """Each module of Powertools that our code imports, with the name it takes from it, if any."""
    for folder in ("functions", "layers/shared"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    yield from ((alias.name, None) for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module:
                    yield from ((node.module, alias.name) for alias in node.names)


IMPORTER = """
import importlib, json, sys
for module, name in json.load(sys.stdin):
    found = importlib.import_module(module)
    assert found.__file__.startswith(sys.argv[1]), found.__file__
    if name is not None:
        getattr(found, name)
# Our own modules import theirs in their own order, and some of it late.
import trellis.observability
trellis.observability.logger.info("imported")
print("all of it")
"""


def test_everything_that_we_use_of_powertools_can_be_imported(built: Path) -> None:
    used = sorted(
        {(module, name) for module, name in names_used() if module.split(".")[0] == POWERTOOLS},
        key=str,
    )
    modules = {module for module, _ in used}
    assert {POWERTOOLS, f"{POWERTOOLS}.utilities.parameters"} <= modules, "the reading is at fault"
    layer = built / "SharedLayer/python"
    done = subprocess.run(
        [ROOT / ".venv/runtime/bin/python", "-c", IMPORTER, layer],
        env={"PYTHONPATH": str(layer), "POWERTOOLS_SERVICE_NAME": "test"},
        input=json.dumps(used),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "all of it"


def test_the_layer_carries_none_of_what_nobody_uses(built: Path) -> None:
    powertools = built / "SharedLayer/python" / POWERTOOLS
    assert not (powertools / "event_handler").exists()
    kept = {path.name for path in (powertools / "utilities").iterdir()} - {"__pycache__"}
    assert kept == {"__init__.py", "jmespath_utils", "parameters", "typing"}
