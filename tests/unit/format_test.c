/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The golden lines were printed by conntrack(8) 1.4.7 and its library.  The command's modules are in no
 * library, so this test includes the ones that it is about.
 */
#include "syncd/cli/conntrack/format_default.c"
#include "syncd/cli/conntrack/output.c"

#include <arpa/inet.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct output output;

static void expect_line(const struct flow *flow, const char *line)
{
	struct format_dump dump = {.output = &output, .now_s = 1600000100};

	output_start(&output, -1);
	format_default.flow(&dump, flow);
	output.bytes[output.used] = 0;
	assert_string_equal(output.bytes, line);
}

static struct flow_tuple tuple(const char *src, const char *dst, uint16_t sport, uint16_t dport)
{
	struct flow_tuple t = {.sport = sport, .dport = dport};
	int family = strchr(src, ':') ? AF_INET6 : AF_INET;

	assert_int_equal(inet_pton(family, src, t.src), 1);
	assert_int_equal(inet_pton(family, dst, t.dst), 1);
	return t;
}

static struct flow tcp_flow(void)
{
	return (struct flow){
	    .present = FLOW_HAS_REPLY | FLOW_HAS_STATUS | FLOW_HAS_TIMEOUT | FLOW_HAS_MARK | FLOW_HAS_TCP |
		       FLOW_HAS_USE,
	    .family = FLOW_IPV4,
	    .protocol = PROTOCOL_TCP,
	    .orig = tuple("1.2.3.4", "5.6.7.8", 1000, 2000),
	    .reply = tuple("5.6.7.8", "1.2.3.4", 2000, 1000),
	    .status = FLOW_STATUS_SEEN_REPLY | FLOW_STATUS_ASSURED,
	    .timeout_s = 431999,
	    .tcp.state = FLOW_TCP_ESTABLISHED,
	    .use = 1,
	};
}

static void an_established_connection_is_one_line(void **state)
{
	struct flow flow = tcp_flow();

	(void)state;
	expect_line(&flow,
		    "tcp      6 431999 ESTABLISHED src=1.2.3.4 dst=5.6.7.8 sport=1000 dport=2000 src=5.6.7.8 "
		    "dst=1.2.3.4 sport=2000 dport=1000 [ASSURED] mark=0 use=1\n");
	flow.present &= ~(uint32_t)(FLOW_HAS_USE | FLOW_HAS_MARK);
	flow.status = 0;
	expect_line(&flow,
		    "tcp      6 431999 ESTABLISHED src=1.2.3.4 dst=5.6.7.8 sport=1000 dport=2000 [UNREPLIED] "
		    "src=5.6.7.8 dst=1.2.3.4 sport=2000 dport=1000\n");
}

static void everything_stands_in_its_place(void **state)
{
	struct flow flow = tcp_flow();

	(void)state;
	flow.present |=
	    FLOW_HAS_COUNTERS | FLOW_HAS_REPLY_ZONE | FLOW_HAS_SECCTX | FLOW_HAS_TIMESTAMP | FLOW_HAS_HELPER;
	flow.mark = UINT32_MAX;
	flow.zone = 8;
	flow.zone_scope = FLOW_ZONE_ORIGINAL;
	flow.reply_zone = 9;
	flow.counters[0].packets = 1;
	flow.counters[0].bytes = UINT64_MAX;
	flow.counters[1].packets = 3;
	flow.counters[1].bytes = 4;
	flow.timestamp_start_ns = 1600000000999999999;
	strcpy(flow.secctx, "sys:x:y");
	strcpy(flow.helper, "ftp");
	expect_line(&flow,
		    "tcp      6 431999 ESTABLISHED src=1.2.3.4 dst=5.6.7.8 sport=1000 dport=2000 zone-orig=8 "
		    "packets=1 bytes=18446744073709551615 src=5.6.7.8 dst=1.2.3.4 sport=2000 dport=1000 "
		    "zone-reply=9 packets=3 bytes=4 [ASSURED] mark=4294967295 secctx=sys:x:y delta-time=100 "
		    "helper=ftp use=1\n");
	flow.zone_scope = FLOW_ZONE_BOTH;
	flow.present = FLOW_HAS_STATUS | FLOW_HAS_MARK | FLOW_HAS_USE;
	flow.status = FLOW_STATUS_OFFLOAD | FLOW_STATUS_ASSURED | FLOW_STATUS_SEEN_REPLY;
	expect_line(
	    &flow,
	    "tcp      6 src=1.2.3.4 dst=5.6.7.8 sport=1000 dport=2000 [OFFLOAD] mark=4294967295 zone=8 use=1\n");
	flow.status |= FLOW_STATUS_HW_OFFLOAD;
	expect_line(
	    &flow,
	    "tcp      6 src=1.2.3.4 dst=5.6.7.8 sport=1000 dport=2000 [HW_OFFLOAD] mark=4294967295 zone=8 use=1\n");
}

