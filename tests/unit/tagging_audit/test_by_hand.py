"""`make audit`: the same code from a laptop, against any endpoint."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from operations.audit import main
from tests.unit.tagging_audit.conftest import client
from tests.unit.tagging_audit.gate import Gate
from tests.unit.tagging_audit.samples import GOOD
from tests.unit.tagging_audit.test_stack_inventory import deploy

ACCOUNT_WIDE = ("--scope", "account", "--regions", "us-east-1")


def run(moto: Gate, out: Path, *arguments: str) -> int:
    return main(["--endpoint", moto.endpoint, "--out", str(out), *arguments])


def last_line(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def test_writes_the_three_reports_and_ends_with_the_numbers(
    moto: Gate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client("sqs").create_queue(QueueName="bare")
    client("sqs").create_queue(QueueName="good", tags=GOOD)
    moto.requests.clear()
    assert run(moto, tmp_path, *ACCOUNT_WIDE) == 0
    found = last_line(capsys)
    assert {"resources", "findings", "unknown", "requests", "seconds"} <= found.keys()
    assert (found["resources"], found["findings"], found["unknown"]) == (2, 3, 0)
    assert found["requests"] == len(moto.requests)
    report = json.loads((tmp_path / "report.json").read_text())
    assert len(report["resources"]) == 2
    assert len(list(csv.reader((tmp_path / "report.csv").open(newline="")))) == 5
    assert "1 of 2 resources needs better tags" in (tmp_path / "report.html").read_text()
    assert {one.operation for one in moto.requests} & {"PutEvents", "PutObject", "PutItem"} == set()


def test_the_next_run_into_the_same_folder_says_what_changed(
    moto: Gate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(moto, tmp_path, *ACCOUNT_WIDE)
    assert last_line(capsys)["new-findings"] is None
    client("sqs").create_queue(QueueName="bare")
    run(moto, tmp_path, *ACCOUNT_WIDE)
    assert last_line(capsys)["new-findings"] == 3


def test_a_denied_list_is_said_before_the_numbers(
    moto: Gate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moto.refuse("ListQueues", "AccessDeniedException")
    assert run(moto, tmp_path, *ACCOUNT_WIDE) == 0
    said = capsys.readouterr().out.splitlines()
    assert "not seen: sqs:ListQueues was denied in us-east-1" in said
    assert json.loads(said[-1])["unknown"] == 1


def test_audits_a_stack_by_its_name_with_the_parameters_it_was_deployed_with(
    moto: Gate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deploy(
        {
            "Orders": {
                "Type": "AWS::SQS::Queue",
                "Properties": {"QueueName": "orders", "Tags": [{"Key": "Owner", "Value": "x"}]},
            }
        },
        "bakery",
        {"ProjectName": "bakery", "Owner": "team-bakery", "RequiredTags": "Owner"},
    )
    client("sqs").create_queue(QueueName="somebody-elses")
    assert run(moto, tmp_path, "--regions", "us-east-1", "--stack", "bakery") == 0
    assert last_line(capsys)["resources"] == 1
    (found,) = json.loads((tmp_path / "report.json").read_text())["resources"]
    assert [(one["tag"], one["problem"]) for one in found["findings"]] == [
        ("Owner", "not-allowed"),
        ("Environment", "missing"),
        ("ManagedBy", "missing"),
    ]


def test_a_dry_run_of_the_remedy_writes_what_it_would_do(moto: Gate, tmp_path: Path) -> None:
    deploy(
        {"Orders": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "orders"}}},
        "bakery",
        {"ProjectName": "bakery", "Owner": "team-bakery", "CostCenter": "CC-1"},
    )
    arguments = ("--regions", "us-east-1", "--stack", "bakery", "--remedy", "dry-run")
    assert run(moto, tmp_path, *arguments) == 0
    changes = json.loads((tmp_path / "report.json").read_text())["remedy"]["changes"]
    assert [one["tag"] for one in changes] == [
        "Project",
        "Owner",
        "CostCenter",
        "Environment",
        "ManagedBy",
    ]
    assert moto.asked("TagResources") == 0


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--endpoint", "localhost:4566"), "ENDPOINT is 'localhost:4566': write an address, like"),
        (("--regions", "us-east-1", "--stack", "none"), "the stack none in us-east-1 cannot be"),
        (("--regions", "xx-1"), "which stack? samconfig.toml has no section 'sandbox-xx-1'"),
    ],
)
def test_what_is_missing_is_named_with_its_mend(
    moto: Gate,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    problem: str,
) -> None:
    given = arguments if "--endpoint" in arguments else ("--endpoint", moto.endpoint, *arguments)
    assert main([*given, "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith(problem)


def test_a_policy_file_is_checked_by_itself(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--check-policy"]) == 0
    assert capsys.readouterr().out == "policy.toml: in order\n"
    path = tmp_path / "ours.toml"
    path.write_text(
        'version = 1\nrequired = ["A"]\n\n[[exemption]]\ntypes = ["x"]\nowner = "o"\n'
        'reason = "r"\nexpires = 2020-01-31\n'
    )
    assert main(["--check-policy", "--policy", str(path)]) == 1
    assert capsys.readouterr().err.startswith(
        "ours.toml line 4: the exemption of o (r) expired on 2020-01-31"
    )
    path.write_text("version = 1\nrequird = []\n")
    assert main(["--check-policy", "--policy", str(path)]) == 1
    assert "ours.toml line 2: unknown key 'requird'" in capsys.readouterr().err
