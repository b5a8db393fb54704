"""Every place where the sandbox reaches into MiniStack, and nothing else does.

MiniStack gives the public APIs of CloudFormation (with the SAM transform), IAM, S3, KMS, Lambda,
EventBridge, SNS, SQS, DynamoDB, CloudWatch and more in one process. What it has no public
extension point for is reached by private names of the one pinned version; `HOOKS` lists them
all, and `check_hooks` names the one that is gone before anything is served.

What AWS does and MiniStack does not stands in rooms of its own beside this package
(`sandbox/eventbridge.py`, `sandbox/inbox.py`, ...); here are the hooks that put it in place.
"""

from sandbox.ministack.behaviours import Behaviours
from sandbox.ministack.cloud import MiniStackCloud, current_scope, in_context
from sandbox.ministack.cloudformation import (
    name_resources_by_region,
    offer_resource_type,
)
from sandbox.ministack.hooks import HOOKS, PINNED, HookMissingError, check_hooks
from sandbox.ministack.server import application, settings
from sandbox.ministack.services import (
    judge_event_sources,
    judge_log_streams,
    judge_reads_of_tags,
    keep_sessions_from_many_threads,
    record_decisions,
    remember_policies,
    serve_service,
)

__all__ = [
    "HOOKS",
    "PINNED",
    "Behaviours",
    "HookMissingError",
    "MiniStackCloud",
    "application",
    "check_hooks",
    "current_scope",
    "in_context",
    "judge_event_sources",
    "judge_log_streams",
    "judge_reads_of_tags",
    "keep_sessions_from_many_threads",
    "name_resources_by_region",
    "offer_resource_type",
    "record_decisions",
    "remember_policies",
    "serve_service",
    "settings",
]
