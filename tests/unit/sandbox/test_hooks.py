"""One package reaches into MiniStack, and it names every private name that it uses there."""

from __future__ import annotations

import ast
from pathlib import Path

from sandbox.ministack.hooks import HOOKS

ROOT = Path(__file__).resolve().parents[3]
PACKAGE = ROOT / "sandbox" / "ministack"
PACKAGES = ("", "core", "services", "services.cloudformation")
"""Packages of MiniStack: what is imported from one of these is a module."""


def imports_ministack(node: ast.AST) -> bool:
    match node:
        case ast.ImportFrom(module=str(module)):
            return module == "ministack" or module.startswith("ministack.")
        case ast.Import(names=names):
            return any(name.name.split(".")[0] == "ministack" for name in names)
    return False


def names_used(source: str) -> set[str]:
    """What a module takes from MiniStack, as `HOOKS` writes it."""
    tree = ast.parse(source)
    modules: dict[str, str] = {}
    used: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and imports_ministack(node):
            inside = (node.module or "").removeprefix("ministack").removeprefix(".")
            for name in node.names:
                whole = f"{inside}.{name.name}".removeprefix(".")
                if inside in PACKAGES:
                    modules[name.asname or name.name] = whole
                else:
                    used.add(whole)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in modules
        ):
            used.add(f"{modules[node.value.id]}.{node.attr}")
    return used


def test_nothing_but_the_package_imports_ministack() -> None:
    guilty = [
        str(path.relative_to(ROOT))
        for folder in ("sandbox", "functions", "layers", "tests")
        for path in (ROOT / folder).rglob("*.py")
        if PACKAGE not in path.parents
        and any(imports_ministack(node) for node in ast.walk(ast.parse(path.read_text())))
    ]
    assert guilty == []


def test_hooks_names_everything_that_is_used_and_nothing_else() -> None:
    used: set[str] = set()
    for path in PACKAGE.glob("*.py"):
        used |= names_used(path.read_text())
    assert sorted(used) == sorted(HOOKS)


def test_nothing_is_taken_from_ministack_in_a_way_this_test_cannot_see() -> None:
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            assert not (isinstance(node, ast.Import) and imports_ministack(node)), path
