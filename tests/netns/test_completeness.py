# SPDX-License-Identifier: GPL-2.0-or-later
"""Nothing of the interface is without a test: every key of the schema, every verb, exit code and field of status.

The maps say which test shows what.  Who adds a key, a verb or a field adds its test here, or this fails.
"""

import glob
import os
import re

from lab import wait_for
from programs import ROOT

HERE = os.path.dirname(os.path.abspath(__file__))

KEYS = {
    "node.id": "test_id_names_the_node_in_status_and_on_the_wire",
    "node.mode": "test_mode_says_whether_two_primaries_are_a_split_brain",
    "sync.key-file": "test_a_node_with_another_key_changes_nothing_and_is_named",
    "sync.accept-key-file": "test_keys_roll_over_without_losing_sync",
    "sync.cipher": "test_cipher_is_named_on_the_wire",
    "sync.heartbeat": "test_heartbeat_is_the_rate_of_an_idle_node",
    "sync.peer-timeout": "test_peer_timeout_is_how_long_a_silent_peer_counts_as_alive",
    "link.group": "test_group_and_port_are_where_it_listens_and_sends",
    "link.peer": "test_peer_sends_to_that_node_alone_and_address_is_sent_from",
    "link.port": "test_group_and_port_are_where_it_listens_and_sends",
    "link.address": "test_peer_sends_to_that_node_alone_and_address_is_sent_from",
    "link.mtu": "test_mtu_bounds_a_datagram",
    "link.send-buffer": "test_the_buffers_are_the_sockets_buffers",
    "link.receive-buffer": "test_the_buffers_are_the_sockets_buffers",
    "kernel.event-buffer": "test_the_buffers_are_the_sockets_buffers",
    "kernel.event-buffer-max": "test_event_buffer_max_is_how_far_the_buffer_grows",
    "kernel.audit-interval": "test_audit_interval_is_when_silent_changes_are_found",
    "table.max-flows": "test_max_flows_refuses_what_is_beyond",
    "filter.ignore-local": "test_ignore_local_leaves_out_the_host_s_own_flows",
    "filter.protocols": "test_each_filter_holds_for_what_was_there_and_for_what_comes",
    "filter.ignore-protocols": "test_each_filter_holds_for_what_was_there_and_for_what_comes",
    "filter.accept-address": "test_each_filter_holds_for_what_was_there_and_for_what_comes",
    "filter.ignore-address": "test_each_filter_holds_for_what_was_there_and_for_what_comes",
    "filter.tcp-states": "test_each_filter_holds_for_what_was_there_and_for_what_comes",
    "filter.ignore-tcp-states": "test_each_filter_holds_for_what_was_there_and_for_what_comes",
    "filter.accept-zone": "test_each_filter_holds_for_what_was_there_and_for_what_comes",
    "filter.ignore-zone": "test_each_filter_holds_for_what_was_there_and_for_what_comes",
    "filter.accept-mark": "test_each_filter_holds_for_what_was_there_and_for_what_comes",
    "filter.ignore-mark": "test_each_filter_holds_for_what_was_there_and_for_what_comes",
    "expect.helpers": "test_a_wrong_configuration_is_named_by_line_key_and_what_is_allowed",
    "commit.mode": "test_it_is_turned_on_and_off_by_a_reload",
    "commit.timeout": "test_commit_timeout_is_that_of_committed_flows",
    "commit.tcp-window": "test_a_wrong_configuration_is_named_by_line_key_and_what_is_allowed",
    "fence.enable": "test_without_a_fence_status_and_health_say_what_a_takeover_may_do",
    "fence.timeout": "test_a_hung_daemon_opens_it_within_its_timeout",
    "fence.max-wait": "test_it_gives_up_when_nobody_calls_primary",
    "fence.address": "test_an_address_on_reload_is_fenced",
    "fence.accept-interface": "test_accept_interface_is_never_held_back",
    "control.socket": "test_an_occupied_socket_is_named_and_left_alone",
    "control.group": "test_members_of_the_group_may_change",
    "control.reader-group": "test_readers_are_whom_the_configuration_names",
    "process.user": "test_it_becomes_another_user_with_one_capability",
    "process.sandbox": "test_without_the_sandbox_it_keeps_its_rights",
    "process.scheduler": "test_scheduler_is_the_process_s",
    "log.level": "test_level_is_the_least_that_is_logged",
    "log.target": "test_target_is_where_it_logs",
}

