"""What the public scanners say of the template: nothing, and with no rule switched off.

checkov reads the expanded template: in the SAM source it would overlook what the transform makes.
"""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from operations.template import ROOT, TEMPLATE
from tests.template.faults import turns_red_when
from tests.template.rendered import Template

ACCEPTED = {"CKV_AWS_115", "CKV_AWS_117"}
"""What may be suppressed with a reason: no encryption, public access, wildcard or logging."""

MOST_FINDINGS_A_RESOURCE = 1.7
CHECKS = Path(__file__).parent / "checkov_checks"


def run(*command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "AWS_DEFAULT_REGION": "us-east-1", "SAM_CLI_TELEMETRY": "0"}
    return subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=240, cwd=ROOT
    )


def test_cfn_lint_finds_nothing_not_even_to_inform() -> None:
    found = run("cfn-lint", "--include-checks", "I", "--", str(TEMPLATE))
    assert found.returncode == 0, found.stdout
    assert not found.stdout.strip()


@turns_red_when(
    "a rule switched off",
    lambda source: source["Resources"]["Pipeline"].update(
        Metadata={"cfn-lint": {"config": {"ignore_checks": ["E3002"]}}}
    ),
)
def test_no_lint_rule_is_switched_off(template: Template) -> None:
    assert not list(ROOT.glob(".cfnlintrc*"))
    assert "cfn-lint" not in json.dumps(template.source.get("Metadata", {}))
    for name, resource in template.source["Resources"].items():
        assert "cfn-lint" not in resource.get("Metadata", {}), name


def test_sam_finds_it_valid() -> None:
    found = run("sam", "validate", "--lint")
    assert found.returncode == 0, found.stdout + found.stderr


@dataclass(frozen=True, slots=True)
class Scan:
    """What checkov said of one file."""

    failed: list[tuple[str, str]]
    """Check and resource."""
    suppressed: list[tuple[str, str, str]]
    """Check, resource and the reason beside it."""


@pytest.fixture(scope="module")
def scans(template: Template, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Scan]:
    """checkov's word on the template, and on one that is spoilt in the ways it must see."""
    folder = tmp_path_factory.mktemp("expanded")
    spoilt = copy.deepcopy(template.expanded)
    spoilt["Resources"]["NotifyQueue"]["Properties"].pop("SqsManagedSseEnabled")
    spoilt["Resources"]["ReportsBucket"]["Properties"].pop("PublicAccessBlockConfiguration")
    spoilt["Resources"]["NotifyFunction"].pop("Metadata")
    for name, content in (("template", template.expanded), ("spoilt", spoilt)):
        (folder / f"{name}.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    found = run(
        checkov(),
        *("--directory", str(folder), "--framework", "cloudformation", "--skip-download"),
        *("--external-checks-dir", str(CHECKS), "--output", "json", "--compact", "--soft-fail"),
    )
    assert found.returncode == 0, found.stderr
    results = json.loads(found.stdout)["results"]
    return {name: _scan(results, f"/{name}.json") for name in ("template", "spoilt")}


def checkov() -> str:
    """Where checkov is: in an environment of its own, since it pins much of what it needs."""
    for place in (os.environ.get("CHECKOV"), str(ROOT / ".venv/checkov/bin/checkov"), "checkov"):
        if place and (found := shutil.which(place)):
            return found
    pytest.fail("checkov is not installed: `make test` brings it, or set CHECKOV to its path")


def _scan(results: Any, file: str) -> Scan:
    return Scan(
        failed=[
            (check["check_id"], check["resource"].split(".")[-1])
            for check in results["failed_checks"]
            if check["file_path"] == file
        ],
        suppressed=[
            (
                check["check_id"],
                check["resource"].split(".")[-1],
                check["check_result"]["suppress_comment"],
            )
            for check in results["skipped_checks"]
            if check["file_path"] == file
        ],
    )


def test_checkov_finds_nothing(
    scans: dict[str, Scan], template: Template, record_testsuite_property: Any
) -> None:
    scan = scans["template"]
    summary = (
        f"checkov: {len(scan.failed)} found, {len(scan.suppressed)} suppressed, "
        f"{len(template.resources)} resources"
    )
    record_testsuite_property("checkov", summary)
    SUMMARIES.append(summary)
    SUMMARIES.extend(f"  {check} on {resource}: {why}" for check, resource, why in scan.suppressed)
    assert not scan.failed
    assert len(scan.failed + scan.suppressed) <= MOST_FINDINGS_A_RESOURCE * len(template.resources)


def test_what_checkov_may_not_say_has_its_reason_beside_it(scans: dict[str, Scan]) -> None:
    for check, resource, reason in scans["template"].suppressed:
        assert check in ACCEPTED, (check, resource)
        assert len(reason) > 40, (check, resource)


def test_checkov_sees_what_is_spoilt(scans: dict[str, Scan]) -> None:
    assert {
        ("CKV_AWS_27", "NotifyQueue"),
        ("CKV_AWS_53", "ReportsBucket"),
        ("CKV_AWS_115", "NotifyFunction"),
        ("CKV_AWS_117", "NotifyFunction"),
    } <= set(scans["spoilt"].failed)


SUMMARIES: list[str] = []
"""Lines for the end of the run; `conftest.py` prints them."""
