"""The house rules of tagging_audit's rooms: who may import what, and what a cold start loads."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HOME = ROOT / "functions" / "tagging_audit"
PURE = [
    *(HOME / "report").glob("*.py"),
    *(
        HOME / f"{name}.py"
        for name in (
            "belonging",
            "command",
            "creation",
            "hearing",
            "judging",
            "kinds",
            "pace",
            "policy",
            "policy_file",
            "resource",
            "scope",
        )
    ),
]
OUTSIDE = {
    "aws_lambda_powertools",
    "boto3",
    "botocore",
    "http",
    "logging",
    "os",
    "random",
    "socket",
    "subprocess",
    "time",
    "trellis.observability",
    "urllib.request",
    "uuid",
}
FORBIDDEN = {"aws_xray_sdk", "boto3", "httpx", "pydantic", "requests"}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("path", PURE, ids=lambda path: str(path.relative_to(HOME)))
def test_a_pure_room_knows_no_clock_no_environment_and_no_aws(path: Path) -> None:
    wrong = {
        name
        for name in imports(path)
        if any(name == one or name.startswith(f"{one}.") for one in OUTSIDE)
    }
    assert wrong == set()


def test_only_the_door_reads_the_environment_and_only_the_wiring_has_a_clock_to_wait_by() -> None:
    rooms = {str(path.relative_to(HOME)): imports(path) for path in HOME.rglob("*.py")}
    assert {name for name, found in rooms.items() if "os" in found} == {"handler.py"}
    assert {name for name, found in rooms.items() if "time" in found} == {"wiring.py"}


def loaded(code: str, **environment: str) -> set[str]:
    """The modules a fresh interpreter has after some code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint('\\n' + ' '.join(sys.modules))"],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT / 'functions'}:{ROOT / 'layers' / 'shared'}",
            "STACK_ID": "arn:aws:cloudformation:us-east-1:123456789012:stack/bakery-demo/1",
            "PROJECT_NAME": "bakery",
            "ENVIRONMENT_SUFFIX": "demo",
            "REPORTS_BUCKET_NAME": "reports",
            "LEDGER_TABLE_NAME": "ledger",
            "POWERTOOLS_SERVICE_NAME": "tagging_audit",
            "POWERTOOLS_METRICS_NAMESPACE": "Trellis",
            **environment,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split())


IGNORED = {
    "source": "aws.tag",
    "detail-type": "Tag Change on Resource",
    "resources": ["arn:aws:sqs:us-east-1:123456789012:theirs"],
    "detail": {"changed-tag-keys": ["colour"], "tags": {}, "version": 1},
}


def test_a_tag_event_that_is_ignored_loads_no_aws_client_and_no_report() -> None:
    modules = loaded(
        f"from tagging_audit.handler import lambda_handler\nlambda_handler({IGNORED!r}, None)"
    )
    behind = {"tagging_audit.workflow", "tagging_audit.report.as_html"}
    dear = {"botocore.session", "concurrent.futures", "jinja2", "tempfile", "uuid", *FORBIDDEN}
    assert modules & (behind | dear) == set()


def test_an_office_loads_botocore_and_nothing_that_is_forbidden() -> None:
    modules = loaded(
        "from tagging_audit.handler import _config, _Desk\n_Desk(_config(), None).office",
        AWS_DEFAULT_REGION="us-east-1",
    )
    assert "botocore.session" in modules
    assert not modules & {"jinja2", *FORBIDDEN}
