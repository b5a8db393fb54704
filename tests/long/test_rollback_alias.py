"""A changed layer and a changed setting both reach the alias that events and people invoke."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from operations.order import answer_of, begin
from sandbox import running
from sandbox.running import PROJECT, Sandbox

REGION = "us-east-1"
pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(600)]
COPIED = ("functions", "layers", "requirements", "template.yaml", "samconfig.toml")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rollback-alias")


@pytest.fixture(scope="module")
def target(folder: Path) -> Iterator[Sandbox]:
    with running.sandbox(folder / "state", port=0) as target:
        running.build(folder / "build.log")
        running.deploy(target, REGION, folder / "deploy.log")
        yield target


def modes(target: Sandbox) -> dict[str, str]:
    """The mode of every environment, as the function behind the alias reads it."""
    outputs = target.outputs(running.stack_name(f"sandbox-{REGION}"), REGION)
    client = target.client("lambda", REGION)
    execution = begin(client, outputs["RollbackFunctionAliasArn"], {"command": "plan"})
    return {one["stage"]: one["mode"] for one in answer_of(client, execution)["plans"]}


def alias(target: Sandbox) -> dict[str, Any]:
    found: dict[str, Any] = target.client("lambda", REGION).get_alias(
        FunctionName="bakery-rollback-demo", Name="live"
    )
    return found


def test_a_changed_setting_counts_from_the_next_execution_on(target: Sandbox, folder: Path) -> None:
    before = alias(target)["FunctionVersion"]
    assert set(modes(target).values()) == {"automatic"}
    running.deploy(
        target,
        REGION,
        folder / "deploy.log",
        "--parameter-overrides",
        *running.parameters(REGION, ProdRollbackMode="observe"),
    )
    assert modes(target)["DeployToProd"] == "observe"
    assert alias(target)["FunctionVersion"] == before


def test_a_changed_layer_is_published_behind_the_alias(target: Sandbox, folder: Path) -> None:
    before = alias(target)["FunctionVersion"]
    copy = folder / "project"
    copy.mkdir()
    for name in COPIED:
        source = PROJECT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / name)
    (copy / ".venv").symlink_to(PROJECT / ".venv")
    errors = copy / "layers/shared/trellis/errors.py"
    errors.write_text(f"{errors.read_text()}\nCHANGED = True\n")
    environment = running.tool_environment(target.environment)
    for argv in (["sam", "build"], ["sam", "deploy", "--config-env", f"sandbox-{REGION}"]):
        ended = subprocess.run(
            argv, cwd=copy, env=environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-2000:]
    after = alias(target)["FunctionVersion"]
    assert int(after) > int(before)
    client = target.client("lambda", REGION)
    described = client.get_function(FunctionName="bakery-rollback-demo", Qualifier=after)
    newest = client.get_function(FunctionName="bakery-rollback-demo")
    assert described["Configuration"]["Layers"] == newest["Configuration"]["Layers"]
    assert described["Configuration"]["CodeSha256"] == newest["Configuration"]["CodeSha256"]
