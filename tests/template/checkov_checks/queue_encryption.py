"""Mends checkov's CKV_AWS_27: a queue that SQS encrypts with its own key is encrypted.

For Terraform the check knows `sqs_managed_sse_enabled`; for CloudFormation it looks for a KMS key
alone. The queues here are fed by EventBridge, which may not use a customer key whose policy names
its source; docs/decisions/0005-queues-that-sqs-encrypts.md says why. A queue with neither still
fails, as the test of this check shows.
"""

from __future__ import annotations

from typing import Any

from checkov.cloudformation.checks.resource.aws.SQSQueueEncryption import check
from checkov.common.models.enums import CheckResult

_asks_for_a_key = check.scan_resource_conf


def scan_resource_conf(conf: dict[str, Any]) -> Any:
    properties = conf.get("Properties", {})
    if properties.get("SqsManagedSseEnabled") is True:
        return CheckResult.PASSED
    return _asks_for_a_key(conf)


check.scan_resource_conf = scan_resource_conf
