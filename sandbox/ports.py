"""Ports on the loopback interface."""

import socket


def free_port(wanted: int = 0) -> int:
    """The wanted port when nothing listens there, else one that the system gives."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port on 127.0.0.1")
