"""Asking a deployed stack what rollback would do: from any laptop, and a sentence when it fails."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from operations.plan import main

ROOT = Path(__file__).parents[3]


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield


def test_names_a_mistyped_stack_and_the_region(
    account: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--stack", "storefrnt-main", "--region", "us-west-2"]) == 2
    assert capsys.readouterr().err == (
        "there is no stack storefrnt-main here, in us-west-2: "
        "check its name, and add REGION=name if it is elsewhere\n"
    )


def test_names_a_stack_that_has_no_rollback(
    account: None, capsys: pytest.CaptureFixture[str]
) -> None:
    other = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
    boto3.client("cloudformation", region_name="us-east-1").create_stack(
        StackName="other", TemplateBody=json.dumps(other)
    )
    assert main(["--stack", "other"]) == 2
    assert "other has no output RollbackFunctionAliasArn" in capsys.readouterr().err


def test_says_in_one_sentence_that_there_are_no_credentials(
    bare: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--stack", "storefront-main"]) == 1
    said = capsys.readouterr().err
    assert said == "there are no AWS credentials: run `aws configure`, or set AWS_PROFILE\n"


def test_asking_a_stack_loads_nothing_of_the_sandbox() -> None:
    code = "import operations.plan, sys; print([m for m in sys.modules if m.startswith('sandbox')])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
