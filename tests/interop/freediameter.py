"""freeDiameter as a peer and relay, configured from templates/freediameter.conf."""

import shutil
import subprocess
from pathlib import Path
from string import Template

from tests.interop.namespace import Namespace
from tests.interop.service import Service

TEMPLATES = Path(__file__).parent / "templates"
IDENTITY = "relay.transit.example"
REALM = "transit.example"
PORT = 13868
SECURE_PORT = 15868
OCS = "ocs.example.com"
TO_OCS = "Port = 3868; No_TLS; No_SCTP; No_IPv6;"
TO_OCS_BY_TLS = "Port = 5658; No_SCTP; No_IPv6;"
# The shortest watchdog that RFC 3539 allows.
WATCHDOG_S = 6


def connect_peer(address: str, options: str) -> str:
    """The line by which it connects to ocs."""
    return f'ConnectPeer = "{OCS}" {{ ConnectTo = "{address}"; Realm = "example.com"; {options} }};'


def admitted(plain: str, by_tls: bool) -> str:
    """Who may connect: without TLS; ocs by TLS, too."""
    return f"ALLOW_IPSEC {plain}" + (f"\n{OCS}" if by_tls else "")


def free_diameter(
    namespace: Namespace, folder: Path, *, clients: str, server: str | None = TO_OCS, tls: Path | None = None
) -> Service:
    """A freeDiameter on the 10.x address of the namespace, since it leaves 127/8 out of its own addresses.

    clients: who may connect without TLS. server: the options of its own connection to ocs, None: ocs connects. tls: a
    folder with its cert.pem, key.pem and ca.pem; ocs may connect by TLS then, to SECURE_PORT, and the secrets are
    written where a Capture looks for them.
    """
    folder.mkdir()
    if tls is None:
        make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/CN={IDENTITY}"]
        files = ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
        subprocess.run([*make, *files], check=True, capture_output=True)
        shutil.copy(folder / "cert.pem", folder / "ca.pem")
    else:
        shutil.copytree(tls, folder, dirs_exist_ok=True)
    words = {
        "identity": IDENTITY,
        "realm": REALM,
        "address": namespace.address,
        "port": PORT,
        "tw": WATCHDOG_S,
        "folder": folder,
        "secure_port": 0 if tls is None else SECURE_PORT,
        "connect_peer": "" if server is None else connect_peer(namespace.address, server),
        "clients": admitted(clients, tls is not None),
    }
    for source, target in (("freediameter.conf", "fd.conf"), ("acl.conf", "acl.conf")):
        (folder / target).write_text(Template((TEMPLATES / source).read_text()).substitute(words))
    keys = f"SSLKEYLOGFILE={folder.parent / 'tls-keys.log'}"
    argv = namespace.command("env", keys, "freeDiameterd", "-c", folder / "fd.conf")
    # Its shutdown waits for its peers, 18 s at worst.
    return Service(argv, folder / "freediameter.log", stop_s=25)
