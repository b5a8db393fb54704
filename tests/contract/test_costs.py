"""What a cold start and a package may cost: the gate, and that it catches what would break it.

benchmarks/README.md says how it is measured, benchmarks/budgets.toml how much is allowed.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from benchmarks.artifacts import FUNCTIONS, LAYERS, RUNTIME, Artifacts, build, copied, zipped
from benchmarks.budget import Budgets, counted, over, sizes
from benchmarks.instructions import can_count
from benchmarks.process import Command
from benchmarks.subjects import Setting, alone, ready, script

counts = pytest.mark.skipif(
    not can_count(), reason="valgrind is not installed: the cost of a cold start is not counted"
)

NOBODY = {
    "aws_xray_sdk",
    "aws_lambda_powertools.utilities.batch",
    "aws_lambda_powertools.utilities.data_classes",
    "aws_lambda_powertools.utilities.idempotency",
    "aws_lambda_powertools.utilities.parameters",
    "aws_lambda_powertools.utilities.parser",
    "httpx",
    "jinja2",
    "jmespath",
    "pydantic",
    "requests",
    "slack_sdk",
}
"""What no function loads before its handler is called."""

FORBIDDEN = {
    "notify": NOBODY | {"boto3", "botocore.session", "trellis.ledger", "notify.compose"},
    # The durable SDK imports boto3 by itself, and needs it in every invocation.
    "rollback": NOBODY - {"jmespath"},
    "tagging_audit": NOBODY
    | {"boto3", "botocore.session", "concurrent.futures", "trellis.ledger", "trellis.events"},
}

HANDLER = {"handler.py", "__pycache__", "layers.sha256"}
OWN = {
    "NotifyFunction": HANDLER,
    "NotifyLayer/python": {"notify"},
    "RollbackFunction": HANDLER,
    "RollbackLayer/python": {
        "rollback",
        "aws_durable_execution_sdk_python",
        "aws_durable_execution_sdk_python-*.dist-info",
    },
    "TaggingAuditFunction": HANDLER | {"policy.toml"},
    "TaggingAuditLayer/python": {
        "tagging_audit",
        *("jinja2", "jinja2-*.dist-info", "markupsafe", "markupsafe-*.dist-info"),
    },
}


def setting(built: Path, folder: Path) -> Setting:
    return alone(Artifacts(built), folder)


def said_by(command: Command) -> str:
    """What a process prints that must succeed."""
    return subprocess.run(
        command.argv, env=dict(command.env), capture_output=True, text=True, check=True
    ).stdout


@counts
def test_no_cold_start_costs_more_than_its_budget(built: Path, tmp_path: Path) -> None:
    ratios = counted(Artifacts(built), tmp_path / "probes")
    assert over(Budgets.read(), ratios, {}) == []


def test_no_package_is_larger_than_its_budget(built: Path) -> None:
    assert over(Budgets.read(), {}, sizes(Artifacts(built))) == []


@counts
def test_the_gate_catches_boto3_in_a_pure_room(built: Path, tmp_path: Path) -> None:
    planted = copied(Artifacts(built), tmp_path / "planted")
    room = planted.folder / "NotifyLayer/python/notify/parcel.py"
    room.write_text(room.read_text().replace("import json\n", "import json\n\nimport boto3\n", 1))
    compile_again(planted.folder / "NotifyLayer")
    (said,) = over(Budgets.read(), counted(planted, tmp_path / "probes", ["notify-ignored"]), {})
    assert said.startswith("notify, an event that is ignored takes the instructions of ")
    assert "allow it in budgets.toml" in said


@counts
def test_the_gate_catches_a_layer_without_byte_code(built: Path, tmp_path: Path) -> None:
    planted = copied(Artifacts(built), tmp_path / "planted")
    for compiled in (planted.folder / "SharedLayer").rglob("*.pyc"):
        compiled.unlink()
    ratios = counted(planted, tmp_path / "probes", ["notify-ignored"])
    assert len(over(Budgets.read(), ratios, {})) == 1


def compile_again(folder: Path) -> None:
    argv = [str(RUNTIME / "bin/python"), "-m", "compileall", "-q", "-f"]
    subprocess.run([*argv, "--invalidation-mode", "unchecked-hash", str(folder)], check=True)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_handler_loads_nothing_that_is_forbidden(
    built: Path, tmp_path: Path, function: str
) -> None:
    path = setting(built, tmp_path / "probes").built.path(function)
    code = "import handler, json, sys; print(json.dumps(sorted(sys.modules)))"
    loaded = set(json.loads(said_by(script(path, code))))
    assert f"{function}.config" in loaded
    assert loaded & FORBIDDEN[function] == set()


@pytest.mark.parametrize("function", ["notify", "rollback"])
def test_a_function_that_is_ready_has_loaded_nothing_that_nobody_needs(
    built: Path, tmp_path: Path, function: str
) -> None:
    command = ready(Artifacts(built), function, setting(built, tmp_path / "probes"))
    code = f"import os, sys; os._exit = lambda _: None; {command.argv[2]}; print(*sys.modules)"
    loaded = set(said_by(Command([*command.argv[:2], code], command.env)).split())
    assert "botocore.session" in loaded
    assert loaded & NOBODY - {"jmespath"} == set()


@pytest.mark.parametrize("part", OWN)
def test_a_package_holds_its_own_code_and_nothing_else(built: Path, part: str) -> None:
    names = [path.relative_to(built / part) for path in (built / part).iterdir()]
    for name in names:
        assert any(name.match(own) for own in OWN[part]), name


def test_the_same_source_makes_the_same_zips_whoever_builds(built: Path, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        again = build(tmp_path / "again").folder
    finally:
        os.umask(before)
    for part in (*FUNCTIONS.values(), *LAYERS):
        assert zipped(again / part) == zipped(built / part), part
