"""What happens to an environment: launch, deployment by policy, configuration, termination.

The order of the steps and the words of the events follow AWS's documentation
(https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/using-features.rolling-version-deploy.html,
https://docs.aws.amazon.com/elasticbeanstalk/latest/dg/environmentmgmt-updates-immutable.html) and
event logs that people published; the README names them row by row.
"""
