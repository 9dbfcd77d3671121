"""freeDiameter as a peer and relay, configured from templates/freediameter.conf."""

import subprocess
from pathlib import Path
from string import Template

from tests.interop.namespace import Namespace
from tests.interop.service import Service

TEMPLATES = Path(__file__).parent / "templates"
IDENTITY = "relay.transit.example"
REALM = "transit.example"
PORT = 13868
# The shortest watchdog that RFC 3539 allows.
WATCHDOG_S = 6


def free_diameter(namespace: Namespace, folder: Path, *, clients: str) -> Service:
    """A freeDiameter that connects to ocs and admits peers named `clients`, on the 10.x address of the namespace.

    It leaves 127/8 out of its own addresses, so it listens on the other address of the loopback.
    """
    folder.mkdir()
    key, certificate = folder / "key.pem", folder / "cert.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={IDENTITY}"]
    subprocess.run([*make, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    words = {
        "identity": IDENTITY,
        "realm": REALM,
        "address": namespace.address,
        "port": PORT,
        "tw": WATCHDOG_S,
        "folder": folder,
        "server_identity": "ocs.example.com",
        "server_realm": "example.com",
        "server_address": namespace.address,
        "server_port": 3868,
        "clients": clients,
    }
    for source, target in (("freediameter.conf", "fd.conf"), ("acl.conf", "acl.conf")):
        (folder / target).write_text(Template((TEMPLATES / source).read_text()).substitute(words))
    argv = namespace.command("freeDiameterd", "-c", folder / "fd.conf")
    # Its shutdown waits for its peers, 18 s at worst.
    return Service(argv, folder / "freediameter.log", stop_s=25)
