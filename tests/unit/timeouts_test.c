/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/kernel/timeouts.h"
#include "tests/unit/kernel_netns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool has_netns;

static void set_sysctl(const char *name, unsigned value)
{
	kernel_netns_run("echo %u > /proc/sys/net/netfilter/nf_conntrack_%s", value, name);
}

static struct flow flow_of(uint8_t protocol, uint32_t status)
{
	return (struct flow){.present = FLOW_HAS_STATUS | FLOW_HAS_TIMEOUT,
			     .family = FLOW_IPV4,
			     .protocol = protocol,
			     .status = status};
}

static uint32_t default_of(uint8_t protocol, uint32_t status)
{
	struct timeouts *timeouts = timeouts_read();
	struct flow flow = flow_of(protocol, status);
	uint32_t timeout_s = timeouts_default_s(timeouts, &flow);

	timeouts_free(timeouts);
	return timeout_s;
}

static uint32_t default_of_tcp(uint8_t tcp_state)
{
	struct timeouts *timeouts = timeouts_read();
	struct flow flow = flow_of(PROTOCOL_TCP, 0);
	uint32_t timeout_s;

	flow.present |= FLOW_HAS_TCP;
	flow.tcp.state = tcp_state;
	timeout_s = timeouts_default_s(timeouts, &flow);
	timeouts_free(timeouts);
	return timeout_s;
}

static void each_default_is_this_namespaces_sysctl(void **state)
{
	const struct {
		const char *name;
		uint8_t tcp_state;
	} tcp[] = {
	    {"tcp_timeout_syn_sent", FLOW_TCP_SYN_SENT},
	    {"tcp_timeout_syn_recv", FLOW_TCP_SYN_RECV},
	    {"tcp_timeout_fin_wait", FLOW_TCP_FIN_WAIT},
	    {"tcp_timeout_established", FLOW_TCP_ESTABLISHED},
	    {"tcp_timeout_close_wait", FLOW_TCP_CLOSE_WAIT},
	    {"tcp_timeout_last_ack", FLOW_TCP_LAST_ACK},
	    {"tcp_timeout_time_wait", FLOW_TCP_TIME_WAIT},
	    {"tcp_timeout_close", FLOW_TCP_CLOSE},
	};
	const struct {
		const char *name;
		uint8_t protocol;
		uint32_t status;
	} others[] = {
	    {"udp_timeout", PROTOCOL_UDP, FLOW_STATUS_SEEN_REPLY},
	    {"udp_timeout_stream", PROTOCOL_UDP, FLOW_STATUS_SEEN_REPLY | FLOW_STATUS_ASSURED},
	    {"icmp_timeout", PROTOCOL_ICMP, 0},
	    {"icmpv6_timeout", PROTOCOL_ICMPV6, 0},
	    {"gre_timeout", PROTOCOL_GRE, 0},
	    {"gre_timeout_stream", PROTOCOL_GRE, FLOW_STATUS_SEEN_REPLY},
	    {"generic_timeout", 253, 0},
	};

	(void)state;
	if (!has_netns)
		skip();
	for (unsigned i = 0; i < sizeof(tcp) / sizeof(tcp[0]); i++) {
		set_sysctl(tcp[i].name, 1000 + i);
		assert_int_equal(default_of_tcp(tcp[i].tcp_state), 1000 + i);
	}
	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		set_sysctl(others[i].name, 2000 + i);
		assert_int_equal(default_of(others[i].protocol, others[i].status), 2000 + i);
	}
}

static void an_offloaded_flow_counts_as_established(void **state)
{
	(void)state;
	if (!has_netns)
		skip();
	set_sysctl("tcp_timeout_established", 86400);
	set_sysctl("udp_timeout_stream", 180);
	assert_int_equal(default_of(PROTOCOL_TCP, FLOW_STATUS_OFFLOAD), 86400);
	assert_int_equal(default_of(PROTOCOL_TCP, FLOW_STATUS_HW_OFFLOAD), 86400);
	assert_int_equal(default_of(PROTOCOL_UDP, FLOW_STATUS_OFFLOAD), 180);
}

