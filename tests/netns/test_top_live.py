# SPDX-License-Identifier: GPL-2.0-or-later
"""`twintrack top` with a real pair: what it shows is what the daemons have.  Its keys and sizes: tests/cli/test_top.py."""

import pathlib
import re
import sys
import tempfile

from lab import wait_for
from programs import ROOT, program

sys.path.append(f"{ROOT}/tests/cli")

from terminal import Terminal  # noqa: E402


def test_a_pair_is_shown_live(lab):
    lab.start()
    lab.daemon[1].twintrack("primary")
    lab.daemon[2].twintrack("backup")
    wait_for(lambda: lab.daemon[2].peer(1).get("in_sync"), what="in step")
    with tempfile.TemporaryDirectory() as directory:
        shown = Terminal(pathlib.Path(directory), program("twintrack"), "--socket", lab.daemon[2].socket, "top", "--interval", "200ms")
        try:
            shown.shows("node 2, backup", "this node can take over from node 1", "    1 alive  primary", "sync0           up ")
            shown.wait_for(lambda screen: screen.count("equal ") == 2, "both copies are proven equal")
            lab.flowgen(1, "create", "--count", 300)
            screen = shown.wait_for(lambda screen: re.search(r"primary +300 +equal .* ago +equal ", screen), "the flows")
            assert "LINK" in screen and re.search(r"^sync0 +up +[\d,.]+ +[\d,.]+ ", screen, re.M), screen
            lab.daemon[1].kill()
            shown.shows("NOT SAFE: ", "    1 SILENT", "silent for ")
            lab.daemon[2].kill()
            shown.shows("no daemon answers on", "is asked again")
            shown.press("q")
            shown.ended(0)
        finally:
            shown.close()


def test_without_a_terminal_it_says_that_it_needs_one(lab):
    lab.start()
    done = lab.daemon[1].twintrack("top", check=False)
    assert done.returncode == 2 and "needs a terminal" in done.stderr
    done = lab.daemon[1].twintrack("top", "--once", "--interval", "200ms")
    assert done.stdout.startswith("Twintrack  node 1, ") and "\nLINK " in done.stdout


def test_once_without_a_daemon_is_3(lab):
    done = lab.daemon[1].twintrack("top", "--once", check=False)
    assert done.returncode == 3 and "no daemon answers" in done.stderr
