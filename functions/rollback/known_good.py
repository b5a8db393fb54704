"""The version to go back to: what makes a version the one."""

from __future__ import annotations

from dataclasses import replace

from rollback.calls import RefusedError
from rollback.desk import Desk
from trellis.observability import count, logger
from trellis.records import KnownGood


def make_known_good(
    desk: Desk, good: KnownGood, bucket: str | None, key: str | None, name: str
) -> None:
    """Copy the bundle to where it does not expire, then say that this is the one to go back to.

    What has proven itself is in quarantine no longer, or the next bad release would have no way
    back; and what was held before it is decided. The same again changes nothing.
    """
    environment = good.environment
    copied = None
    if bucket and key:
        try:
            copied = desk.bundles.copy(bucket, key, environment, name)
        except RefusedError as err:
            # It is good all the same; only that it may expire one day.
            logger.error("not copied", environment=environment, reason=str(err))
            count("CopiesMissing")
    before = desk.ledger.known_good(environment)
    is_newest = desk.ledger.set_known_good(
        replace(good, bundle_bucket=desk.bundles.bucket if copied else None, bundle_key=copied)
    )
    if is_newest and before is not None and before.bundle_key not in (None, copied):
        desk.bundles.forget(str(before.bundle_key))
    standing = desk.ledger.known_good(environment)
    if standing is None or standing.since != good.since:
        return  # a newer one stands there, and what it found bad stays so
    desk.ledger.lift_quarantine(environment, good.revision)
    desk.ledger.forgive(environment, good.revision)
    desk.ledger.release_hold(environment)
