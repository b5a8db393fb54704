"""What Elastic Beanstalk calls the resources that it makes for an environment.

The forms are those that real event logs and the resource patterns of the managed policy
AWSElasticBeanstalkRoleCore show (`awseb-e-…-stack`, `awseb-AWSEB-…`):
https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSElasticBeanstalkRoleCore.html
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass

from sandbox.cloud import Scope

RESOURCE_NAMESPACE = uuid.UUID("7f0cbd6e-2c0e-4c0d-9c53-0e8c5f2f4f63")


@dataclass(frozen=True, slots=True)
class Names:
    """The names and ARNs of one environment's resources, always the same for one id (`e-…`)."""

    scope: Scope
    environment_id: str

    def _hex(self, of: str, length: int) -> str:
        return hashlib.sha256(f"{self.environment_id}/{of}".encode()).hexdigest()[:length]

    def _uuid(self, of: str) -> str:
        return str(uuid.uuid5(RESOURCE_NAMESPACE, f"{self.environment_id}/{of}"))

    @property
    def bucket(self) -> str:
        """The one bucket that Beanstalk has in an account and Region."""
        return storage_bucket(self.scope)

    @property
    def stack(self) -> str:
        """The CloudFormation stack behind the environment."""
        return f"awseb-{self.environment_id}-stack"

    @property
    def temporary_stack(self) -> str:
        """The stack of an immutable update's temporary Auto Scaling group."""
        return f"awseb-{self.environment_id}-immutable-stack"

    @property
    def group(self) -> str:
        """The Auto Scaling group."""
        return f"{self.stack}-AWSEBAutoScalingGroup-{self._hex('group', 12)}"

    @property
    def temporary_group(self) -> str:
        """An immutable update's temporary Auto Scaling group."""
        return f"{self.temporary_stack}-AWSEBAutoScalingGroup-{self._hex('temporary', 12)}"

    @property
    def launch_template(self) -> str:
        """The launch template's id."""
        return f"lt-{self._hex('template', 17)}"

    @property
    def classic_balancer(self) -> str:
        """A classic load balancer's name."""
        return f"awseb-{self.environment_id[:3]}-AWSEBLoa-{self._hex('classic', 12).upper()}"

    @property
    def balancer(self) -> str:
        """An application or network load balancer's name."""
        return f"awseb--AWSEB-{self._hex('balancer', 12)}"

    @property
    def stack_arn(self) -> str:
        """The stack's ARN."""
        return self.scope.arn("cloudformation", f"stack/{self.stack}/{self._uuid('stack')}")

    @property
    def temporary_stack_arn(self) -> str:
        """The temporary stack's ARN."""
        return self.scope.arn(
            "cloudformation", f"stack/{self.temporary_stack}/{self._uuid('temporary-stack')}"
        )

    @property
    def group_arn(self) -> str:
        """The Auto Scaling group's ARN."""
        return self._group_arn(self.group)

    @property
    def temporary_group_arn(self) -> str:
        """The temporary Auto Scaling group's ARN."""
        return self._group_arn(self.temporary_group)

    def _group_arn(self, name: str) -> str:
        return self.scope.arn(
            "autoscaling",
            f"autoScalingGroup:{self._uuid(name)}:autoScalingGroupName/{name}",
        )

    @property
    def launch_template_arn(self) -> str:
        """The launch template's ARN."""
        return self.scope.arn("ec2", f"launch-template/{self.launch_template}")

    @property
    def instances_arn(self) -> str:
        """Any instance: which ones is not known when the right is judged."""
        return self.scope.arn("ec2", "instance/*")

    @property
    def target_group_arn(self) -> str:
        """The target group of the default process."""
        name = f"awseb-AWSEB-{self._hex('targets', 13).upper()}"
        return self.scope.arn(
            "elasticloadbalancing", f"targetgroup/{name}/{self._hex('targets-id', 16)}"
        )

    @property
    def balancer_arn(self) -> str:
        """The application load balancer's ARN."""
        return self.scope.arn(
            "elasticloadbalancing",
            f"loadbalancer/app/{self.balancer}/{self._hex('balancer-id', 16)}",
        )

    @property
    def classic_balancer_arn(self) -> str:
        """The classic load balancer's ARN."""
        return self.scope.arn("elasticloadbalancing", f"loadbalancer/{self.classic_balancer}")

    @property
    def listener_arn(self) -> str:
        """The application load balancer's default listener."""
        return self.scope.arn(
            "elasticloadbalancing",
            f"listener/app/{self.balancer}/{self._hex('balancer-id', 16)}"
            f"/{self._hex('listener', 16)}",
        )

    @property
    def alarms_arn(self) -> str:
        """The CloudWatch alarms that scale the group."""
        return self.scope.arn("cloudwatch", f"alarm:{self.stack}-AWSEBCloudwatchAlarmHigh")

    def version_key(self, application: str, version_label: str) -> str:
        """Where Beanstalk keeps the copy of a version that the instances download."""
        return (
            f"resources/environments/{self.environment_id}/_runtime/_versions/"
            f"{application}/{version_label}"
        )


def storage_bucket(scope: Scope) -> str:
    """https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/AWSHowTo.S3.html"""
    return f"elasticbeanstalk-{scope.region}-{scope.account}"


def log_group(environment: str, log: str) -> str:
    """https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/AWSHowTo.cloudwatchlogs.html"""
    return f"/aws/elasticbeanstalk/{environment}/var/log/{log}"