static void sctp_and_dccp_states_have_their_own(void **state)
{
	struct timeouts *timeouts = timeouts_read();
	struct flow sctp = flow_of(PROTOCOL_SCTP, 0), dccp = flow_of(PROTOCOL_DCCP, 0);

	(void)state;
	sctp.present |= FLOW_HAS_SCTP;
	sctp.sctp.state = 4;
	assert_true(timeouts_default_s(timeouts, &sctp) >= 210);
	sctp.sctp.state = 200; /* none that we know */
	assert_int_equal(timeouts_default_s(timeouts, &sctp), 0);
	dccp.present |= FLOW_HAS_DCCP;
	dccp.dccp.state = 4;
	assert_true(timeouts_default_s(timeouts, &dccp) >= 43200);
	timeouts_free(timeouts);
}

static void a_commit_gets_the_larger_less_what_elapsed(void **state)
{
	struct timeouts *timeouts = timeouts_read();
	struct flow flow = flow_of(PROTOCOL_UDP, FLOW_STATUS_ASSURED);
	uint32_t stream_s = timeouts_default_s(timeouts, &flow);

	(void)state;
	flow.timeout_s = 1;
	assert_int_equal(timeouts_commit_s(timeouts, &flow, 0), stream_s);
	assert_int_equal(timeouts_commit_s(timeouts, &flow, 20), stream_s - 20);
	assert_int_equal(timeouts_commit_s(timeouts, &flow, stream_s), 0);
	assert_int_equal(timeouts_commit_s(timeouts, &flow, UINT32_MAX), 0);
	flow.timeout_s = stream_s + 1000;
	assert_int_equal(timeouts_commit_s(timeouts, &flow, 20), stream_s + 980);
	flow.timeout_s = 5;
	flow.status |= FLOW_STATUS_FIXED_TIMEOUT;
	assert_int_equal(timeouts_commit_s(timeouts, &flow, 2), 3);
	timeouts_free(timeouts);
}

static void limits_are_read(void **state)
{
	(void)state;
	if (!has_netns)
		skip();
	assert_true(limit_read(LIMIT_MAX) > 0);
	assert_true(limit_read(LIMIT_BUCKETS) > 0);
	set_sysctl("events", 1);
	assert_int_equal(limit_read(LIMIT_EVENTS), 1);
}

static void limits_that_are_kept_open_are_read_anew(void **state)
{
	struct limits limits;

	(void)state;
	if (!has_netns)
		skip();
	limits_open(&limits);
	assert_int_equal(limits_read(&limits, LIMIT_MAX), limit_read(LIMIT_MAX));
	assert_int_equal(limits_read(&limits, LIMIT_BUCKETS), limit_read(LIMIT_BUCKETS));
	for (unsigned value = 0; value < 3; value++) {
		set_sysctl("events", value);
		assert_int_equal(limits_read(&limits, LIMIT_EVENTS), value);
	}
	limits_close(&limits);
	/* what was not there at first */
	assert_int_equal(limits_read(&limits, LIMIT_EVENTS), 2);
	limits_close(&limits);
}

static int set_up(void **state)
{
	(void)state;
	has_netns = kernel_netns_enter();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(each_default_is_this_namespaces_sysctl),
	    cmocka_unit_test(an_offloaded_flow_counts_as_established),
	    cmocka_unit_test(sctp_and_dccp_states_have_their_own),
	    cmocka_unit_test(a_commit_gets_the_larger_less_what_elapsed),
	    cmocka_unit_test(limits_are_read),
	    cmocka_unit_test(limits_that_are_kept_open_are_read_anew),
	};

	return cmocka_run_group_tests_name("timeouts", tests, set_up, NULL);
}
