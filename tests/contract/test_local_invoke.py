"""`sam local invoke`, as a user types it, where a Docker engine answers.

`.ci/run` starts a private engine where it can (`.ci/engine`) and points DOCKER_HOST at it.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from pathlib import Path

import pytest

from operations.template import load
from sandbox import running

MACHINE = {"x86_64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}[platform.machine()]


def engine_answers() -> bool:
    """Whether a Docker client on the PATH reaches an engine."""
    try:
        asked = subprocess.run(["docker", "version"], capture_output=True, check=False, timeout=20)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0


def test_the_shipped_variables_are_ones_that_the_function_has() -> None:
    """SAM sets only a variable that the template declares, and says nothing of another."""
    text = (running.PROJECT / "events/variables/dry-run.json").read_text()
    function = load()["Resources"]["NotifyFunction"]
    declared = function["Properties"]["Environment"]["Variables"]
    assert json.loads(text) == {"Parameters": {"DRY_RUN": "true"}}
    assert set(json.loads(text)["Parameters"]) <= set(declared)


@pytest.mark.docker
@pytest.mark.skipif(not engine_answers(), reason="no Docker engine answers (see .ci/engine)")
def test_sam_local_invoke_renders_a_failed_release(built: Path) -> None:
    invoked = subprocess.run(
        ["sam", "local", "invoke", "NotifyFunction", "-e", "events/pipeline-failed.json"]
        + ["--env-vars", "events/variables/dry-run.json", "--region", "us-east-1"]
        + ["--parameter-overrides", f"FunctionArchitecture={MACHINE}"]
        # A closed network has the image from .ci/engine; elsewhere SAM pulls AWS's.
        + (["--skip-pull-image"] if os.environ.get("TRELLIS_LOCAL_IMAGE") else []),
        cwd=running.PROJECT,
        env=running.tool_environment({"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert invoked.returncode == 0, invoked.stderr[-2000:]
    answer = json.loads(invoked.stdout.strip().splitlines()[-1])
    assert answer.get("outcome") == "rendered", answer
    assert answer["notice"]["state"] == "FAILED"
