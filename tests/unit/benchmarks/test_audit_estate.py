"""The audit against an estate whose truth is known: every wrong key is found, and no other."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.audit_estate import CLASSES, SERVICES, plans
from benchmarks.audit_peers import (
    Estate,
    KeyScore,
    Run,
    estate,
    found_by_us,
    ours,
    scored,
    scored_by_key,
)
from benchmarks.process import starter

RESOURCES = 400


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Estate]:
    with estate(RESOURCES, tmp_path_factory.mktemp("estate")) as at:
        yield at


@pytest.fixture(scope="module")
def audited(known: Estate, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    """One audit, by the process that `make audit` starts, and where its reports are."""
    folder = tmp_path_factory.mktemp("audit")
    with starter() as start:
        return ours(known, folder, start), folder


def test_the_estate_holds_every_class_of_every_service() -> None:
    made = {(one.service, one.kind) for one in plans(10_000)}
    assert made == {(service, kind) for service in SERVICES for kind, _ in CLASSES}
    assert plans(RESOURCES) == plans(RESOURCES)


def test_every_wrong_key_is_found_and_no_other(known: Estate, audited: tuple[Run, Path]) -> None:
    run, folder = audited
    expected = {
        arn: {what: set(one[what]) for what in ("missing", "blank")}
        for arn, one in known.truth.items()
        if one["missing"] or one["blank"]
    }
    assert found_by_us(folder) == expected
    assert (run.score.missing, run.score.blank, run.score.precision) == (1.0, 1.0, 1.0)
    assert run.requests <= 20


def test_the_three_reports_count_the_same_findings(audited: tuple[Run, Path]) -> None:
    _, folder = audited
    report = json.loads((folder / "report.json").read_text())
    named = {one["arn"]: len(one["findings"]) for one in report["resources"] if one["findings"]}
    assert sum(named.values()) == report["findings"] == sum(report["problems"].values())
    with (folder / "report.csv").open(newline="") as file:
        assert Counter(one["arn"] for one in csv.DictReader(file) if one["problem"]) == named
    page = (folder / "report.html").read_text()
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)
    assert data is not None
    assert {arn: len(findings) for arn, *_, findings in json.loads(data[1])} == named


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


def test_a_key_counts_only_under_its_own_kind() -> None:
    truth = {
        "a": {"missing": ["Owner", "Project"], "blank": []},
        "b": {"missing": [], "blank": ["Owner"]},
    }
    found = {
        "a": {"missing": {"Owner"}, "blank": {"Project"}},
        "b": {"missing": set[str](), "blank": {"Owner"}},
    }
    assert scored_by_key(Estate("http://nowhere", truth), found) == {
        "missing": KeyScore(wrong=2, named=1, right=1),
        "blank": KeyScore(wrong=1, named=2, right=1),
    }
