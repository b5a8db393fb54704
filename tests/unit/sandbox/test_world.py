"""What a story uploads."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from sandbox import demo
from sandbox.running import SandboxError
from sandbox.stories.world import bundle_of


def unpacked(folder: Path, version: str, **release: object) -> Path:
    with zipfile.ZipFile(io.BytesIO(bundle_of(version, **release))) as bundle:
        bundle.extractall(folder)
    return folder


def test_a_bundle_is_the_sample_application_under_its_version(tmp_path: Path) -> None:
    folder = unpacked(tmp_path, "v7", fault="answers-500")
    release = json.loads((folder / "release.json").read_text())
    assert release["version"] == "v7"
    assert release["fault"] == "answers-500"


def test_a_bundle_passes_its_own_tests(tmp_path: Path) -> None:
    tested = subprocess.run(
        [sys.executable, "-m", "unittest"],
        cwd=unpacked(tmp_path, "v7"),
        check=False,
        capture_output=True,
        text=True,
    )
    assert tested.returncode == 0, tested.stderr


def test_a_release_without_a_version_fails_its_own_tests(tmp_path: Path) -> None:
    tested = subprocess.run(
        [sys.executable, "-m", "unittest"],
        cwd=unpacked(tmp_path, ""),
        check=False,
        capture_output=True,
        text=True,
    )
    assert tested.returncode != 0
    assert "release.json has no version" in tested.stderr


def test_every_story_says_what_it_is_about() -> None:
    known = demo.known_stories()
    assert "release" in known
    assert all(about.endswith(".") for about in known.values()), known


def test_an_unknown_story_is_refused_with_those_there_are() -> None:
    with pytest.raises(SandboxError, match=r"no story 'relaese'.*release"):
        demo.story("relaese")