static void each_protocol_has_its_own_fields(void **state)
{
	struct flow flow = tcp_flow();

	(void)state;
	flow.present = FLOW_HAS_REPLY;
	flow.protocol = PROTOCOL_UDPLITE;
	expect_line(&flow,
		    "udplite  136 src=1.2.3.4 dst=5.6.7.8 sport=1000 dport=2000 src=5.6.7.8 dst=1.2.3.4 "
		    "sport=2000 dport=1000\n");
	flow.protocol = PROTOCOL_GRE;
	expect_line(&flow,
		    "gre      47 src=1.2.3.4 dst=5.6.7.8 srckey=0x3e8 dstkey=0x7d0 src=5.6.7.8 dst=1.2.3.4 "
		    "srckey=0x7d0 dstkey=0x3e8\n");
	flow.protocol = 253;
	expect_line(&flow, "unknown  253 src=1.2.3.4 dst=5.6.7.8 src=5.6.7.8 dst=1.2.3.4\n");
	flow.protocol = 0;
	expect_line(&flow, "unknown  0 src=1.2.3.4 dst=5.6.7.8 src=5.6.7.8 dst=1.2.3.4\n");
	flow.protocol = PROTOCOL_ICMPV6;
	flow.family = FLOW_IPV6;
	flow.orig = tuple("::ffff:1.2.3.4", "2001:db8::1:0:0:1", 0, 0);
	flow.orig.icmp_type = 128;
	flow.orig.icmp_code = 1;
	flow.orig.icmp_id = 99;
	flow.reply = tuple("::1.2.3.4", "1:2:3:0:5:6:7:8", 0, 0);
	flow.reply.icmp_type = 129;
	flow.reply.icmp_code = 1;
	flow.reply.icmp_id = 99;
	expect_line(
	    &flow, "icmpv6   58 src=::ffff:1.2.3.4 dst=2001:db8::1:0:0:1 type=128 code=1 id=99 src=::1.2.3.4 "
		   "dst=1:2:3:0:5:6:7:8 type=129 code=1 id=99\n");
	flow = tcp_flow();
	flow.protocol = PROTOCOL_SCTP;
	flow.present = FLOW_HAS_SCTP;
	flow.sctp.state = 7;
	expect_line(&flow, "sctp     132 SHUTDOWN_ACK_SENT src=1.2.3.4 dst=5.6.7.8 sport=1000 dport=2000\n");
	flow.protocol = PROTOCOL_DCCP;
	flow.present = FLOW_HAS_DCCP;
	flow.dccp.state = 3;
	expect_line(&flow, "dccp     33 PARTOPEN src=1.2.3.4 dst=5.6.7.8 sport=1000 dport=2000\n");
}

static void a_state_that_nobody_knows_is_none(void **state)
{
	struct flow flow = tcp_flow();

	(void)state;
	flow.present = FLOW_HAS_TCP;
	flow.tcp.state = FLOW_TCP_SYN_SENT2;
	expect_line(&flow, "tcp      6 SYN_SENT2 src=1.2.3.4 dst=5.6.7.8 sport=1000 dport=2000\n");
	flow.tcp.state = 255;
	expect_line(&flow, "tcp      6 NONE src=1.2.3.4 dst=5.6.7.8 sport=1000 dport=2000\n");
}

static void a_string_from_elsewhere_moves_no_cursor(void **state)
{
	struct flow flow = tcp_flow();

	(void)state;
	flow.present = FLOW_HAS_HELPER | FLOW_HAS_SECCTX;
	memcpy(flow.helper, "\033[2J", 5);
	memset(flow.secctx, 'x', sizeof(flow.secctx)); /* not terminated */
	expect_line(&flow,
		    "tcp      6 src=1.2.3.4 dst=5.6.7.8 sport=1000 dport=2000 "
		    "secctx=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx helper=?[2J\n");
}

