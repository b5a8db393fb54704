"""One failed run is one message in ever more orders of its events."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.unit.notify.test_shuffles import SEEDS, one_failure_mail
from trellis.observability import logger

LAST = int(os.environ.get("SHUFFLES", "5000"))


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Writing the log takes longer than the work, a hundred thousand times over."""
    logger.setLevel("CRITICAL")
    yield
    logger.setLevel("INFO")


@pytest.mark.parametrize("block", range(20))
def test_any_order_repeats_batches_and_two_workers_give_one_failure_mail(block: int) -> None:
    for seed in range(SEEDS + block, LAST, 20):
        one_failure_mail(seed)
