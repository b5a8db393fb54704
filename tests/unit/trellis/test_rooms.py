"""The house rules of the shared layer's rooms: who may import what, and when."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TRELLIS = Path(__file__).parents[3] / "layers/shared/trellis"
PURE = ("arn", "commit", "env", "errors", "events", "records", "verdict")
ADAPTERS = {"bus", "endpoints", "observability", "session", "table", "trust"}
"""The rooms that know a library of AWS's; `ledger` knows one by `table` alone."""
AWS = {"aws_lambda_powertools", "boto3", "botocore"}
OUTSIDE = AWS | {"http", "logging", "os", "random", "socket", "subprocess", "time", "urllib"}


def named(nodes: Iterator[ast.AST]) -> set[str]:
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            if node.module == "trellis":
                found |= {f"trellis.{alias.name}" for alias in node.names}
    return found


def imports(path: Path) -> set[str]:
    return named(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def roots(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


@pytest.mark.parametrize("name", PURE)
def test_a_pure_room_knows_no_clock_no_environment_and_no_aws(name: str) -> None:
    path = TRELLIS / f"{name}.py"
    found = imports(path)
    assert not roots(found) & OUTSIDE
    assert ".now(" not in path.read_text(encoding="utf-8")
    inside = {one.partition(".")[2] for one in found if one.startswith("trellis.")}
    assert inside <= set(PURE)


def test_only_the_session_reads_the_environment() -> None:
    readers = {path.stem for path in TRELLIS.glob("*.py") if "os" in imports(path)}
    assert readers == {"session"}


def test_aws_is_known_to_the_adapters_alone() -> None:
    known = {path.stem for path in TRELLIS.glob("*.py") if roots(imports(path)) & AWS}
    assert known == ADAPTERS


def test_no_room_but_the_lazily_loaded_trust_imports_botocore_before_it_is_asked() -> None:
    """Importing a room must stay cheap: an ignored event pays for it, and calls nothing."""
    early = {
        path.stem
        for path in TRELLIS.glob("*.py")
        if "botocore" in roots(named(iter(ast.parse(path.read_text(encoding="utf-8")).body)))
    }
    assert early == {"trust"}
    importers = {
        path.stem
        for path in TRELLIS.glob("*.py")
        if "trellis.trust" in named(iter(ast.parse(path.read_text(encoding="utf-8")).body))
    }
    assert importers == set()
