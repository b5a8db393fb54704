"""Everything that AWS does and MiniStack does not, put in place at once."""

from __future__ import annotations

from pathlib import Path

from sandbox.inbox import Inbox
from sandbox.ministack.cloud import MiniStackCloud
from sandbox.ministack.cloudformation import complete_topics
from sandbox.ministack.events import Events, PipelineStarter
from sandbox.ministack.mail import EMail
from sandbox.timers import Timers


class Behaviours:
    """Install once, before anything is served; close when the sandbox ends."""

    def __init__(
        self, cloud: MiniStackCloud, state: Path, *, pipelines: PipelineStarter | None = None
    ) -> None:
        self.timers = Timers()
        self.events = Events(cloud, self.timers, pipelines)
        self.inbox = Inbox(state / "inbox", f"{cloud.endpoint}/_sandbox/mail")
        self.mail = EMail(self.inbox)

    def install(self) -> None:
        """Put every behaviour in place."""
        self.events.install()
        complete_topics()
        self.mail.install()

    def close(self) -> None:
        """Start nothing more."""
        self.timers.close()
