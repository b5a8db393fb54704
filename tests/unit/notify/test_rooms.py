"""The house rules of notify's rooms: who may import what, and what a cold start may load."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NOTIFY = ROOT / "functions" / "notify"
PURE = [
    *(NOTIFY / "compose").glob("*.py"),
    *(NOTIFY / "recognise").glob("*.py"),
    *(
        NOTIFY / f"{name}.py"
        for name in (
            "errors",
            "happening",
            "identity",
            "links",
            "mask",
            "notice",
            "parcel",
            "rehearse",
            "route",
            "story",
            "wording",
            "channels/slack",
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
    "urllib.request",
}
FORBIDDEN = (
    "aws_xray_sdk",
    "boto3",
    "httpx",
    "pydantic",
    "requests",
    "slack_sdk",
)


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("path", PURE, ids=lambda path: str(path.relative_to(NOTIFY)))
def test_a_pure_room_knows_no_clock_no_environment_and_no_aws(path: Path) -> None:
    wrong = {
        name
        for name in imports(path)
        if any(name == o or name.startswith(f"{o}.") for o in OUTSIDE)
    }
    assert wrong == set()


def test_only_the_doors_read_the_environment() -> None:
    readers = {
        str(path.relative_to(NOTIFY)) for path in NOTIFY.rglob("*.py") if "os" in imports(path)
    }
    assert readers == {"handler.py"}


def loaded(code: str, **environment: str) -> set[str]:
    """The modules a fresh interpreter has after some code."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint('\\n' + ' '.join(sys.modules))"],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{ROOT / 'functions'}:{ROOT / 'layers' / 'shared'}",
            "NOTIFICATION_TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:shop",
            "LEDGER_TABLE_NAME": "ledger",
            "POWERTOOLS_SERVICE_NAME": "notify",
            **environment,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.splitlines()[-1].split())


def test_an_ignored_event_loads_no_aws_client_and_none_of_the_rooms_behind_the_door() -> None:
    modules = loaded(
        "from notify.handler import lambda_handler\nlambda_handler({'source': 'aws.tag'}, None)"
    )
    assert not modules & {"botocore.session", *FORBIDDEN}
    assert not modules & {"notify.compose", "notify.deliver", "notify.story", "trellis.ledger"}


def test_telling_loads_botocore_and_nothing_that_is_forbidden() -> None:
    modules = loaded(
        "from notify.handler import _config\n"
        "from notify.wiring import open_office\n"
        "open_office(_config(), None)",
        AWS_DEFAULT_REGION="us-east-1",
    )
    assert "botocore.session" in modules
    assert not modules & set(FORBIDDEN)
    assert not modules & {"notify.channels.http", "notify.channels.slack", "notify.chat"}


def test_a_dry_run_loads_no_aws_client_at_all() -> None:
    modules = loaded(
        "import json\nfrom notify.handler import lambda_handler\n"
        f"lambda_handler(json.load(open({str(ROOT / 'events' / 'stage-failed.json')!r})), None)",
        DRY_RUN="true",
    )
    assert not modules & {"botocore.session", *FORBIDDEN}
