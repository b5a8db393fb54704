"""What `sam build` makes, once for all contract tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox import running


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built artifacts."""
    running.build(tmp_path_factory.mktemp("build") / "sam-build.log")
    return running.PROJECT / ".aws-sam/build"
