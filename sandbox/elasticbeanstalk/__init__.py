"""Elastic Beanstalk, answered from botocore's model; its instances are processes on loopback."""
