"""What holds for all tests: the order of a run, and that no test fails for being slow.

The files that take longest begin first, so that none is left for the end.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.loaders import create_loader
from hypothesis import HealthCheck, settings

settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


class _Folders(list[str]):
    """Where a loader looks, each folder once: every boto3 session adds its own again."""

    def append(self, folder: str) -> None:
        if folder not in self:
            super().append(folder)


@functools.cache
def _loader(data_path: str | None = None) -> Any:
    """botocore's loader of service models, one for all sessions.

    Tests make hundreds of sessions, and each would find and parse the same files again. A loader
    holds nothing but what it has read; functions bring one of their own (trellis/endpoints.py).
    """
    loader: Any = create_loader(data_path)
    loader._search_paths = _Folders(loader._search_paths)
    return loader


botocore.session.create_loader = _loader

LONGEST = (
    "sandbox/test_stories.py",
    "sandbox/test_forms.py",
    "sandbox/test_live_suite.py",
    "contract/test_costs.py",
    "template/test_scanners.py",
    "contract/test_local_invoke.py",
    "template/test_planted_faults.py",
)
RANK = {Path(__file__).parent / name: rank for rank, name in enumerate(LONGEST)}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the order but for those; `--dist loadfile --no-loadscope-reorder` hands them out so."""
    items.sort(key=lambda item: RANK.get(item.path, len(RANK)))
