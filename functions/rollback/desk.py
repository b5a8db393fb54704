"""Everything a watch works with, handed to it in one piece."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from rollback.alarms import Alarms
from rollback.beanstalk import Beanstalk
from rollback.bundles import Bundles
from rollback.executions import Executions
from rollback.measure import Measures
from rollback.pipeline import Pipeline
from rollback.settings import Settings
from trellis.bus import Bus
from trellis.ledger import Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Settings, adapters and the clock. All of it is used inside moves alone."""

    settings: Settings
    pipeline: Pipeline
    beanstalk: Beanstalk
    bundles: Bundles
    alarms: Alarms
    executions: Executions
    ledger: Ledger
    bus: Bus
    measures: Measures
    now: Callable[[], datetime]
