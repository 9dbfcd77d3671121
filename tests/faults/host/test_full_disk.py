"""A disk that is full: clients are told to come again, nothing that was answered is lost, and it goes on afterwards."""

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from ocs.store.choose import store_of
from tests.faults.checks import check_store
from tests.faults.load import Load
from tests.postgres.database import database, make_template
from tests.postgres.server import PostgresServer

MIB = 1_048_576
SEED = int(os.environ.get("OCS_FAULTS_SEED", "1"))
ANSWERS_WHILE_FULL = 30


class Disk:
    """A small file system of the test's own; `fill` leaves `left` octets of it."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self, left: int) -> None:
        free = os.statvfs(self.folder)
        with self._ballast.open("wb") as ballast:
            os.posix_fallocate(ballast.fileno(), 0, max(1, free.f_bavail * free.f_bsize - left))

    def free(self) -> None:
        self._ballast.unlink()


@pytest.fixture
def make_disk():
    disks = []

    def make(octets):
        folder = Path(tempfile.mkdtemp(prefix="ocs-disk-", dir="/tmp"))
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={octets},mode=0755", "tmpfs", folder], check=True)
        disks.append(folder)
        return Disk(folder)

    yield make
    for folder in disks:
        subprocess.run(["umount", "--lazy", folder], check=True)
        shutil.rmtree(folder)


async def until(load, counted, number):
    """Returns when the load has counted so many more of something."""
    goal = load.counts[counted] + number
    async with asyncio.timeout(120):
        while load.counts[counted] < goal:  # noqa: ASYNC110 - it is counted in many places
            await asyncio.sleep(0.05)


async def play(load, children, disk, left, recover):
    """A load before, while and after the disk is full."""
    running = asyncio.create_task(load.run([child.diameter for child in children]))
    await load.answered(100)
    disk.fill(left)
    await until(load, "answered 3004", ANSWERS_WHILE_FULL)
    disk.free()
    recover()
    await load.answered(100)
    load.stopping.set()
    await running
    for child in children:
        await load.ask_all_again(child.diameter, load.plays[-100:])
    assert [await child.end() for child in children] == [0] * len(children)


async def test_sqlite(make_child, make_disk, capsys):
    disk = make_disk(64 * MIB)
    child = make_child(f"sqlite:{disk.folder}/ocs.db")
    await child.start()
    load, began = Load(SEED), time.monotonic()
    await play(load, [child], disk, 256 * 1_024, lambda: None)
    with capsys.disabled():
        print(f"\nSQLite on a full disk in {time.monotonic() - began:.0f} s; {load.summary()}")
    assert '"event": "store_down"' in child.log()
    await check_store(store_of(child.store_url), load)


async def test_postgres(make_child, make_disk, capsys):
    """Its journal (WAL) cannot grow: PostgreSQL ends itself, and is started again when there is room."""
    disk = make_disk(320 * MIB)
    server = PostgresServer(durable=True, settings={"max_wal_size": "64MB", "min_wal_size": "32MB"}, parent=disk.folder)

    def start_where_it_ended():
        if not server.running:
            server.start()

    try:
        server.start()
        make_template(server)
        with database(server) as url:
            children = [make_child(url, f"ocs{number}.example.com") for number in (1, 2)]
            await asyncio.gather(*(child.start() for child in children))
            load, began = Load(SEED), time.monotonic()
            await play(load, children, disk, MIB, start_where_it_ended)
            with capsys.disabled():
                print(f"\nPostgreSQL on a full disk in {time.monotonic() - began:.0f} s; {load.summary()}")
            await check_store(store_of(url), load)
    finally:
        server.stop()
