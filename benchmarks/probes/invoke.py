"""Runs a handler once, cold: `invoke.py <module> <event.json>`; what it answers is printed last.

Ends at once, without Python's clearing up: Lambda freezes a process, it does not end it.
"""

import json
import os
import sys


class Context:
    """Lambda's, as far as a handler reads it."""

    aws_request_id = "00000000-0000-4000-8000-000000000000"
    function_name = "benchmark"
    function_version = "1"
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:benchmark:1"
    memory_limit_in_mb = 256

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return 60_000


_, module, event = sys.argv
__import__(module)
with open(event, encoding="utf-8") as file:
    answer = sys.modules[module].lambda_handler(json.load(file), Context())
sys.stdout.write(json.dumps(answer) + "\n")
sys.stdout.flush()
os._exit(0)
