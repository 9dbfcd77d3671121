"""What went over the loopback of a namespace, as tshark sees it: the judge of what ocs sent."""

import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.interop.namespace import Namespace
from tests.interop.service import Service

DIAMETER_PORT = 3868
# Where ocs listens and where peers do that it connects to, without and with TLS.
PLAIN_PORTS = (DIAMETER_PORT, 13868)
TLS_PORTS = (5658, 15868)
# Ours, also where a relay passes on what we sent.
SENT = " || ".join(
    [f"tcp.srcport == {DIAMETER_PORT}", *(f'diameter.Origin-Host == "{name}.example.com"' for name in ("ocs", "ocs2"))]
)
MARKER_PORT = 9
WARNING = 0x600000  # tshark's severities: chat, note, warning, error


class Capture:
    """A running tshark: `with Capture(...)`, or `close()`; the other methods read the file afterwards.

    What went by TLS is read where one side wrote its secrets to `keys` (its SSLKEYLOGFILE).
    """

    def __init__(self, namespace: Namespace, folder: Path):
        self.namespace = namespace
        self.file = folder / "capture.pcapng"
        self.keys = folder / "tls-keys.log"
        ports = " or ".join(f"tcp port {port}" for port in PLAIN_PORTS + TLS_PORTS)
        argv = namespace.command("tshark", "-i", "lo", "-q", "-w", self.file, "-f", f"{ports} or udp")
        self.service = Service(argv, folder / "tshark.log", stop_signal=signal.SIGINT)

    def __enter__(self) -> Self:
        self.service.__enter__()
        try:
            self._wait_for_marker(b"capture-begins")
        except BaseException:
            self.service.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the capture when all that was sent before stands in the file."""
        process = self.service.process
        if process is not None and process.poll() is None:
            try:
                self._wait_for_marker(b"capture-ends")
            finally:
                self.service.stop()

    def _wait_for_marker(self, marker: bytes) -> None:
        """Packets wait in buffers of the kernel and of tshark, in order: a datagram in the file tells where it is."""
        with self.namespace.datagram_socket() as sender:

            def arrived() -> bool:
                sender.sendto(marker, ("127.0.0.1", MARKER_PORT))
                return self.file.exists() and marker in self.file.read_bytes()

            self.service.wait_for(f"{marker!r} in the capture", arrived)

    def fields(self, display_filter: str, *names: str) -> list[list[str]]:
        """One row for each packet that fits; a field that occurs more than once is joined by commas."""
        argv = ["-T", "fields", "-E", "separator=/t", *(word for name in names for word in ("-e", name))]
        return [line.split("\t") for line in self._read(display_filter, *argv).splitlines()]

    def trees(self, display_filter: str) -> list[dict[str, Any]]:
        """The dissection of each packet that fits."""
        text = self._read(display_filter, "-T", "json", "--no-duplicate-keys")
        return [packet["_source"]["layers"] for packet in json.loads(text or "[]")]

    def complaints(self, sent: str = SENT) -> list[list[str]]:
        """(frame, Diameter command, complaint) of everything that ocs `sent` and tshark finds malformed or warns of.

        What it remarks on the flow of TCP (windows, repeats) is not about the messages.
        """
        doubt = f"_ws.malformed || (_ws.expert.severity >= {WARNING} && !tcp.analysis.flags)"
        wrong = f"({sent}) && diameter && ({doubt})"
        return self.fields(wrong, "frame.number", "diameter.cmd.code", "_ws.expert.message")

    def _read(self, display_filter: str, *argv: str) -> str:
        # Streams are put together: messages that share a segment or span two are dissected like any other.
        decode = [word for port in PLAIN_PORTS for word in ("-d", f"tcp.port=={port},diameter")]
        if self.keys.exists():
            decode += [word for port in TLS_PORTS for word in ("-d", f"tcp.port=={port},tls")]
            decode += [word for port in TLS_PORTS for word in ("-d", f"tls.port=={port},diameter")]
            # That one takes the first message for its own.
            decode += ["-o", f"tls.keylog_file:{self.keys}", "--disable-protocol", "rdpmt"]
        command = ["tshark", "-r", str(self.file), *decode, "-2", "-R", display_filter, *argv]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def values(tree: Any, name: str) -> Iterator[Any]:
    """Every value under the key `name` in a dissection, at any depth, in order."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key == name:
                yield from value if isinstance(value, list) else [value]
            else:
                yield from values(value, name)
    elif isinstance(tree, list):
        for item in tree:
            yield from values(item, name)
