"""Two Regions of one account: both release, one is deleted whole, the other goes on."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox import running
from sandbox.running import Sandbox
from sandbox.stories import release
from sandbox.stories.world import Mark, World

GOES, STAYS = "us-east-1", "us-west-2"
pytestmark = pytest.mark.sandbox


class Nobody:
    """An audience that is told and says nothing."""

    def happened(self, where: str, mark: Mark, text: str) -> None:
        """Nothing to do."""

    def letter(self, letter: Mapping[str, Any]) -> None:
        """Nothing to do."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("two-regions")


@pytest.fixture(scope="module")
def sandbox(folder: Path) -> Iterator[Sandbox]:
    with running.sandbox(folder / "state", port=0) as target:
        yield target


@pytest.fixture(scope="module")
def worlds(sandbox: Sandbox, folder: Path) -> dict[str, World]:
    """Both stacks, each with two releases behind it."""
    running.build(folder / "build.log")

    def brought_up(region: str) -> World:
        outputs = running.deploy(sandbox, region, folder / f"{region}.log")
        world = World(sandbox, region, outputs, Nobody())
        release.play(world)
        return world

    with ThreadPoolExecutor(2) as pool:
        return dict(zip((GOES, STAYS), pool.map(brought_up, (GOES, STAYS)), strict=True))


def test_one_goes_whole_and_the_other_releases_on(
    sandbox: Sandbox, worlds: dict[str, World]
) -> None:
    outputs = worlds[GOES].outputs
    deleted = subprocess.run(
        [sys.executable, "-m", "operations.delete", "--yes", f"sandbox-{GOES}"],
        cwd=running.PROJECT,
        env=running.tool_environment(sandbox.environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert deleted.returncode == 0, deleted.stdout + deleted.stderr
    assert f"{outputs['ArtifactBucketName']}: 0 versions deleted" not in deleted.stdout
    assert f"key {outputs['KmsKeyArn']}: PendingDeletion" in deleted.stdout
    s3, gone = sandbox.client("s3", GOES), ("ArtifactBucketName", "ReportsBucketName")
    for name in (*gone, "AccessLogBucketName"):
        with pytest.raises(ClientError):
            s3.head_bucket(Bucket=outputs[name])

    world = worlds[STAYS]
    run = world.upload("v3", "Sell rye")
    world.wait_for_approval(run)
    world.approve(run)
    world.expect_ended(run, "Succeeded")
    world.expect_served("Prod", "v3")