static void numbers_are_printed_as_printf_does(void **state)
{
	char ours[32], theirs[32];

	(void)state;
	for (int i = 0; i < 64; i++) {
		for (int d = -2; d <= 2; d++) {
			uint64_t value = ((uint64_t)1 << i) + (uint64_t)(int64_t)d;

			*put_u64(ours, value) = 0;
			snprintf(theirs, sizeof(theirs), "%" PRIu64, value);
			assert_string_equal(ours, theirs);
			*put_hex(ours, (uint32_t)value) = 0;
			snprintf(theirs, sizeof(theirs), "%" PRIx32, (uint32_t)value);
			assert_string_equal(ours, theirs);
		}
	}
	for (uint64_t power = 1; power < UINT64_MAX / 10; power *= 10) {
		*put_u64(ours, power - 1) = 0;
		snprintf(theirs, sizeof(theirs), "%" PRIu64, power - 1);
		assert_string_equal(ours, theirs);
	}
}

/* Each pattern of zero groups, with random others, and the dotted forms. */
static void addresses_are_printed_as_inet_ntop_does(void **state)
{
	char ours[64], theirs[64];
	uint8_t address[16];

	(void)state;
	srandom(1);
	for (unsigned round = 0; round < 256 * 40; round++) {
		for (unsigned i = 0; i < 16; i++)
			address[i] = (uint8_t)(random() >> (random() % 20));
		for (unsigned i = 0; i < 16; i++)
			if (!(round >> (i / 2) & 1))
				address[i] = 0;
		if (round % 5 == 0)
			address[10] = address[11] = 0xff;
		if (round % 7 == 0)
			address[14] = 0;
		*put_ipv6(ours, address) = 0;
		assert_non_null(inet_ntop(AF_INET6, address, theirs, sizeof(theirs)));
		assert_string_equal(ours, theirs);
		*put_ipv4(ours, address) = 0;
		assert_non_null(inet_ntop(AF_INET, address, theirs, sizeof(theirs)));
		assert_string_equal(ours, theirs);
	}
}

static void the_longest_line_fits_the_room(void **state)
{
	struct flow flow = {.present = UINT32_MAX, .family = FLOW_IPV6, .protocol = PROTOCOL_SCTP};
	char *start;

	(void)state;
	memset(&flow.orig, 0xff, sizeof(flow.orig));
	memset(&flow.reply, 0xff, sizeof(flow.reply));
	memset(flow.counters, 0xff, sizeof(flow.counters));
	memset(flow.secctx, 'x', sizeof(flow.secctx));
	memset(flow.helper, 'x', sizeof(flow.helper));
	flow.timeout_s = flow.mark = flow.use = UINT32_MAX;
	flow.zone = flow.reply_zone = UINT16_MAX;
	flow.timestamp_start_ns = 1700000000000000000; /* after "now": the difference wraps to 20 digits */
	flow.sctp.state = 7;
	output_start(&output, -1);
	start = output_room(&output);
	format_default.flow(&(struct format_dump){.output = &output, .now_s = 1600000000}, &flow);
	assert_true(output.bytes + output.used - start < 1024);
}

static void what_cannot_be_written_is_reported(void **state)
{
	(void)state;
	output_start(&output, -1);
	output_commit(&output, put_text(output_room(&output), "lost"));
	assert_int_equal(output_flush(&output), -EBADF);
	assert_int_equal(output_flush(&output), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_established_connection_is_one_line),
	    cmocka_unit_test(everything_stands_in_its_place),
	    cmocka_unit_test(each_protocol_has_its_own_fields),
	    cmocka_unit_test(a_state_that_nobody_knows_is_none),
	    cmocka_unit_test(a_string_from_elsewhere_moves_no_cursor),
	    cmocka_unit_test(numbers_are_printed_as_printf_does),
	    cmocka_unit_test(addresses_are_printed_as_inet_ntop_does),
	    cmocka_unit_test(the_longest_line_fits_the_room),
	    cmocka_unit_test(what_cannot_be_written_is_reported),
	};

	return cmocka_run_group_tests_name("format", tests, NULL, NULL);
}
