"""Tests of rollback, without AWS, network or environment."""
