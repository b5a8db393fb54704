"""Everything that AWS does and MiniStack does not, put in place at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from sandbox.control import Control, Environments
from sandbox.inbox import Inbox
from sandbox.ministack.buckets import complete_buckets, judge_acl_headers, keep_full_buckets
from sandbox.ministack.cloud import MiniStackCloud
from sandbox.ministack.cloudformation import (
    complete_dashboards,
    complete_tables,
    complete_topics,
    judge_properties,
    offer_resource_type,
    refuse_what_services_refuse,
    tag_by_schema,
)
from sandbox.ministack.durable import Durable
from sandbox.ministack.events import Events, PipelineStarter
from sandbox.ministack.functions import Functions
from sandbox.ministack.keys import Keys
from sandbox.ministack.mail import EMail
from sandbox.ministack.monitoring import Monitoring
from sandbox.ministack.tagging import TaggedService, Tagging
from sandbox.ministack.types import accept_metric_math, resource_types
from sandbox.timers import Timers


class Behaviours:
    """Install once, after the resource types of ours are offered and before anything is served;
    close when the sandbox ends."""

    def __init__(
        self,
        cloud: MiniStackCloud,
        state: Path,
        *,
        interpreters: Mapping[str, str],
        pipelines: PipelineStarter | None = None,
        environments: Callable[[str], Environments] | None = None,
        limit_builds: Callable[[str, int | None], None],
        register_repository: Callable[[str, str, Path], None] | None = None,
        tagged: Mapping[str, TaggedService] | None = None,
    ) -> None:
        self.timers = Timers()
        self.events = Events(cloud, self.timers, pipelines)
        self.inbox = Inbox(state / "inbox", f"{cloud.endpoint}/_sandbox/mail")
        self.mail = EMail(self.inbox)
        self.monitoring = Monitoring(cloud, self.timers)
        self.keys = Keys(cloud)
        self.control = Control(
            self.events.faults,
            self.events.refuse,
            self.mail,
            environments,
            limit_builds,
            cloud.assumptions,
            register_repository,
        )
        self.tagging = Tagging(cloud, self.timers, tagged or {})
        self.functions = Functions(cloud, self.timers, state, interpreters)
        self.durable = Durable(cloud, self.timers, self.events.bury)

    def install(self) -> None:
        """Put every behaviour in place."""
        from ministack import app

        app.app = self.control.around(app.app)
        self.events.install()
        complete_buckets()
        complete_tables()
        complete_dashboards()
        complete_topics()
        self.mail.install()
        self.monitoring.install()
        self.keys.install()
        self.functions.install()
        self.durable.install()
        self.tagging.install()
        accept_metric_math()
        for name, resource_type in resource_types().items():
            offer_resource_type(name, resource_type)
        tag_by_schema()
        judge_properties()
        refuse_what_services_refuse()
        keep_full_buckets()
        judge_acl_headers()

    def close(self) -> None:
        """Start nothing more, and end every function."""
        self.timers.close()
        self.functions.close()
