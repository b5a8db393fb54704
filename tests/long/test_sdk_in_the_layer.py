"""The switch of layers/Makefile that puts a trimmed boto3 into the layer."""

from __future__ import annotations

import ast
import json
import os
import subprocess
from pathlib import Path

import pytest
from botocore.session import get_session

from benchmarks.artifacts import PROJECT, Artifacts, build, with_own_sdk, zipped
from benchmarks.process import PYTHON

NO_CLIENTS = {"account", "health", "cloudfront", "route53"}
"""Words of ours that are services too, and services that are named in ARNs alone."""


def services() -> list[str]:
    """Every service of botocore's that our sources name."""
    known = set(get_session().get_available_services())
    named = {
        node.value
        for part in ("functions", "layers/shared")
        for path in (PROJECT / part).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    return sorted(named & known - NO_CLIENTS)


CLIENTS = """
import json, sys
import boto3, botocore
from trellis.session import Clients
clients = Clients("us-west-2")
made = {name: clients.get(name) for name in sys.argv[1:]}
print(json.dumps({
    "from": [boto3.__file__, botocore.__file__],
    "operations": {name: len(one.meta.method_to_api_mapping) for name, one in made.items()},
    "endpoints": {name: one.meta.endpoint_url for name, one in made.items()},
}))
"""


@pytest.fixture(scope="module")
def own_sdk(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    folder = tmp_path_factory.mktemp("sdk")
    made = with_own_sdk(build(folder / "built"), folder / "own")
    if made is None:
        pytest.skip("the packages of requirements/sdk.txt cannot be fetched")
    return made


def clients(path: list[Path]) -> dict[str, dict[str, object]]:
    said = subprocess.run(
        [str(PYTHON), "-c", CLIENTS, *services()],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(map(str, path)),
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "y",
        },
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found: dict[str, dict[str, object]] = json.loads(said)
    return found


def test_every_client_that_is_named_is_the_one_that_the_runtime_makes(own_sdk: Artifacts) -> None:
    layer = own_sdk.folder / "SharedLayer/python"
    ours, theirs = clients([layer]), clients([PROJECT / "layers/shared"])
    assert all(str(name).startswith(str(layer)) for name in ours.pop("from"))
    assert not any(str(name).startswith(str(layer)) for name in theirs.pop("from"))
    assert len(ours["operations"]) > 20
    assert ours == theirs


def test_the_layer_stays_below_five_mebibytes(own_sdk: Artifacts) -> None:
    assert zipped(own_sdk.folder / "SharedLayer").bytes < 5 * 1024 * 1024


def test_a_function_runs_on_it(own_sdk: Artifacts) -> None:
    event = json.loads((PROJECT / "events/stage-failed.json").read_text())
    code = (
        "import json, sys\n"
        "from handler import lambda_handler\n"
        "print(lambda_handler(json.load(sys.stdin), None)['outcome'])"
    )
    said = subprocess.run(
        [str(PYTHON), "-c", code],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(map(str, own_sdk.path("notify"))),
            "DRY_RUN": "true",
            "POWERTOOLS_SERVICE_NAME": "notify",
        },
        input=json.dumps(event),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said.splitlines()[-1] == "rendered"
