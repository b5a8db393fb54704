"""Cloud Custodian's own command line, against one address.

Its sqs resource names Amazon's address itself, whatever AWS_ENDPOINT_URL says.
"""

import os
import sys
from typing import Any

from botocore.session import Session
from c7n.cli import main

create_client = Session.create_client


def create_client_here(self: Session, service_name: str, *arguments: Any, **named: Any) -> Any:
    """A client that asks the estate."""
    named["endpoint_url"] = os.environ["AWS_ENDPOINT_URL"]
    return create_client(self, service_name, *arguments, **named)


Session.create_client = create_client_here  # type: ignore[method-assign]  # that is the point
sys.argv[0] = "custodian"
main()
