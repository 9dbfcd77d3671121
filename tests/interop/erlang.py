"""Erlang/OTP as a strict peer: what ocs sends is decoded by another grammar, and whatever that minds fails the test.

with StrictPeer(namespace, compiled, folder, "ergw.example.net") as peer:
    peer.connect("127.0.0.1", 3868)
    answer = peer.ccr("ergw.example.net;1;1", INITIAL, 0, mscc=[{"Rating-Group": 100, "Requested-Service-Unit": {}}])
    assert answer["Result-Code"] == 2001
"""

import json
import queue
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.interop.namespace import Namespace
from tests.interop.service import Service

TEMPLATES = Path(__file__).parent / "templates"
LIMIT_S = 30


def compile_peer(folder: Path) -> Path:
    """The folder with the programs: the dictionary by diameterc, then both by erlc."""
    dictionary = TEMPLATES / "credit_control.dia"
    subprocess.run(["diameterc", "-o", folder, dictionary], check=True, capture_output=True)
    sources = [folder / "credit_control.erl", TEMPLATES / "strict_peer.erl"]
    subprocess.run(["erlc", "-W", "-o", folder, *sources], check=True, capture_output=True)
    return folder


def term(value: Any) -> str:
    """A value as an Erlang term: what is not a number, a text, a list or a mapping is written as it is."""
    if isinstance(value, Mapping):
        return "#{" + ", ".join(f"'{name}' => {term(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(term, value)) + "]"
    if isinstance(value, bytes):
        return "<<" + ", ".join(map(str, value)) + ">>"
    if isinstance(value, str):
        return f'<<"{value}">>'
    assert isinstance(value, int)
    return str(value)


class StrictPeer(Service):
    """A running Erlang node. Everything that it received is checked as it comes in."""

    def __init__(self, namespace: Namespace, compiled: Path, folder: Path, host: str, realm: str = "example.net"):
        folder.mkdir()
        self.host = host
        # Reports of the library go to stderr, the log; stdout is ours.
        logger = "[{handler,default,logger_std_h,#{config=>#{type=>standard_error}}}]"
        start = f'strict_peer:main("{host}", "{realm}").'
        argv = namespace.command(
            *("erl", "-noshell", "+S", "1:1", "-pa", compiled),
            *("-kernel", "logger", logger, "-kernel", "logger_level", "warning", "-eval", start),
        )
        super().__init__(argv, folder / "erlang.log", cwd=folder)
        self._seen: queue.Queue[dict[str, Any]] = queue.Queue()
        self._put_back: list[dict[str, Any]] = []

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self.cwd,
                start_new_session=True,
            )
        self._reader = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self._reader.start()

    def _read(self, lines: Any) -> None:
        with lines:
            for line in lines:
                self._seen.put(json.loads(line))

    def tell(self, command: str) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}.\n".encode())
        self.process.stdin.flush()

    def expect(self, kind: str) -> Any:
        """The next event of that kind; others stay for later."""
        for index, event in enumerate(self._put_back):
            if kind in event:
                return self._put_back.pop(index)[kind]
        while True:
            try:
                event = self._seen.get(timeout=LIMIT_S)
            except queue.Empty:
                raise TimeoutError(f"no {kind!r}; {self._put_back}; the log:\n{self.text()[-4000:]}") from None
            if kind in event:
                return event[kind]
            assert "failure" not in event, event
            self._put_back.append(event)

    def message(self, kind: str) -> dict[str, Any]:
        """A received message as {header, body}, about which the decoder had nothing to say."""
        received: dict[str, Any] = self.expect(kind)
        assert (received["errors"], received["strange"]) == ([], []), received
        return received

    def connect(self, address: str, port: int) -> dict[str, Any]:
        """The CEA."""
        self.tell(f"{{connect, {{{address.replace('.', ',')}}}, {port}}}")
        return dict(self.message("up")["body"])

    def listen(self, address: str, port: int) -> None:
        self.tell(f"{{listen, {{{address.replace('.', ',')}}}, {port}}}")

    def ccr(
        self,
        session_id: str,
        kind: int,
        number: int,
        *,
        mscc: list[dict[str, Any]] | None = None,
        msisdn: str | None = None,
        context: str = "32251@3gpp.org",
        repeat: bool = False,
        **more: Any,
    ) -> dict[str, Any]:
        """The body of the answer; `more` are AVPs, with "_" for the "-" in their names."""
        body: dict[str, Any] = {
            "Session-Id": session_id,
            "Destination-Realm": "example.com",
            "Service-Context-Id": context,
            "CC-Request-Type": kind,
            "CC-Request-Number": number,
        }
        if msisdn is not None:
            body["Subscription-Id"] = [{"Subscription-Id-Type": 0, "Subscription-Id-Data": msisdn}]
        if mscc is not None:
            body["Multiple-Services-Credit-Control"] = mscc
        body |= {name.replace("_", "-"): value for name, value in more.items()}
        self.tell(f"{{{'repeat' if repeat else 'call'}, {term(body)}}}")
        answer = self.message("answer")
        assert answer["header"]["proxiable"], answer
        return dict(answer["body"])

    def say_goodbye(self) -> int:
        """DPR, then the end of the program: its exit status. Nothing more where it has ended."""
        self._close_input()
        assert self.process is not None
        status = self.process.wait(LIMIT_S)
        self._reader.join(LIMIT_S)
        return status

    def stop(self) -> int:
        self._close_input()
        status = super().stop()
        self._reader.join(LIMIT_S)
        return status

    def _close_input(self) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.close()
