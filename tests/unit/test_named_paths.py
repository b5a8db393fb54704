"""A test that a comment, a docstring or a page names is there to be read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("functions", "layers", "sandbox", "docs", "operations")
TEXTS = {".html", ".j2", ".md", ".mk", ".py", ".toml", ".yaml", ".yml", ""}
NAMED = re.compile(r"(?<![\w/.-])tests/[\w./-]*\w")
ELSEWHERE = {
    # A test of the public aws/aws-elastic-beanstalk-cli, which its page names by repository.
    ("sandbox/elasticbeanstalk/api/observation.py", "tests/unit/display/test_data_poller.py"),
}


def named_in(text: str) -> list[str]:
    """The paths under tests/ that a text names."""
    return NAMED.findall(text)


def texts() -> Iterator[Path]:
    yield from (ROOT / "README.md", ROOT / "Makefile", ROOT / "template.yaml")
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*")):
            if path.is_file() and path.suffix in TEXTS and "__pycache__" not in path.parts:
                yield path


def test_every_test_that_is_named_exists() -> None:
    found = {
        (str(path.relative_to(ROOT)), name)
        for path in texts()
        for name in named_in(path.read_text(encoding="utf-8"))
    }
    assert len(found) > 5, "the reading is at fault"
    missing = {(where, name) for where, name in found if not (ROOT / name).exists()}
    assert missing == ELSEWHERE


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("see tests/unit/test_a.py.", ["tests/unit/test_a.py"]),
        ("`tests/live`, and tests/a/b-c.json; contests/x", ["tests/live", "tests/a/b-c.json"]),
    ],
)
def test_a_name_ends_where_the_sentence_goes_on(text: str, names: list[str]) -> None:
    assert named_in(text) == names
