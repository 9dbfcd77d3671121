"""The guest is judged by what it leaves in its folder, and by nothing else."""

import stat

import pytest

from tests.uml import boot


@pytest.fixture
def job(tmp_path):
    folder = tmp_path / "job"
    folder.mkdir()
    return folder


def kernel(tmp_path, *lines):
    """A program in the kernel's place; $job is the guest's folder."""
    program = tmp_path / "linux.uml"
    find = 'for word in "$@"; do case "$word" in ocs.job=*) job="${word#ocs.job=}";; esac; done'
    program.write_text("\n".join(["#!/bin/sh", find, *lines]) + "\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


@pytest.mark.parametrize("status", [0, 1, 5])
def test_the_status_is_that_of_the_command(tmp_path, job, status):
    # The emulator may end badly after the end.
    program = kernel(tmp_path, f'echo {status} > "$job/status"', "exit 134")
    assert boot.boot(job, ["true"], program, tmp_path) == status


@pytest.mark.parametrize("end", ["exit 0", ': > "$job/status"', "kill -9 $$"], ids=["none", "empty", "killed"])
def test_no_status_is_a_failure(tmp_path, job, end, capsys):
    program = kernel(tmp_path, "echo the console", end)
    assert boot.boot(job, ["true"], program, tmp_path) == boot.NO_STATUS
    assert "the console" in capsys.readouterr().err


def test_a_guest_that_does_not_end_is_ended(tmp_path, job, capsys):
    program = kernel(tmp_path, "exec sleep 1000")
    assert boot.boot(job, ["true"], program, tmp_path, limit_s=0.2) == boot.NO_STATUS
    assert "did not end" in capsys.readouterr().err


def test_without_the_emulator_it_fails(monkeypatch, capsys):
    monkeypatch.setattr(boot, "KERNEL", "no-such-program")
    assert boot.main([]) == boot.NO_STATUS
    assert "make sctp" in capsys.readouterr().err
