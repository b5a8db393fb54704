"""SNS: e-mail subscriptions as `sandbox/inbox.py` has them, and what Publish refuses."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.cloud import Scope
from sandbox.inbox import Inbox, PublishError, Subscriber, check_message, check_subject, message_for
from sandbox.ministack.cloud import current_scope, in_scope

EMAIL = ("email", "email-json")
PENDING = "pending confirmation"

Answer = tuple[int, dict[str, str], bytes]


class EMail:
    """The e-mail side of SNS."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def install(self) -> None:
        """Put it in the place of MiniStack's, which confirms at once and sends nothing."""
        from ministack.services import sns

        subscribe, fanout = sns._subscribe, sns._fanout
        publish, publish_batch = sns._publish, sns._publish_batch
        lists = sns._list_subscriptions, sns._list_subscriptions_by_topic

        def ask_first(params: dict[str, Any]) -> Answer:
            answer: Answer = subscribe(params)
            protocol, endpoint = sns._p(params, "Protocol"), sns._p(params, "Endpoint")
            if answer[0] != 200 or protocol not in EMAIL:
                return answer
            topic = sns._topics.get(sns._normalize_arn(sns._p(params, "TopicArn")))
            [subscription] = [
                one
                for one in topic["subscriptions"]
                if (one["protocol"], one["endpoint"]) == (protocol, endpoint)
            ]
            if subscription.get("asked") and subscription["confirmed"]:
                return answer
            # Subscribing again, before it was confirmed, sends the question again.
            self._ask(current_scope(), topic, subscription)
            if sns._p(params, "ReturnSubscriptionArn") == "true":
                return answer
            return _with_text(answer, subscription["arn"], PENDING)

        def deliver(
            topic_arn: str,
            message_id: str,
            message: str,
            subject: str,
            message_structure: str = "",
            message_attributes: dict[str, Any] | None = None,
            **more: Any,
        ) -> None:
            fanout(
                topic_arn,
                message_id,
                message,
                subject,
                message_structure,
                message_attributes,
                **more,
            )
            self._deliver(
                topic_arn, message_id, message, subject, message_structure, message_attributes or {}
            )

        def refusing(params: dict[str, Any]) -> Answer:
            try:
                check_subject(sns._p(params, "Subject"))
                check_message(sns._p(params, "Message"), sns._p(params, "MessageStructure"))
            except PublishError as error:
                return _error(str(error))
            answer: Answer = publish(params)
            return answer

        def refusing_batch(params: dict[str, Any]) -> Answer:
            # On AWS the entry fails alone; nobody sends bad subjects in batches on purpose.
            for entry in sns._parse_batch_entries(params):
                try:
                    check_subject(entry["subject"])
                    check_message(entry["message"], entry["message_structure"])
                except PublishError as error:
                    return _error(f"{entry['id']}: {error}")
            answer: Answer = publish_batch(params)
            return answer

        sns._subscribe, sns._fanout = ask_first, deliver
        sns._publish, sns._publish_batch = refusing, refusing_batch
        sns._resolve_message_for_protocol = lambda message, structure, protocol: message_for(
            protocol, message, structure
        )
        sns._list_subscriptions, sns._list_subscriptions_by_topic = (
            _pending_named(listing) for listing in lists
        )
        self._install_resource_types()

    def _install_resource_types(self) -> None:
        """Let CloudFormation's subscriptions wait for their confirmation too."""
        from ministack.services import sns
        from ministack.services.cloudformation import provisioners

        def then_ask(work: Callable[..., Any], topic_of: Callable[[Any], Any]) -> Any:
            def done(*positional: Any, **named: Any) -> Any:
                made = work(*positional, **named)
                topic = topic_of(made[0])
                for subscription in (topic or {}).get("subscriptions", []):
                    if subscription["protocol"] in EMAIL and not subscription.get("asked"):
                        self._ask(current_scope(), topic, subscription)
                return made

            return done

        for name, topic_of in (
            ("AWS::SNS::Topic", sns._topics.get),
            (
                "AWS::SNS::Subscription",
                lambda arn: sns._topics.get(sns._sub_arn_to_topic.get(arn, "")),
            ),
        ):
            handler = provisioners._RESOURCE_HANDLERS[name]
            handler["create"] = then_ask(handler["create"], topic_of)
            handler["update"] = then_ask(handler["update"], topic_of)

    def mails(self) -> list[dict[str, Any]]:
        """Every e-mail so far, oldest first."""
        return self._inbox.mails()

    def confirm(self, topic_arn: str, token: str) -> bool:
        """Follow the link of a confirmation e-mail, which carries no credentials."""
        from ministack.services import sns

        def follow() -> bool:
            answer: Answer = sns._confirm_subscription({"TopicArn": topic_arn, "Token": token})
            return answer[0] == 200

        return in_scope(_scope_of(topic_arn), follow)

    def unsubscribe(self, subscription_arn: str) -> None:
        """Follow the link at the foot of a notification, which carries no credentials."""
        from ministack.services import sns

        in_scope(
            _scope_of(subscription_arn),
            lambda: sns._unsubscribe({"SubscriptionArn": subscription_arn}),
        )

    def _ask(self, scope: Scope, topic: Mapping[str, Any], subscription: dict[str, Any]) -> None:
        from ministack.services import sns

        token = secrets.token_hex(128)
        self._suspend(subscription, token)
        subscription["asked"] = True
        subscription["attributes"] |= {
            "SubscriptionArn": subscription["arn"],
            "TopicArn": topic["arn"],
            "Protocol": subscription["protocol"],
            "Endpoint": subscription["endpoint"],
            "Owner": scope.account,
        }
        subscription["attributes"].setdefault("RawMessageDelivery", "false")
        sns._refresh_subscription_counts(topic)
        self._inbox.ask(_subscriber(scope, topic["arn"], subscription), token)

    def _suspend(self, subscription: dict[str, Any], token: str) -> None:
        subscription["confirmed"], subscription["token"] = False, token
        subscription["attributes"] |= {
            "PendingConfirmation": "true",
            "ConfirmationWasAuthenticated": "false",
        }

    def _deliver(
        self,
        topic_arn: str,
        message_id: str,
        message: str,
        subject: str,
        structure: str,
        attributes: dict[str, Any],
    ) -> None:
        from ministack.services import sns

        topic = sns._topic_by_arn_any_scope(topic_arn)
        if topic is None:
            return
        for subscription in topic["subscriptions"]:
            protocol = subscription["protocol"]
            if protocol not in EMAIL or not subscription["confirmed"]:
                continue
            body = message_for(protocol, message, structure)
            if not sns._matches_filter_policy(subscription, attributes, body):
                continue
            if protocol == "email-json":
                body = sns._build_envelope(
                    topic_arn, message_id, body, subject, attributes, raw=False
                )
            subscriber = _subscriber(_scope_of(topic_arn), topic_arn, subscription)
            if not self._inbox.send(subscriber, subject, body, message_id):
                self._suspend(subscription, secrets.token_hex(128))
                sns._refresh_subscription_counts(topic)