DONE, NO, USAGE, NONE = ("test_done_is_0", "test_failed_or_no_is_1", "test_a_wrong_command_line_is_2", "test_no_daemon_is_3")
REFUSED, FULL = "test_what_one_may_not_do_is_1", "test_a_full_kernel_table_is_1_and_the_role_is_taken"
LOCAL = "test_the_verbs_without_a_daemon_have_theirs"
ROLE_KEPT = "test_a_role_asked_for_without_a_daemon_is_taken_at_its_start"
UNHEALTHY = "test_a_backup_is_unhealthy_only_while_a_live_primary_is_unproven"

VERBS = {  # exit code -> test; a code that a verb cannot have is left out
    "status": {0: DONE, 2: USAGE, 3: NONE},
    "top": {0: "test_a_pair_is_shown_live", 2: "test_without_a_terminal_it_says_that_it_needs_one", 3: "test_once_without_a_daemon_is_3"},
    "primary": {0: DONE, 1: FULL, 2: USAGE, 3: ROLE_KEPT},
    "backup": {0: "test_closed_while_backup_and_open_for_a_primary", 1: REFUSED, 2: USAGE, 3: ROLE_KEPT},
    "fault": {0: "test_closed_while_backup_and_open_for_a_primary", 1: REFUSED, 2: USAGE, 3: ROLE_KEPT},
    "commit": {0: DONE, 1: REFUSED, 2: USAGE, 3: NONE},
    "resync": {0: DONE, 1: NO, 2: USAGE, 3: NONE},
    "flush": {0: DONE, 1: REFUSED, 2: USAGE, 3: NONE},
    "reload": {0: DONE, 1: "test_a_bad_reload_leaves_the_running_configuration", 2: USAGE, 3: NONE},
    "health": {0: DONE, 1: UNHEALTHY, 2: USAGE, 3: NONE},
    "wait-synced": {0: DONE, 1: NO, 2: USAGE, 3: NONE},
    "verify": {0: DONE, 1: "test_audit_interval_is_when_silent_changes_are_found", 2: USAGE, 3: NONE},
    "metrics": {0: DONE, 1: "test_readers_are_whom_the_configuration_names", 2: USAGE, 3: NONE},
    "exporter": {0: "test_without_a_daemon_it_says_so_in_the_end", 1: "test_an_address_that_is_taken_is_an_error",
                 2: "test_a_wrong_address_is_a_usage_error"},
    "genkey": {0: LOCAL, 1: LOCAL, 2: USAGE},
    "check-config": {0: LOCAL, 2: LOCAL},
    "import-config": {0: LOCAL, 2: LOCAL},
    "version": {0: LOCAL, 2: USAGE},
}


def read(*path):
    with open(os.path.join(ROOT, *path), encoding="utf-8") as file:
        return file.read()


def all_tests():
    """The names of every test function of the namespace tests, and their whole text."""
    text = "".join(read(path) for path in glob.glob(os.path.join(HERE, "test_*.py")) if path != __file__)
    return set(re.findall(r"^def (test_\w+)", text, re.M)), text


def test_every_key_has_a_test():
    found = re.findall(r"\{SECTION_(\w+), \"([\w-]+)\"", read("conf", "schema.c"))
    keys = {f"{section.lower()}.{key}" for section, key in found}
    assert len(keys) > 30 and keys == set(KEYS)
    assert set(KEYS.values()) <= all_tests()[0]


def test_every_verb_and_exit_code_has_a_test():
    verbs = set(re.findall(r"\.name = \"([\w-]+)\"", read("syncd", "cli", "verbs.c")))
    assert len(verbs) > 10 and verbs == set(VERBS)
    assert {test for codes in VERBS.values() for test in codes.values()} <= all_tests()[0]


def leaves(value, name=""):
    """The names of all plain values in a JSON value."""
    if isinstance(value, dict):
        return set().union(*(leaves(inner, key) for key, inner in value.items()))
    if isinstance(value, list):
        return set().union({name}, *(leaves(inner, name) for inner in value))
    return {name}


def test_every_field_of_status_is_asserted_by_a_test(lab):
    lab.start(overrides={"fence": {"enable": "yes"}})
    lab.daemon[1].twintrack("backup")
    wait_for(lambda: lab.daemon[1].peer(2).get("in_sync"), what="both are in step")
    status = lab.daemon[1].status()
    names = leaves(status) - set(status["drops"])
    text = all_tests()[1] + read("tests", "cli", "test_status.py")
    assert len(names) > 80
    missing = {name for name in names if f'["{name}"]' not in text and f'get("{name}")' not in text}
    assert not missing


def test_every_cause_of_a_drop_is_provoked_or_pure(lab):
    """Those that need an attacker with the key, or more nodes than a lab has, are the unit tests'."""
    drops = set(lab.daemon[1].start().status()["drops"])
    text = all_tests()[1]
    missing = {cause for cause in drops if f'"{cause}"' not in text}
    assert missing <= {"malformed", "too-many-nodes", "misdirected", "no-memory"}
