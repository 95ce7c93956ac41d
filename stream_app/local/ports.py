"""Free TCP ports that stay free while a service is restarted on them."""

import random
import socket

HOST = "127.0.0.1"

# Below the ports that Linux (from 32768) and macOS (from 49152) give to outgoing connections. A
# client that keeps reconnecting to a killed broker would otherwise sooner or later be given the
# broker's own port as its source port, and the restarted broker could not bind it.
_PORTS = range(18_000, 32_000)
_ATTEMPTS = 200


def free_ports(count: int) -> list[int]:
    """Return `count` different ports that nothing is bound to now."""
    held: list[socket.socket] = []
    try:
        for port in random.sample(_PORTS, _ATTEMPTS):
            candidate = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                candidate.bind((HOST, port))
            except OSError:
                candidate.close()
                continue
            held.append(candidate)
            if len(held) == count:
                return [int(one.getsockname()[1]) for one in held]
    finally:
        for one in held:
            one.close()
    raise OSError(f"no {count} free ports between {_PORTS.start} and {_PORTS.stop} on {HOST}")
