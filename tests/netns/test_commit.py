# SPDX-License-Identifier: GPL-2.0-or-later
"""What a takeover could not bring as it was is said in words; one that was interrupted ends where a whole one does."""

import threading

from flows import all_proven, internal_count, start_pair
from lab import RULESET, LabError, wait_for
from programs import tool
from roles import FENCE, wait_settled

LABELS = RULESET.replace("\n\tchain forward {", """
	chain labels {
		type filter hook output priority filter; ip daddr 255.255.255.254 ct label set 100;
	}
	chain forward {""", 1)
# the first flow that tools/shapes makes
FIRST = "-s 10.0.0.0 -d 10.8.0.1 --sport 1000 --dport 443".split()
MANY = 60000


def test_what_is_left_out_or_lost_is_said_in_words(make_lab):
    lab = make_lab(ruleset=LABELS)
    lab.vip_to(1)
    start_pair(lab)
    made = tool(lab.fw[1], "shapes", "create")
    wait_for(lambda: internal_count(lab, 1) >= made["created"] and all_proven(lab), 60, "all flows are at the peer")
    lab.fw[2].nft("delete chain inet lab labels")
    lab.fw[2].run("conntrack", "-I", "-p", "tcp", *FIRST, "--src-nat", "10.77.0.1", "--state", "ESTABLISHED", "-u",
                  "ASSURED,SEEN_REPLY", "-t", "6000")
    lab.power_cut(1)
    said = lab.daemon[2].twintrack("primary").stdout
    words = " ".join(said.split())
    assert "1 left out: a flow that is in use here has one of their tuples, with another NAT: " \
           "tcp 10.0.0.0:1000 -> 10.8.0.1:443" in words, said
    assert "brought without their labels, for which no rule here makes room: " in words, said
    assert "more" in words, "only the first few are named"
    assert "dst=10.77.0.1" in lab.fw[2].run("conntrack", "-L", "-p", "tcp", *FIRST).stdout, "and it stays"


def test_an_interrupted_takeover_ends_where_a_whole_one_does(lab):
    """kill -9 in the middle of the commit; the wanted role is kept, and the next daemon goes on."""
    start_pair(lab, FENCE)
    lab.flowgen(1, "create", "--count", MANY)
    flows = wait_settled(lab, 1)

    def ask():
        try:
            lab.daemon[2].twintrack("primary", check=False)
        except LabError:
            pass  # its daemon is gone

    asking = threading.Thread(target=ask)
    asking.start()
    wait_for(lambda: lab.flow_count(2) > 1000, 60, "the commit has begun", interval=0)
    lab.daemon[2].kill()
    asking.join()
    lab.daemon[1].twintrack("backup")
    lab.daemon[2].start()
    wait_for(lambda: lab.daemon[2].status()["role"] == "primary", 60, "it goes on by itself")
    assert wait_settled(lab, 2, timeout=120) >= flows
