# SPDX-License-Identifier: GPL-2.0-or-later
"""Manual pages, completions and help: complete, without mistakes, and their examples run."""
import os
import pathlib
import re
import subprocess

import pytest
from test_pair import insert, pair  # noqa: F401  a fixture
from twintrack_command import PROGRAM, ROOT

CLI = ROOT / "syncd" / "cli"
PAGES = ["twintrack.8", "twintrackd.8", "twintrackd.conf.5"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    prefix = tmp_path_factory.mktemp("install")
    done = subprocess.run(["make", "-s", "install", f"BUILD={os.path.relpath(PROGRAM.parent, ROOT)}", f"PREFIX={prefix}", f"SYSCONFDIR={prefix}/etc"], cwd=ROOT, text=True,
                          capture_output=True, check=False)
    assert done.returncode == 0, done
    return prefix


def plain(page):
    """The page's text as an operator sees it, without line breaks and hyphenation."""
    text = subprocess.run(["groff", "-man", "-Tascii", "-P-cbou", "-rLL=2000n", "-rHY=0", str(page)], text=True, capture_output=True, check=True).stdout
    return re.sub(r"\s+", " ", text)


def page_of(installed, name):
    return installed / "share" / "man" / f"man{name[-1]}" / name


def verbs():
    return re.findall(r'^\t\.name = "([a-z-]+)"', (CLI / "verbs.c").read_text(), re.M)


def long_options():
    sources = "".join((CLI / "conntrack" / name).read_text() for name in ("options.c", "protocols.c"))
    found = set(re.findall(r'^    \{"([a-z-]+)", \w+_argument', sources, re.M)) | set(re.findall(r'FIELD\("([a-z0-9-]+)"', sources))
    assert len(found) > 60
    return sorted(found - {"counter", "nat-range"})  # of old: not advertised


def schema_keys():
    found = re.findall(r'\{SECTION_([A-Z]+), "([a-z-]+)"', (ROOT / "conf" / "schema.c").read_text())
    return sorted({(section.lower(), key) for section, key in found})


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_mistakes(installed, name):
    done = subprocess.run(["groff", "-man", "-ww", "-z", str(page_of(installed, name))], text=True, capture_output=True, check=False)
    assert done.returncode == 0 and done.stderr == ""
    assert "@" not in page_of(installed, name).read_text()


def test_the_page_names_every_verb_and_every_option(installed):
    text = plain(page_of(installed, "twintrack.8"))
    for verb in verbs():
        assert re.search(rf"(^| |,){verb}[ ,]", text), verb
        shown = subprocess.run([PROGRAM, verb, "--help"], text=True, capture_output=True, check=True).stdout
        for option in re.findall(r"^ *(--[a-z-]+)", shown, re.M):
            assert option == "--help" or option in text, (verb, option)
    missing = [option for option in long_options() if f"--{option}" not in text and not re.match(r"(mask|tuple)-key", option)]
    assert not missing


def test_each_verb_explains_itself():
    for verb in verbs():
        shown = subprocess.run([PROGRAM, verb, "--help"], text=True, capture_output=True, check=True)
        assert verb in shown.stdout and len(shown.stdout.splitlines()) >= 3 and shown.stderr == ""


def test_the_page_of_the_configuration_names_every_key(installed):
    page = page_of(installed, "twintrackd.conf.5").read_text().replace("\\-", "-")
    parts = dict(re.findall(r"^\.SS \[(\w+)[^]]*\]\n(.*?)(?=^\.S[SH])", page, re.M | re.S))
    keys = schema_keys()
    assert len(keys) > 20
    for section, key in keys:
        assert re.search(rf"^\.B {key} = ", parts[section], re.M) or re.search(rf"Not supported[^.]*\b{key}\b", parts[section]), (section, key)


def examples(installed):
    page = page_of(installed, "twintrack.8").read_text()
    blocks = re.findall(r"^\.EX\n(.*?)^\.EE", page[page.index(".SH EXAMPLES"):], re.M | re.S)
    return [block.replace("\\-", "-").replace("\\(aq", "'") for block in blocks]


@pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
def test_the_examples_of_the_page_run(installed, pair, tmp_path):  # noqa: F811
    active, standby = pair
    standby("backup"), active("primary")
    insert(active, 3)
    standby("wait-synced", "--timeout", "30s")
    blocks = examples(installed)
    assert len(blocks) >= 8
    for block in blocks:
        if "health --strict" in block:
            block = block.replace("twintrack health", "twintrack wait-synced && twintrack health")
        command = f"cd {tmp_path}; set -e -o pipefail; export TWINTRACK_SOCKET={active.socket} PATH={installed}/bin:$PATH\n{block}"
        done = active.run("bash", "-c", command)
        assert done.returncode == 0, (block, done, active.log.read_text())


def completion(shell_text, words):
    script = f"{shell_text}\nCOMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _twintrack; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    return subprocess.run(["bash", "-c", script], text=True, capture_output=True, check=True).stdout.split()


def test_bash_completes_what_there_is(installed):
    text = (installed / "share/bash-completion/completions/twintrack").read_text()
    assert completion(text, ["twintrack", "''"]) == verbs()
    offered = set()
    for protocol in ("tcp", "udp", "sctp", "dccp", "icmp", "icmpv6", "gre"):
        offered |= set(completion(text, ["twintrack", "-L", "-p", protocol, "--"]))
    assert offered == {f"--{option}" for option in [*long_options(), "load-file"]}
    for verb in verbs():
        shown = subprocess.run([PROGRAM, verb, "--help"], text=True, capture_output=True, check=True).stdout
        assert set(re.findall(r"^ *(--[a-z-]+)", shown, re.M)) <= set(completion(text, ["twintrack", verb, "--"])) | {"--help"}, verb
    assert "external" in completion(text, ["twintrack", "-L", "''"]) and completion(text, ["twintrack", "-L", "-o", "js"]) == ["json"]


def test_zsh_completes_the_same_words(installed):
    path = installed / "share/zsh/site-functions/_twintrack"
    assert subprocess.run(["zsh", "-n", str(path)], check=False).returncode == 0
    ours = path.read_text().rsplit("_twintrack \"$@\"", 1)[0]

    def offered(*words):
        script = "compadd() { shift; print -l -- $@ }\n" + f"words=({' '.join(words)}); CURRENT=${{#words}}\n{ours}\n_twintrack"
        return set(subprocess.run(["zsh", "-f", "-c", script], text=True, capture_output=True, check=True).stdout.split())

    assert offered("twintrack", "''") == set(verbs())
    assert offered("twintrack", "flush", "''") == {"internal", "external", "kernel", "--json", "--help"}
    bash = (installed / "share/bash-completion/completions/twintrack").read_text()
    for protocol in ("tcp", "udp", "sctp", "dccp", "icmp", "icmpv6", "gre"):
        assert offered("twintrack", "-L", "-p", protocol, "--") == set(completion(bash, ["twintrack", "-L", "-p", protocol, "--"]))


def test_what_is_installed_lies_where_it_is_looked_for(installed):
    for name in PAGES:
        assert page_of(installed, name).exists()
    assert pathlib.Path(installed, "bin/twintrack").exists()
