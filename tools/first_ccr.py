#!/usr/bin/env python3
"""A gateway's first session against the server of `make run`: INITIAL and TERMINATION for the subscriber `demo`.

Prints what was granted; needs only the packages that the server runs on. Run as `python -m tools.first_ccr`.
"""

import socket
import sys

from tests.interop.client import INITIAL, TERMINATION, Client, mscc, rsu, usu

SERVER = ("127.0.0.1", 3868)
SESSION = "first.example.net;1;1"
MSISDN = "491700000001"


def main() -> int:
    """0 where both requests were answered with 2001."""
    with Client(socket.create_connection(SERVER, 10), "first.example.net", "example.net") as client:
        client.connect()
        initial = client.ccr(SESSION, INITIAL, 0, mscc(rsu()), msisdn=MSISDN)
        print(f"CCR-I: {initial.result_code}, granted {initial.granted_octets} octets")
        termination = client.ccr(SESSION, TERMINATION, 1, mscc(usu(total_octets=1000)), msisdn=MSISDN)
        print(f"CCR-T: {termination.result_code}")
        client.disconnect()
    return 0 if (initial.result_code, termination.result_code) == (2001, 2001) else 1


if __name__ == "__main__":
    sys.exit(main())