def _scope_of(arn: str) -> Scope:
    _, partition, _, region, account, _ = arn.split(":", 5)
    return Scope(account, region, partition)


def _subscriber(scope: Scope, topic_arn: str, subscription: Mapping[str, Any]) -> Subscriber:
    return Subscriber(
        scope.account, scope.region, topic_arn, subscription["arn"], subscription["endpoint"]
    )


def _pending_named(listing: Callable[[dict[str, Any]], Answer]) -> Callable[..., Answer]:
    """A list of subscriptions in which those that wait have no ARN yet, as on AWS."""

    def listed(params: dict[str, Any]) -> Answer:
        from ministack.services import sns

        answer = listing(params)
        waiting = {
            subscription["arn"]
            for topic in sns._topics.values()
            for subscription in topic["subscriptions"]
            if not subscription["confirmed"]
        }
        text = re.sub(
            r"<SubscriptionArn>([^<]*)</SubscriptionArn>",
            lambda found: (
                found[0].replace(found[1], "PendingConfirmation")
                if found[1] in waiting
                else found[0]
            ),
            answer[2].decode(),
        )
        return (answer[0], answer[1], text.encode())

    return listed


def _with_text(answer: Answer, old: str, new: str) -> Answer:
    return (answer[0], answer[1], answer[2].replace(old.encode(), new.encode()))


def _error(message: str) -> Answer:
    from ministack.services import sns

    answer: Answer = sns._error("InvalidParameter", message, 400)
    return answer
