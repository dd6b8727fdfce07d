# SPDX-License-Identifier: GPL-2.0-or-later
"""A terminal of 80x24 in a tmux of its own, and one program in it."""
import os
import pathlib
import shlex
import subprocess
import time

AFTER = "stty -a; echo ended with $code; exec cat"


class Terminal:
    """Runs a command line; when it has ended, its exit code and the terminal's settings stand on the screen."""

    def __init__(self, directory, *words, columns=80, rows=24, locale="C.UTF-8", term=None):
        self.tmux = ["tmux", "-u", "-S", str(directory / "tmux"), "-f", str(directory / "tmux.conf")]
        self.pid_file = directory / "terminal.pid"
        (directory / "tmux.conf").write_text("set -g status off\nset -g default-terminal screen-256color\n")
        inner = f"echo $$ >{shlex.quote(str(self.pid_file))}; exec {shlex.join(map(str, words))}"
        script = f"export LC_ALL={locale} {f'TERM={term}' if term else ''}; sh -c {shlex.quote(inner)}; code=$?; {AFTER}"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TMUX")}
        subprocess.run([*self.tmux, "new-session", "-d", "-x", str(columns), "-y", str(rows), script], check=True,
                       env=dict(environment, LC_ALL="C.UTF-8"))
        self.pane = self._tmux("display-message", "-p", "#{pane_id}").strip()

    def _tmux(self, *words):
        return subprocess.run([*self.tmux, *map(str, words)], text=True, capture_output=True, check=True).stdout

    def screen(self):
        return self._tmux("capture-pane", "-p")

    def lines(self):
        """All rows of the screen, the empty ones too."""
        return self.screen().split("\n")[:-1]

    def wait_for(self, condition, what, timeout=60):
        """Until condition(screen) is true; the screen then."""
        end = time.monotonic() + timeout
        while True:
            screen = self.screen()
            if condition(screen):
                return screen
            assert time.monotonic() < end, f"{what}: not within {timeout} s on\n{screen}"
            time.sleep(0.05)

    def shows(self, *words):
        return self.wait_for(lambda screen: all(word in screen for word in words), f"{words} to show")

    def press(self, *keys):
        self._tmux("send-keys", *keys)

    def resize(self, columns, rows):
        self._tmux("resize-window", "-x", columns, "-y", rows)

    def format(self, name):
        return self._tmux("display-message", "-p", "#{" + name + "}").strip()

    def pid(self):
        return int(pathlib.Path(self.pid_file).read_text())

    def ended(self, code):
        """Waits for the end; the terminal is as it was before."""
        screen = self.shows("ended with")
        assert f"ended with {code}\n" in screen, screen
        assert " echo " in screen and " icanon " in screen and self.format("cursor_flag") == "1"
        assert self.format("alternate_on") == "0"
        return screen

    def close(self):
        subprocess.run([*self.tmux, "kill-server"], capture_output=True, check=False)
