"""What the functions cost on AWS, by published prices and by what was measured here.

Prices are us-east-1's and us-west-2's of November 2026, in US dollars, read from AWS's own pricing
pages; change them here. A CPU second measured here is taken for one of Lambda's processors: no
more than a guess until `make measure-live` has looked at a deployed stack.
"""

from __future__ import annotations

from dataclasses import dataclass

GB_SECOND = 0.0000133334
"""Of an arm64 function: https://aws.amazon.com/lambda/pricing/"""
INVOCATION = 0.20 / 1e6
DURABLE_OPERATION = 8.00 / 1e6
SQS_REQUEST = 0.40 / 1e6
SNS_PUBLISH = 0.50 / 1e6
SNS_EMAIL = 2.00 / 1e5
DYNAMODB_WRITE = 0.625 / 1e6
DYNAMODB_READ = 0.125 / 1e6
LOG_GB = 0.50
S3_PUT = 0.005 / 1e3

FULL_PROCESSOR_MB = 1769
"""Memory at which a function has one whole processor:
https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html"""
ROUND_TRIP_MS = 8.0
"""Assumed, of one request to an AWS service from within its Region."""
RUNTIME_MS = 80.0
"""The runtime's own start, python3.13 on arm64: maxday/lambda-perf, median of ten."""
LOG_LINE_BYTES = 500
MEMORIES = (128, 256, 512, 1024, 1769)


@dataclass(frozen=True, slots=True)
class Work:
    """One invocation: what it computes before and after its handler begins, and what it asks."""

    init_cpu_ms: float
    cpu_ms: float
    requests: int

    def seconds(self, memory_mb: int) -> float:
        """How long the handler runs. Lambda gives a share of a processor by memory."""
        share = min(1.0, memory_mb / FULL_PROCESSOR_MB)
        return (self.cpu_ms / share + self.requests * ROUND_TRIP_MS) / 1000

    def price(self, memory_mb: int, *, is_cold: bool) -> float:
        """Of the invocation alone. INIT runs at full speed, and is billed since August 2025."""
        init = (RUNTIME_MS + self.init_cpu_ms) / 1000 if is_cold else 0.0
        return INVOCATION + (init + self.seconds(memory_mb)) * memory_mb / 1024 * GB_SECOND


def memories(cold: Work, warm: Work) -> str:
    """A function's time and price by its memory."""
    lines = [
        "| Memory, MB | cold, s | warm, ms | $ per million cold | $ per million warm |",
        "| --- | --- | --- | --- | --- |",
    ]
    for memory in MEMORIES:
        init = (RUNTIME_MS + cold.init_cpu_ms) / 1000
        lines.append(
            f"| {memory} | {init + cold.seconds(memory):.2f} | {warm.seconds(memory) * 1000:.0f} "
            f"| {cold.price(memory, is_cold=True) * 1e6:.2f} "
            f"| {warm.price(memory, is_cold=False) * 1e6:.2f} |"
        )
    return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Measured:
    """What the bill is worked out from."""

    memory_mb: int
    audit_memory_mb: int
    event_cpu_ms: float
    """Of one event in a batch of ten, warm."""
    message_cpu_ms: float
    """What one that is told takes on top."""
    rollback_ready_cpu_ms: float
    audit_cpu_ms_per_1000: float
    """Judging and the three reports."""


def bill(measured: Measured) -> str:
    """The price per million events, per rollback and per audit."""
    rows: list[tuple[str, str, float]] = []
    batch = Work(0, 10 * measured.event_cpu_ms, 10)
    rows.append(
        (
            "a million release events, in batches of ten",
            "compute, 0.3 SQS requests, one ledger write and 1.5 log lines each",
            1e6
            * (
                batch.price(measured.memory_mb, is_cold=False) / 10
                + 0.3 * SQS_REQUEST
                + DYNAMODB_WRITE
                + 1.5 * LOG_LINE_BYTES / 1e9 * LOG_GB
            ),
        )
    )
    told = Work(0, measured.message_cpu_ms, 5)
    rows.append(
        (
            "a million messages by e-mail",
            "compute, two ledger writes, four reads, one publish and one e-mail each",
            1e6
            * (
                told.price(measured.memory_mb, is_cold=False)
                + 2 * DYNAMODB_WRITE
                + 4 * DYNAMODB_READ
                + SNS_PUBLISH
                + SNS_EMAIL
                + 3 * LOG_LINE_BYTES / 1e9 * LOG_GB
            ),
        )
    )
    looks = 58
    watch = Work(0, 30, 3)
    watched = (
        looks * watch.price(measured.memory_mb, is_cold=False)
        + (2 * looks + 25) * DURABLE_OPERATION
    )
    rows.append(
        (
            "one deployment watched through a bake of 15 minutes",
            f"{looks} looks, each an invocation of 30 ms and two durable operations; 25 more",
            watched,
        )
    )
    cold = Work(measured.rollback_ready_cpu_ms, 200, 30)
    rows.append(
        (
            "one rollback, with its watch",
            "the watch, five cold invocations, 60 more operations, 30 ledger writes",
            watched
            + 5 * cold.price(measured.memory_mb, is_cold=True)
            + 60 * DURABLE_OPERATION
            + 30 * DYNAMODB_WRITE,
        )
    )
    for resources in (1_000, 10_000):
        calls = resources // 100 + resources // 10
        audit = Work(0, measured.audit_cpu_ms_per_1000 * resources / 1000 + calls * 1.5, calls)
        rows.append(
            (
                f"one audit of {resources:,} resources",
                f"{calls:,} requests to AWS, which cost nothing; four objects written",
                audit.price(measured.audit_memory_mb, is_cold=True) + 4 * S3_PUT,
            )
        )
    lines = ["| What | Of it | US dollars |", "| --- | --- | --- |"]
    lines += [
        f"| {what} | {of} | {price:.6f} |" if price < 0.01 else f"| {what} | {of} | {price:.2f} |"
        for what, of, price in rows
    ]
    return "\n".join(lines) + "\n"
