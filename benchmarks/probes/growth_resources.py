"""tagging_audit's own work: `growth_resources.py <number>` resources judged and reported.

Prints CPU milliseconds for judging and for each report, their bytes, and the peak memory.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from estate import policy, resources  # type: ignore[import-not-found]  # beside it when it runs

from tagging_audit.judging import Settings
from tagging_audit.report import as_csv, as_html, as_json
from tagging_audit.report.build import Report, row


def peak_mb() -> float:
    """The most memory that was resident so far."""
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024


def timed[Found](work: Callable[[], Found]) -> tuple[float, Found]:
    begun = time.process_time()
    found = work()
    return (time.process_time() - begun) * 1000, found


now = datetime(2026, 11, 24, tzinfo=UTC)
settings = Settings(policy(), now)
estate = resources(int(sys.argv[1]))
judging, rows = timed(lambda: [row(resource, settings) for resource in estate])
report = Report(
    audit_id="20261124T000000Z-abcdef",
    scope="account",
    account="123456789012",
    regions=("us-east-1",),
    trigger="manual",
    at=now,
    policy=settings.policy,
    rows=rows,
)
said: dict[str, float] = {"judging_ms": judging}
for name, write in (
    ("json", lambda: "".join(as_json.pieces(report))),
    ("csv", lambda: "".join(as_csv.pieces(report))),
    ("html", lambda: as_html.page(report)),
):
    said[f"{name}_ms"], text = timed(write)
    said[f"{name}_bytes"] = len(text.encode())
sys.stdout.write(json.dumps({**said, "peak_mb": peak_mb()}) + "\n")
sys.stdout.flush()
os._exit(0)
