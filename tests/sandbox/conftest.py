"""One sandbox for all tests that need one, with the template deployed once in each Region."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sandbox import running
from sandbox.running import Sandbox

REGIONS = ("us-east-1", "us-west-2")


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A running sandbox; its log lies beside its state folder."""
    with running.sandbox(tmp_path_factory.mktemp("sandbox") / "state", port=0) as target:
        yield target


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `sam build` made."""
    running.build(tmp_path_factory.mktemp("build") / "sam-build.log")
    return running.PROJECT / ".aws-sam/build"


@pytest.fixture(scope="session")
def stacks(
    sandbox: Sandbox, built: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, str]]:
    """The outputs of the deployed template, by Region."""
    logs = tmp_path_factory.mktemp("deploy")

    def deploy(region: str) -> dict[str, str]:
        # As everybody does it in one Region, and cheaper in the other.
        return running.deploy(sandbox, region, logs / f"{region}.log", as_json=region != REGIONS[0])

    with ThreadPoolExecutor(len(REGIONS)) as pool:
        return dict(zip(REGIONS, pool.map(deploy, REGIONS), strict=True))
