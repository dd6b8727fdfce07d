# SPDX-License-Identifier: GPL-2.0-or-later
"""`twintrack exporter`: what it serves, to whom, with which rights; and the page in a browser without JavaScript."""

import os
import pwd
import re
import shutil
import signal
import tempfile

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from lab import Lab, wait_for
from programs import program

PORT = 9789


class Exporter:
    def __init__(self, lab, node, *words):
        self.space, self.daemon = lab.fw[node], lab.daemon[node]
        self.process = self.space.popen(program("twintrack"), "--socket", self.daemon.socket, "exporter", *words)
        wait_for(lambda: self.get("/healthz") is not None, what="it listens")

    def get(self, path, *options):
        """(status, headers, body), None when nobody answers."""
        done = self.space.run("curl", "-s", "-i", "--max-time", "20", *options, f"http://127.0.0.1:{PORT}{path}", check=False)
        if done.returncode:
            return None
        head, _, body = done.stdout.replace("\r\n", "\n").partition("\n\n")
        return int(head.split()[1]), head.lower(), body

    def close(self):
        if self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(60) == 0


@pytest.fixture(scope="module")
def pair():
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    with Lab() as lab:
        for path in (lab.directory, *(lab.daemon[node].directory for node in lab.nodes)):
            os.chmod(path, 0o755)
        lab.vip_to(1)
        lab.flowgen(1, "create", "--count", 300)
        lab.start({"fence": {"enable": "yes", "address": "192.168.10.1"}})
        lab.daemon[1].twintrack("primary")
        lab.daemon[2].twintrack("backup")
        wait_for(lambda: lab.daemon[2].peer(1).get("in_sync") and lab.daemon[2].peer(1)["flows"] >= 300, what="in step")
        yield lab


@pytest.fixture(scope="module")
def exporter(pair):
    served = Exporter(pair, 2)
    yield served
    served.close()


def test_metrics_are_openmetrics_with_their_type(exporter):
    status, head, body = exporter.get("/metrics")
    assert status == 200 and "content-type: application/openmetrics-text; version=1.0.0" in head
    assert len(list(text_string_to_metric_families(body))) > 60


def test_who_knows_only_the_older_format_gets_that(exporter):
    older = exporter.get("/metrics", "-H", "Accept: text/plain;version=0.0.4;q=0.5")
    assert older[0] == 200 and "content-type: text/plain; version=0.0.4" in older[1]
    assert "# EOF" not in older[2] and "# TYPE twintrack_build_info gauge" in older[2]
    both = exporter.get("/metrics", "-H", "Accept: application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5")
    assert "openmetrics-text" in both[1] and both[2].endswith("# EOF\n")


def test_healthz_is_what_health_says(exporter):
    status, _, body = exporter.get("/healthz")
    assert status == 200 and body.startswith("backup: ")


def test_the_page_shows_the_pair_without_scripts_and_without_anything_from_elsewhere(exporter):
    wait_for(lambda: exporter.get("/")[2].count("<polyline") >= 2, what="there are samples to plot")
    status, head, body = exporter.get("/")
    assert status == 200 and "default-src 'none'" in head
    for fact in ("SAFE", "This node, 2", "backup", "Peer 1", "primary", "in sync, proven", "sync0", "armed", "300"):
        assert fact in body, fact
    assert "<script" not in body and not re.search(r"(src|href)=\"(?!/metrics)", body)
    assert body.count("<svg") == 5


def test_other_paths_and_methods_are_refused(exporter):
    assert exporter.get("/etc/passwd")[0] == 404
    assert exporter.get("/", "-X", "POST", "-d", "x=1")[0] == 405
    assert exporter.get("/metrics", "-I")[0] == 200
    status = exporter.get("/" + "a" * 60000)
    assert status is None or status[0] >= 400
    assert exporter.get("/healthz")[0] == 200


def test_it_has_no_right_and_listens_on_the_loopback_alone(exporter):
    with open(f"/proc/{exporter.process.pid}/status", encoding="ascii") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    nobody = pwd.getpwnam("nobody")
    assert status["Uid"].split() == [str(nobody.pw_uid)] * 4 and status["Groups"].split() == []
    assert int(status["CapEff"], 16) == 0
    listening = exporter.space.run("ss", "-Hltn").stdout
    assert re.findall(r"(\S+):9789\b", listening) == ["127.0.0.1"]


def test_slow_clients_do_not_hold_up_others(exporter):
    script = (f"import socket, time\nsocks = [socket.create_connection(('127.0.0.1', {PORT})) for _ in range(10)]\n"
              "for s in socks: s.sendall(b'GET / HT')\nprint('ready', flush=True)\ntime.sleep(120)\n")
    slow = exporter.space.popen("/usr/bin/python3", "-c", script, stdout=-1, text=True)
    try:
        assert slow.stdout.readline() == "ready\n"
        assert exporter.get("/healthz")[0] == 200
    finally:
        slow.kill()
        slow.wait()
        slow.stdout.close()


@pytest.mark.parametrize("listen", ["nonsense", "1.2.3.4", "127.0.0.1:99999", "[::1:9789", "host.name:1", ":"])
def test_a_wrong_address_is_a_usage_error(pair, listen):
    done = pair.daemon[1].twintrack("exporter", "--listen", listen, check=False)
    assert done.returncode == 2 and "ADDR:PORT" in done.stderr


def test_an_address_that_is_taken_is_an_error(exporter):
    done = exporter.daemon.twintrack("exporter", "--listen", f"127.0.0.1:{PORT}", check=False)
    assert done.returncode == 1 and "cannot listen" in done.stderr


def test_a_browser_shows_it(exporter):
    """The page has no script that it could run.  The screenshot is kept where TWINTRACK_SCREENSHOT says."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser")
    if not browser:
        pytest.skip("chromium is not installed")
    with tempfile.TemporaryDirectory() as directory:
        picture = os.environ.get("TWINTRACK_SCREENSHOT", os.path.join(directory, "page.png"))
        exporter.space.run(browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={directory}/profile",
                           "--window-size=1060,1000", f"--screenshot={picture}", f"http://127.0.0.1:{PORT}/", timeout=300)
        with open(picture, "rb") as file:
            data = file.read()
    assert data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) > 20000, "not an empty page"


def test_without_a_daemon_it_says_so_in_the_end(pair, exporter):
    pair.daemon[2].kill()
    assert exporter.get("/healthz")[0] == 503 and exporter.get("/metrics")[0] == 503
    status, _, body = exporter.get("/")
    assert status == 503 and "control.sock" in body and exporter.process.poll() is None
    exporter.process.send_signal(signal.SIGTERM)
    assert exporter.process.wait(60) == 0
