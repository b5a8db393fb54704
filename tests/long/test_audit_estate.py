"""An audit of ten thousand resources: all that is wrong, and what it costs to find it."""

from __future__ import annotations

from pathlib import Path

from benchmarks.audit_peers import estate, ours
from benchmarks.process import starter

MOST_REQUESTS, MOST_MEGABYTES = 160, 100


def test_ten_thousand_resources(tmp_path: Path) -> None:
    with starter() as start, estate(10_000, tmp_path) as at:
        run = ours(at, tmp_path / "out", start)
    print(f"\n{run}")  # noqa: T201  # numbers that a person reads
    assert (run.score.missing, run.score.blank, run.score.precision) == (1.0, 1.0, 1.0)
    assert run.keys is not None
    assert all(one.wrong == one.named == one.right > 0 for one in run.keys.values())
    assert run.requests <= MOST_REQUESTS
    assert run.cost.peak_mb <= MOST_MEGABYTES
