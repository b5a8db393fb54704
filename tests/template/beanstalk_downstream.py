"""What Elastic Beanstalk does with the rights of whoever updates an environment, and who says so.

UpdateEnvironment runs with its caller's permissions on the services below it, and no page lists
them whole. Each action here is in the first column because a source in the second one has it:

core
    service-role/AWSElasticBeanstalkRoleCore, version 3: the policy that AWS wrote for the role that
    a Beanstalk environment is operated with, by service and by the names Beanstalk gives
    (`awseb-…`). Where it grants a family (`ec2:Describe*`), the action is one of it: https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSElasticBeanstalkRoleCore.html
logs
    service-role/AWSElasticBeanstalkRoleCWL, which belongs to it:
    https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSElasticBeanstalkRoleCWL.html
updates
    AWSElasticBeanstalkManagedUpdatesCustomerRolePolicy, version 12: what a platform update of an
    environment needs, immutable ones included:
    https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSElasticBeanstalkManagedUpdatesCustomerRolePolicy.html
types
    the permissions that the resource types' own handlers declare, in the registry schemas that
    cfn-lint ships: https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html
health
    service-role/AWSElasticBeanstalkEnhancedHealth, version 4:
    https://docs.aws.amazon.com/aws-managed-policy/latest/reference/AWSElasticBeanstalkEnhancedHealth.html
reported
    seen refused by people who deployed to Beanstalk with narrow roles:
    https://github.com/aws/aws-toolkit-azure-devops/issues/124,
    https://github.com/jenkinsci/aws-beanstalk-publisher-plugin/issues/47,
    https://github.com/apache/grails-core/pull/16260
pipeline
    CodePipeline's own page of the deploy action:
    https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-Beanstalk.html
"""

from __future__ import annotations

