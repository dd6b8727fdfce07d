# SPDX-License-Identifier: GPL-2.0-or-later
"""What the tests of the command share."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from fake_daemon import FakeDaemon  # noqa: E402
from twintrack_command import Command  # noqa: E402


@pytest.fixture
def command(tmp_path):
    return Command(tmp_path)


@pytest.fixture
def daemon(command):
    """daemon(answer) starts one; it ends with the test."""
    running = []

    def start(answer):
        if running:
            running.pop().close()
            command.socket.unlink()
        running.append(FakeDaemon(command.socket, answer))
        return running[0]

    yield start
    for one in running:
        one.close()
