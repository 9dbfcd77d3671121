"""Kamailio as an IMS node that charges calls over Ro, and the two telephones of sipp on either side of it."""

import platform
import subprocess
from pathlib import Path
from string import Template

from tests.interop.namespace import Namespace
from tests.interop.service import Service

TEMPLATES = Path(__file__).parent / "templates"
IDENTITY = "scscf.ims.example.com"
REALM = "ims.example.com"
SIP_PORT, CALLER_PORT, CALLED_PORT = 5060, 5061, 5070
# What a CCR asks for, and how long before its end the next one goes out.
RESERVE_S, BUFFER_S = 5, 2


def kamailio(namespace: Namespace, folder: Path) -> Service:
    """A Kamailio that finds ocs.example.com by name; the namespace's hosts file has to know it."""
    folder.mkdir()
    words = {
        "identity": IDENTITY,
        "realm": REALM,
        "folder": folder,
        "modules": f"/usr/lib/{platform.machine()}-linux-gnu/kamailio/modules/",
        "sip_port": SIP_PORT,
        "uas_port": CALLED_PORT,
        "reserve_s": RESERVE_S,
        "buffer_s": BUFFER_S,
        "server_identity": "ocs.example.com",
        "server_realm": "example.com",
        "server_port": 3868,
        "destination_realm": REALM,
    }
    for name in ("kamailio.cfg", "cdp.xml"):
        (folder / name).write_text(Template((TEMPLATES / name).read_text()).substitute(words))
    places = ["-w", folder, "-Y", folder, "-P", folder / "kamailio.pid"]
    argv = namespace.command("kamailio", "-f", folder / "kamailio.cfg", "-DD", "-E", "-m", "64", "-M", "8", *places)
    return Service(argv, folder / "kamailio.log")


def called_party(namespace: Namespace, folder: Path) -> Service:
    """A telephone that answers every call at once."""
    argv = namespace.command(
        "sipp", "-sf", TEMPLATES / "uas.xml", "-i", "127.0.0.1", "-p", str(CALLED_PORT), "-nostdin"
    )
    return Service(argv, folder / "uas.log", cwd=folder)


def place_call(namespace: Namespace, folder: Path, caller: str, called: str, talk_ms: int) -> None:
    """One call; returns when it was hung up, or refused with a 402. Anything else is an error."""
    place_calls(namespace, folder, [(caller, called)], talk_ms)


def place_calls(namespace: Namespace, folder: Path, calls: list[tuple[str, str]], talk_ms: int) -> None:
    """Calls at once, each of (caller, called); whom the switch hangs up on talks for less than `talk_ms`."""
    (folder / "uac.xml").write_text(Template((TEMPLATES / "uac.xml").read_text()).substitute(talk_ms=talk_ms))
    lines = ["SEQUENTIAL", *(f"{caller};{called};" for caller, called in calls)]
    (folder / "users.csv").write_text("\n".join(lines) + "\n")
    argv = namespace.command(
        *("sipp", "-sf", folder / "uac.xml", "-inf", folder / "users.csv", "-i", "127.0.0.1", "-p", str(CALLER_PORT)),
        *("-m", str(len(calls)), "-r", str(len(calls)), "-timeout", "60", "-nostdin", f"127.0.0.1:{SIP_PORT}"),
    )
    done = subprocess.run(argv, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"a call failed:\n{done.stdout[-3000:]}{done.stderr[-1000:]}"
