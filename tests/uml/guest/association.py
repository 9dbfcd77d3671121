"""The other side of an association: a socket of the kernel with nothing of ocs in between, and links of tests."""

import asyncio
import ctypes
import socket
import struct
import subprocess
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import NamedTuple

from ocs.diameter.transports.sctp_socket import IPPROTO_SCTP, _packed
from ocs.diameter.wire import decode_message

RTOINFO, INITMSG, NODELAY, PEER_ADDR_PARAMS, STATUS, RECVRCVINFO = 0, 2, 3, 9, 14, 32
SNDINFO, RCVINFO = 2, 3
UNORDERED = 1
BINDX_ADD, CONNECTX = 100, 110
CLONE_NEWNET = 0x40000000
_numbers = count(1)
_libc = ctypes.CDLL(None, use_errno=True)


class Received(NamedTuple):
    """A message and what came with it."""

    data: bytes
    stream: int
    ppid: int
    unordered: bool

    @property
    def message(self):
        return decode_message(self.data)


def make_socket(family=socket.AF_INET):
    made = socket.socket(family, socket.SOCK_STREAM, IPPROTO_SCTP)
    made.setsockopt(IPPROTO_SCTP, NODELAY, 1)
    made.setsockopt(IPPROTO_SCTP, RECVRCVINFO, 1)
    made.setsockopt(IPPROTO_SCTP, INITMSG, struct.pack("=HHHH", 64, 64, 0, 0))
    # A path is given up quickly, so that tests see it.
    made.setsockopt(IPPROTO_SCTP, RTOINFO, struct.pack("=iIII", 0, 300, 1_000, 200))
    made.setsockopt(IPPROTO_SCTP, PEER_ADDR_PARAMS, struct.pack("=i128xIHIIIH", 0, 500, 2, 0, 0, 1, 0))
    return made


class Association:
    """One side of an association, on the running loop."""

    def __init__(self, connected):
        self.socket = connected
        connected.setblocking(False)

    @classmethod
    async def connect(cls, *addresses, bind=(), inside=None):
        """To all `addresses` [(host, port)], from all of `bind`; `inside` a namespace where one is given."""

        def connected():
            made = make_socket(socket.AF_INET6 if ":" in addresses[0][0] else socket.AF_INET)
            if bind:
                made.bind((bind[0], 0))
                if bind[1:]:
                    port = made.getsockname()[1]
                    made.setsockopt(IPPROTO_SCTP, BINDX_ADD, _packed([(host, port) for host in bind[1:]]))
            try:
                made.setsockopt(IPPROTO_SCTP, CONNECTX, _packed(addresses))
            except OSError:
                made.close()
                raise
            return made

        make = connected if inside is None else lambda: inside.run(connected)
        return cls(await asyncio.get_running_loop().run_in_executor(None, make))

    def send(self, data, stream=0, ppid=46, *, unordered=False):
        info = struct.pack("=HH", stream, UNORDERED if unordered else 0) + struct.pack("!I", ppid) + bytes(8)
        assert self.socket.sendmsg([data], [(IPPROTO_SCTP, SNDINFO, info)]) == len(data)

    async def receive(self):
        """The next message; None at the end of the association. Raises ConnectionResetError where it was aborted."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                data, ancillary, flags, _ = self.socket.recvmsg(1 << 20, 256)
                break
            except BlockingIOError:
                future = loop.create_future()
                loop.add_reader(self.socket.fileno(), lambda f=future: f.done() or f.set_result(None))
                try:
                    await asyncio.wait_for(future, 20)
                finally:
                    loop.remove_reader(self.socket.fileno())
        if not data:
            return None
        assert flags & socket.MSG_EOR
        ((level, kind, info),) = ancillary
        assert (level, kind) == (IPPROTO_SCTP, RCVINFO)
        stream, _, how = struct.unpack_from("=HHH", info)
        (ppid,) = struct.unpack_from("!I", info, 8)
        return Received(data, stream, ppid, bool(how & UNORDERED))

    async def ended(self):
        """ "closed" or "aborted", after whatever still came."""
        try:
            while await self.receive() is not None:
                pass
        except ConnectionResetError:
            return "aborted"
        return "closed"

    @property
    def streams(self):
        """(in, out) as negotiated."""
        return struct.unpack_from("=HH", self.socket.getsockopt(IPPROTO_SCTP, STATUS, 256), 16)

    def close(self):
        self.socket.close()

    def abort(self):
        if self.socket.fileno() >= 0:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("=ii", 1, 0))
            self.socket.close()


class Namespace:
    """A network namespace with two cables to this one: 10.9.1.1-10.9.1.2 and 10.9.2.1-10.9.2.2."""

    ours = ("10.9.1.1", "10.9.2.1")
    theirs = ("10.9.1.2", "10.9.2.2")

    def __init__(self):
        self.name = f"far{next(_numbers)}"
        self.broken = False
        self.lossy = set()

    def __enter__(self):
        ip("netns", "add", self.name)
        self.command("link", "set", "lo", "up")
        for number in (1, 2):
            here, there = f"near{number}", f"far{number}"
            ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", self.name)
            ip("address", "add", f"10.9.{number}.1/24", "dev", here)
            self.command("address", "add", f"10.9.{number}.2/24", "dev", there)
            ip("link", "set", here, "up")
            self.command("link", "set", there, "up")
        return self

    def __exit__(self, *_):
        for number in (1, 2):
            ip("link", "delete", f"near{number}")
        ip("netns", "delete", self.name)

    def command(self, *argv):
        ip("-n", self.name, *argv)

    def cut(self, number):
        """Take the cable's far end down."""
        self.broken = True
        self.command("link", "set", f"far{number}", "down")

    def mend(self, number):
        self.command("link", "set", f"far{number}", "up")

    def swallow(self, number):
        """Lose every packet of a cable, both ways, and say nothing."""
        self.broken = True
        self.lossy.add(number)
        self.shape(number, "add", "netem", "loss", "100%")

    def heal(self):
        """Both cables as they were."""
        for number in (1, 2):
            self.mend(number)
        for number in self.lossy:
            self.shape(number, "delete")
        self.lossy.clear()
        self.broken = False

    def shape(self, number, what, *how):
        for inside, device in (((), f"near{number}"), (("-n", self.name), f"far{number}")):
            run("tc", *inside, "qdisc", what, "dev", device, "root", *how)

    def run(self, make):
        """What `make()` returns in a thread that is inside."""

        def enter():
            with Path(f"/run/netns/{self.name}").open() as file:
                assert _libc.setns(file.fileno(), CLONE_NEWNET) == 0

        with ThreadPoolExecutor(max_workers=1, initializer=enter) as thread:
            return thread.submit(make).result()


def ip(*argv):
    run("ip", *argv)


def run(*argv):
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}"


class Taker:
    """The handler of a link, which remembers."""

    def __init__(self, link):
        self.link = link
        self.frames = []
        self.lost = []
        self.paths = []
        self.unsent = []
        self.overflows = 0
        self.ends = 0

    def frames_received(self, frames):
        self.frames += frames

    def framing_lost(self, lost):
        self.lost.append(lost)

    def path_changed(self, address, state):
        self.paths.append((address, state))

    def unsendable(self, octets):
        self.unsent.append(octets)

    def overflowed(self):
        self.overflows += 1

    def disconnected(self):
        self.ends += 1


async def until(condition, limit_s=20):
    """Wait for what the kernel or another process brings about."""
    async with asyncio.timeout(limit_s):
        while not condition():  # noqa: ASYNC110 - the kernel sets no event
            await asyncio.sleep(0.005)
