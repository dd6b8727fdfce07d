# SPDX-License-Identifier: GPL-2.0-or-later
"""What the daemon may still do: one capability, a user without rights, and the system calls that it needs."""

import ctypes
import os
import platform
import pwd
import signal

import pytest

from lab import WAN_VIP, wait_for

NET_ADMIN = 1 << 12
USER = "games"  # a user of every Debian; it owns nothing
PTRACE_GETREGS, PTRACE_SETREGS, PTRACE_ATTACH, PTRACE_DETACH = 12, 13, 16, 17
RIP, RAX, ORIG_RAX = 16, 10, 15  # in struct user_regs_struct, in units of 8 bytes
SYS_FORK = 57


def proc_status(daemon):
    with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def test_it_keeps_one_capability_and_gains_nothing(lab):
    status = proc_status(lab.daemon[1].start())
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == NET_ADMIN
    assert int(status["CapBnd"], 16) == int(status["CapAmb"], 16) == int(status["CapInh"], 16) == 0
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"


def test_without_the_sandbox_it_keeps_its_rights(lab):
    status = proc_status(lab.daemon[1].start(overrides={"process": {"sandbox": "no"}}))
    assert int(status["CapEff"], 16) & ~NET_ADMIN
    assert status["NoNewPrivs"] == "0" and status["Seccomp"] == "0"


def test_it_becomes_another_user_with_one_capability(lab):
    """It does all its work as that user: it holds flows, is primary with a fence, reloads, starts again."""
    user = pwd.getpwnam(USER)
    os.chmod(lab.directory, 0o755)
    os.chown(lab.key, 0, user.pw_gid)
    os.chmod(lab.key, 0o640)
    for node in lab.nodes:
        socket = os.path.join(lab.daemon[node].directory, "run", "control.sock")
        lab.daemon[node].socket = socket
        os.chmod(lab.daemon[node].directory, 0o755)
        lab.daemon[node].start(overrides={"process": {"user": USER}, "control": {"socket": socket},
                                           "fence": {"enable": "yes", "address": WAN_VIP}})
    status = proc_status(lab.daemon[1])
    assert status["Uid"].split() == [str(user.pw_uid)] * 4 and status["Gid"].split() == [str(user.pw_gid)] * 4
    assert status["Groups"].split() == []
    assert int(status["CapEff"], 16) == NET_ADMIN and int(status["CapBnd"], 16) == 0
    lab.daemon[1].twintrack("primary")
    lab.daemon[2].twintrack("backup")
    lab.flowgen(1, "create", "--count", 100)
    wait_for(lambda: lab.daemon[2].peer(1).get("flows") == 100, what="they are replicated")
    assert lab.daemon[2].status()["fence"]["armed"]
    assert "nothing has changed" in lab.daemon[1].twintrack("reload").stdout
    lab.daemon[1].kill()
    assert lab.daemon[2].twintrack("primary").returncode == 0
    assert lab.flow_count(2) >= 100, "the flows are in its kernel"
    lab.daemon[2].kill()
    assert lab.daemon[2].twintrack("backup", check=False).returncode == 3, "root writes the role"
    with open(lab.daemon[2].socket + ".tables", "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(b"what a daemon that ran as root left")
    assert lab.daemon[2].start().status()["role"] == "backup", "the user reads it"
    assert "it is damaged" in lab.daemon[2].log(), "and that, too"


@pytest.mark.parametrize("changes, says", [
    ({"process": {"user": "no-such-user"}}, "there is no user `no-such-user`"),
    ({"process": {"user": USER}}, "can't be written: Permission denied")])
def test_a_user_that_can_not_work_is_refused(lab, changes, says):
    daemon = lab.daemon[1].start(wait=False, overrides=changes)
    assert daemon.process.wait(60) == 1
    assert says in daemon.log()


def make_it_fork(pid):
    """Has a process that sleeps in a system call make another one."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    registers = (ctypes.c_uint64 * 27)()
    assert libc.ptrace(PTRACE_ATTACH, pid, None, None) == 0
    os.waitpid(pid, 0)
    assert libc.ptrace(PTRACE_GETREGS, pid, None, registers) == 0
    registers[RIP] -= 2  # the `syscall` that it slept in
    registers[RAX], registers[ORIG_RAX] = SYS_FORK, 2**64 - 1
    assert libc.ptrace(PTRACE_SETREGS, pid, None, registers) == 0
    assert libc.ptrace(PTRACE_DETACH, pid, None, None) == 0


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the registers are set for x86_64")
def test_a_forbidden_call_kills_the_running_daemon(lab):
    daemon = lab.daemon[1].start()
    make_it_fork(daemon.process.pid)
    assert daemon.process.wait(60) == -signal.SIGSYS