NEEDED = {
    # The parts of an environment are found by asking; no family as a whole.
    "autoscaling:DescribeAccountLimits": "updates",
    "autoscaling:DescribeAutoScalingGroups": "updates",
    "autoscaling:DescribeAutoScalingInstances": "updates",
    "autoscaling:DescribeLaunchConfigurations": "updates",
    "autoscaling:DescribeLoadBalancerTargetGroups": "core",
    "autoscaling:DescribeLoadBalancers": "updates",
    "autoscaling:DescribeNotificationConfigurations": "updates",
    "autoscaling:DescribePolicies": "core, types",
    "autoscaling:DescribeScalingActivities": "updates",
    "autoscaling:DescribeScheduledActions": "updates",
    "autoscaling:DescribeTags": "core",
    "autoscaling:DescribeTrafficSources": "core",
    "ec2:DescribeAccountAttributes": "updates",
    "ec2:DescribeAddresses": "updates",
    "ec2:DescribeAvailabilityZones": "updates",
    "ec2:DescribeImages": "updates",
    "ec2:DescribeInstanceAttribute": "updates",
    "ec2:DescribeInstances": "updates",
    "ec2:DescribeInstanceStatus": "core, health",
    "ec2:DescribeInstanceTypes": "core",
    "ec2:DescribeKeyPairs": "updates",
    "ec2:DescribeLaunchTemplates": "updates",
    "ec2:DescribeLaunchTemplateVersions": "updates",
    "ec2:DescribeSecurityGroupRules": "core, types",
    "ec2:DescribeSecurityGroups": "updates",
    "ec2:DescribeSnapshots": "updates",
    "ec2:DescribeSubnets": "updates",
    "ec2:DescribeVpcs": "updates",
    "elasticloadbalancing:DescribeInstanceHealth": "updates",
    "elasticloadbalancing:DescribeListenerAttributes": "core, types",
    "elasticloadbalancing:DescribeListeners": "core, types",
    "elasticloadbalancing:DescribeLoadBalancerAttributes": "core, types",
    "elasticloadbalancing:DescribeLoadBalancers": "updates",
    "elasticloadbalancing:DescribeRules": "core, types",
    "elasticloadbalancing:DescribeTags": "core, types",
    "elasticloadbalancing:DescribeTargetGroupAttributes": "core, types",
    "elasticloadbalancing:DescribeTargetGroups": "updates",
    "elasticloadbalancing:DescribeTargetHealth": "updates",
    "logs:DescribeLogGroups": "updates",
    # The environment's own stack.
    "cloudformation:CancelUpdateStack": "core",
    "cloudformation:ContinueUpdateRollback": "core",
    "cloudformation:CreateStack": "core",
    "cloudformation:DeleteStack": "core",
    "cloudformation:DescribeStackEvents": "core, reported",
    "cloudformation:DescribeStackResource": "core, reported",
    "cloudformation:DescribeStackResources": "core, reported",
    "cloudformation:DescribeStacks": "core, reported",
    "cloudformation:GetTemplate": "core, reported",
    "cloudformation:ListStackResources": "core",
    "cloudformation:TagResource": "core",
    "cloudformation:UntagResource": "core",
    "cloudformation:UpdateStack": "core, reported",
    # Its Auto Scaling group: a second one for an immutable deployment.
    "autoscaling:AttachInstances": "core",
    "autoscaling:AttachLoadBalancerTargetGroups": "core (autoscaling:*LoadBalancer*)",
    "autoscaling:CreateAutoScalingGroup": "core",
    "autoscaling:CreateOrUpdateTags": "core (autoscaling:*Tags)",
    "autoscaling:DeleteAutoScalingGroup": "core",
    "autoscaling:DeletePolicy": "core",
    "autoscaling:DeleteScheduledAction": "core",
    "autoscaling:DetachInstances": "core",
    "autoscaling:DetachLoadBalancerTargetGroups": "core (autoscaling:*LoadBalancer*)",
    "autoscaling:PutNotificationConfiguration": "core",
    "autoscaling:PutScalingPolicy": "core",
    "autoscaling:PutScheduledUpdateGroupAction": "core",
    "autoscaling:ResumeProcesses": "core, reported",
    "autoscaling:SetDesiredCapacity": "updates",
    "autoscaling:SuspendProcesses": "core, reported",
    "autoscaling:TerminateInstanceInAutoScalingGroup": "updates",
    "autoscaling:UpdateAutoScalingGroup": "core",
    # Instances, from launch templates only.
    "ec2:AuthorizeSecurityGroupEgress": "core",
    "ec2:AuthorizeSecurityGroupIngress": "core",
    "ec2:CreateLaunchTemplate": "core",
    "ec2:CreateLaunchTemplateVersion": "core",
    "ec2:CreateSecurityGroup": "core",
    "ec2:CreateTags": "core, updates (with ec2:CreateAction)",
    "ec2:DeleteLaunchTemplate": "core",
    "ec2:DeleteLaunchTemplateVersions": "core",
    "ec2:DeleteSecurityGroup": "core",
    "ec2:RevokeSecurityGroupEgress": "core",
    "ec2:RevokeSecurityGroupIngress": "core",
    "ec2:RunInstances": "core (with ec2:LaunchTemplate)",
    "ec2:TerminateInstances": "core (of its own stacks)",
    "iam:PassRole": "core (to one role and service each)",
    # Its load balancer.
    "elasticloadbalancing:AddTags": "core (elasticloadbalancing:*Tags)",
    "elasticloadbalancing:CreateListener": "core",
    "elasticloadbalancing:CreateLoadBalancer": "core",
    "elasticloadbalancing:CreateRule": "core",
    "elasticloadbalancing:CreateTargetGroup": "core",
    "elasticloadbalancing:DeleteListener": "core",
    "elasticloadbalancing:DeleteLoadBalancer": "core",
    "elasticloadbalancing:DeleteRule": "core",
    "elasticloadbalancing:DeleteTargetGroup": "core",
    "elasticloadbalancing:DeregisterTargets": "core, reported",
    "elasticloadbalancing:ModifyListener": "core",
    "elasticloadbalancing:ModifyLoadBalancerAttributes": "core",
    "elasticloadbalancing:ModifyRule": "core",
    "elasticloadbalancing:ModifyTargetGroup": "core",
    "elasticloadbalancing:ModifyTargetGroupAttributes": "core",
    "elasticloadbalancing:RegisterTargets": "core, reported",
    "elasticloadbalancing:RemoveTags": "core (elasticloadbalancing:*Tags)",
    "elasticloadbalancing:SetRulePriorities": "core",
    "elasticloadbalancing:SetSecurityGroups": "pipeline (elasticloadbalancing:*)",
    # Its scaling alarms.
    "cloudwatch:DeleteAlarms": "core",
    "cloudwatch:PutMetricAlarm": "core",
    # Bundles, in the bucket that Beanstalk has in each Region of an account.
    "s3:CreateBucket": "reported",
    "s3:DeleteObject": "core, reported",
    "s3:GetBucketLocation": "core",
    "s3:GetBucketPolicy": "core",
    "s3:GetObject": "core, reported",
    "s3:GetObjectAcl": "core, updates",
    "s3:GetObjectVersion": "core, updates",
    "s3:ListBucket": "core",
    "s3:PutBucketPolicy": "core",
    "s3:PutObject": "core, reported",
    "s3:PutObjectAcl": "core, reported",
    # The certificate that its listeners are given.
    "acm:DescribeCertificate": "core (acm:Describe*)",
    # Its log groups.
    "logs:CreateLogGroup": "logs",
    "logs:DeleteLogGroup": "logs",
    "logs:PutRetentionPolicy": "logs",
}
"""Every action that the pipeline's role has for Beanstalk's sake, with its sources."""
