"""Every private name of MiniStack that the sandbox uses or replaces."""

from __future__ import annotations

import importlib
from importlib.metadata import version

PINNED = "1.5.33"
"""The MiniStack version whose private names HOOKS lists (requirements/sandbox.in pins it)."""

HOOKS = (
    "app.SERVICE_HANDLERS",
    "app.app",
    "core.iam_actions.SERVICE_TO_IAM_NAMESPACE",
    "core.iam_actions._SERVICE_PROTOCOL",
    "core.iam_actions.access_denied_response",
    "core.iam_actions.extract_resource_arn",
    "core.iam_evaluator.AuthError",
    "core.iam_evaluator.CredentialResolutionError",
    "core.iam_evaluator.EvalContext",
    "core.iam_evaluator._resource_policy",
    "core.iam_evaluator.combine_resource_policy",
    "core.iam_evaluator.enforce",
    "core.iam_evaluator.evaluate",
    "core.iam_evaluator.evaluate_resource_policy",
    "core.iam_evaluator.is_root_access_key",
    "core.iam_evaluator.pin_request_origin",
    "core.iam_evaluator.request_caller_arn",
    "core.iam_evaluator.resolve_credential",
    "core.iam_evaluator.resolve_principal",
    "core.responses.error_response_json",
    "core.responses.get_account_id",
    "core.responses.get_region",
    "core.responses.request_scope",
    "core.router.SERVICE_PATTERNS",
    "core.router.extract_access_key_id",
    "services.cloudformation.engine._NO_VALUE",
    "services.cloudformation.engine._intrinsic_references",
    "services.cloudformation.engine._resolve_refs",
    "services.cloudformation.provisioners._RESOURCE_HANDLERS",
    "services.cloudformation.provisioners._STACK_TAG_PROPERTY",
    "services.cloudformation.provisioners._cw_metric_alarm_record",
    "services.cloudformation.provisioners._physical_name",
    "services.cloudformation.stacks._add_event",
    "services.cloudformation.stacks._fail_property_validation",
    "services.cloudformation.stacks._runs_on_worker_thread",
    "services.cloudformation.stacks._validation_errors",
    "services.cloudwatch._alarms",
    "services.cloudwatch._calc_stats",
    "services.cloudwatch._cbor_metric_data_result",
    "services.cloudwatch._cbor_ok",
    "services.cloudwatch._composite_alarms",
    "services.cloudwatch._dims_key",
    "services.cloudwatch._dispatch_alarm_actions",
    "services.cloudwatch._error",
    "services.cloudwatch._evaluate_alarm",
    "services.cloudwatch._evaluate_parent_alarms",
    "services.cloudwatch._get_metric_data",
    "services.cloudwatch._json_ok",
    "services.cloudwatch._metrics",
    "services.cloudwatch._parse_ts",
    "services.cloudwatch._put_composite_alarm",
    "services.cloudwatch._put_metric_alarm",
    "services.cloudwatch._record_history",
    "services.cloudwatch._resource_tags",
    "services.cloudwatch._stat_value",
    "services.cloudwatch._store_datum",
    "services.cloudwatch._ts_iso",
    "services.cloudwatch.cloudformation_set_metric_alarm_tags",
    "services.cloudwatch.record_metric",
    "services.cloudwatch_logs._create_log_group",
    "services.cloudwatch_logs._create_log_stream",
    "services.cloudwatch_logs._log_groups",
    "services.cloudwatch_logs._put_log_events",
    "services.dynamodb._sse_description_from_spec",
    "services.dynamodb._tables",
    "services.dynamodb._update_continuous_backups",
    "services.dynamodb._update_ttl",
    "services.eventbridge._apply_input_transformer",
    "services.eventbridge._dispatch_event",
    "services.eventbridge._invoke_target",
    "services.eventbridge._matches_pattern",
    "services.eventbridge._pattern_event_view",
    "services.eventbridge._put_events",
    "services.eventbridge._rules",
    "services.eventbridge._tags",
    "services.iam._delete_role_policy",
    "services.iam._put_role_policy",
    "services.iam._roles",
    "services.kms._resolve_key",
    "services.lambda_svc._create_esm",
    "services.lambda_svc._create_function",
    "services.lambda_svc._durable_env_overlay",
    "services.lambda_svc._effective_func_record_for_qualifier",
    "services.lambda_svc._emit_lambda_logs",
    "services.lambda_svc._emit_lambda_metrics",
    "services.lambda_svc._esm_wake",
    "services.lambda_svc._event_invoke_config",
    "services.lambda_svc._execute_function",
    "services.lambda_svc._execute_function_warm",
    "services.lambda_svc._function_config_scope_mismatch",
    "services.lambda_svc._function_qualifier_exists",
    "services.lambda_svc._functions",
    "services.lambda_svc._get_func_record_for_ref",
    "services.lambda_svc._lambda_function_name_and_qualifier_from_arn",
    "services.lambda_svc._resolve_layer_zip",
    "services.lambda_svc._sqs_esm_concurrency",
    "services.lambda_svc._update_config",
    "services.lambda_svc._xray_trace_id_for_invocation",
    "services.lambda_svc.invoke_async_with_retry",
    "services.s3._bucket_default_sse_headers",
    "services.s3._delete_bucket",
    "services.s3._ensure_bucket",
    "services.s3._fire_s3_event",
    "services.s3._multipart_uploads",
    "services.s3._object_versions",
    "services.s3._parse_bucket_key",
    "services.s3._stored_sse_headers",
    "services.secretsmanager._resolve",
    "services.secretsmanager._secrets",
    "services.sns._build_envelope",
    "services.sns._confirm_subscription",
    "services.sns._error",
    "services.sns._fanout",
    "services.sns._list_subscriptions",
    "services.sns._list_subscriptions_by_topic",
    "services.sns._matches_filter_policy",
    "services.sns._normalize_arn",
    "services.sns._p",
    "services.sns._parse_batch_entries",
    "services.sns._publish",
    "services.sns._publish_batch",
    "services.sns._refresh_subscription_counts",
    "services.sns._resolve_message_for_protocol",
    "services.sns._sub_arn_to_topic",
    "services.sns._subscribe",
    "services.sns._topic_by_arn_any_scope",
    "services.sns._topics",
    "services.sns._unsubscribe",
    "services.sns.publish_internal",
    "services.sqs._Err",
    "services.sqs._act_send_message",
    "services.sqs._get_q",
    "services.sqs._queue_by_arn",
    "services.sqs._queues",
    "services.sqs._receive_messages_for_esm",
    "services.sqs._url_from_path",
    "services.ssm._parameters",
    "services.ssm._tags",
    "services.sts.register_session",
    "services.tagging._COLLECTORS",
    "services.tagging._REMOVERS",
    "services.tagging._WRITERS",
    "services.tagging._parse_resource_arn",
)
"""Module and attribute of everything that is used or replaced, under `ministack`."""


class HookMissingError(Exception):
    """When the installed MiniStack is not the one that the sandbox was written against."""


def check_hooks() -> None:
    """Raise HookMissingError unless the pinned version is installed and has every hook."""
    installed = version("ministack")
    missing = []
    for hook in HOOKS:
        module, _, attribute = hook.rpartition(".")
        try:
            if not hasattr(importlib.import_module(f"ministack.{module}"), attribute):
                missing.append(hook)
        except ImportError:
            missing.append(hook)
    if missing:
        raise HookMissingError(
            f"MiniStack {installed} lacks {', '.join(missing)}; the sandbox needs {PINNED}: "
            "remove .venv/sandbox and run make setup"
        )
