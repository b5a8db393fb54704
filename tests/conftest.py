"""What holds for all tests: the order of a run, and that no test fails for being slow.

The files that take longest begin first, so that none is left for the end.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

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
