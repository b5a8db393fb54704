"""The audit against an estate whose truth is known: every wrong key is found, and no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.audit_estate import CLASSES, SERVICES, plans
from benchmarks.audit_peers import Estate, estate, found_by_us, ours, scored
from benchmarks.process import starter

RESOURCES = 400


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    with estate(RESOURCES, tmp_path_factory.mktemp("estate")) as at:
        yield at


def test_the_estate_holds_every_class_of_every_service() -> None:
    made = {(one.service, one.kind) for one in plans(10_000)}
    assert made == {(service, kind) for service in SERVICES for kind, _ in CLASSES}
    assert plans(RESOURCES) == plans(RESOURCES)


def test_every_wrong_key_is_found_and_no_other(known: Estate, tmp_path: Path) -> None:
    with starter() as start:
        run = ours(known, tmp_path, start)
    expected = {
        arn: {what: set(one[what]) for what in ("missing", "blank")}
        for arn, one in known.truth.items()
        if one["missing"] or one["blank"]
    }
    assert found_by_us(tmp_path) == expected
    assert (run.score.missing, run.score.blank, run.score.precision) == (1.0, 1.0, 1.0)
    assert run.requests <= 20


def test_a_score_counts_what_was_overlooked_and_what_was_made_up() -> None:
    truth = {
        name: {"missing": missing, "blank": blank}
        for name, missing, blank in (
            ("a", ["Owner"], []),
            ("b", ["Owner"], []),
            ("c", [], ["Owner"]),
            ("d", [], []),
        )
    }
    score = scored(Estate("http://nowhere", truth), {"a", "d"})
    assert (score.missing, score.blank, score.precision) == (0.5, 0.0, 0.5)
