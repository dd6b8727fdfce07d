/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "proto/flow.h"
#include "tests/unit/random_flow.h"

static void a_mirror_swaps_addresses_and_ports(void **state)
{
	struct flow flow = plain_flow(3);
	struct flow_tuple mirror = flow_tuple_mirror(&flow.orig, PROTOCOL_TCP);

	(void)state;
	assert_memory_equal(mirror.src, flow.orig.dst, 16);
	assert_memory_equal(mirror.dst, flow.orig.src, 16);
	assert_int_equal(mirror.sport, flow.orig.dport);
	assert_int_equal(mirror.dport, flow.orig.sport);
}

static void an_icmp_mirror_has_the_answer_s_type_and_the_same_id(void **state)
{
	static const struct {
		uint8_t protocol, type, answer;
	} cases[] = {
	    {PROTOCOL_ICMP, 8, 0},       {PROTOCOL_ICMP, 0, 8},       {PROTOCOL_ICMP, 13, 14},
	    {PROTOCOL_ICMP, 14, 13},     {PROTOCOL_ICMP, 15, 16},     {PROTOCOL_ICMP, 17, 18},
	    {PROTOCOL_ICMP, 3, 3},       {PROTOCOL_ICMPV6, 128, 129}, {PROTOCOL_ICMPV6, 129, 128},
	    {PROTOCOL_ICMPV6, 139, 140}, {PROTOCOL_ICMPV6, 8, 8},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct flow_tuple tuple = {.icmp_id = 77, .icmp_type = cases[i].type, .icmp_code = 1};
		struct flow_tuple mirror = flow_tuple_mirror(&tuple, cases[i].protocol);

		assert_int_equal(mirror.icmp_id, 77);
		assert_int_equal(mirror.icmp_type, cases[i].answer);
		assert_int_equal(mirror.icmp_code, 1);
	}
}

static void a_mirror_of_a_mirror_is_the_tuple(void **state)
{
	struct random random = {61};

	(void)state;
	for (int i = 0; i < 10000; i++) {
		struct flow flow = random_flow(&random);
		struct flow_tuple mirror = flow_tuple_mirror(&flow.orig, flow.protocol);
		struct flow_tuple back = flow_tuple_mirror(&mirror, flow.protocol);

		assert_memory_equal(&back, &flow.orig, sizeof(back));
	}
}

static void a_key_is_family_protocol_zone_and_original_tuple(void **state)
{
	struct flow flow = snat_flow(1), other = plain_flow(1);

	(void)state;
	assert_true(flow_key_equals(&flow, &other));
	other.zone = 1;
	assert_false(flow_key_equals(&flow, &other));
	other = flow;
	other.protocol = PROTOCOL_UDP;
	assert_false(flow_key_equals(&flow, &other));
	other = flow;
	other.family = FLOW_IPV6;
	assert_false(flow_key_equals(&flow, &other));
	other = flow;
	other.orig.dport++;
	assert_false(flow_key_equals(&flow, &other));
}

static void nat_is_equal_when_both_tuples_are(void **state)
{
	struct flow flow = plain_flow(1), unsaid = plain_flow(1), nat = snat_flow(1);

	(void)state;
	unsaid.present &= ~(uint32_t)FLOW_HAS_REPLY;
	assert_true(flow_nat_equals(&flow, &unsaid));
	assert_false(flow_nat_equals(&flow, &nat));
	assert_false(flow_nat_equals(&nat, &unsaid));
	assert_true(flow_nat_equals(&nat, &nat));
}

static void merging_brings_what_the_news_carries_and_keeps_the_rest(void **state)
{
	struct flow known = snat_flow(1), news = plain_flow(1), before;

	(void)state;
	known.incarnation = 4;
	known.extra_length = 2;
	known.id = 11;
	before = known;
	news.present = FLOW_HAS_TCP | FLOW_HAS_ID | FLOW_HAS_LABELS;
	news.incarnation = 9;
	news.tcp.state = FLOW_TCP_FIN_WAIT;
	news.id = 12;
	news.status = 0;
	news.mark = 99;
	memset(news.labels, 1, sizeof(news.labels));
	flow_merge(&known, &news);
	before.tcp = news.tcp;
	before.id = 12;
	memcpy(before.labels, news.labels, sizeof(news.labels));
	before.present |= FLOW_HAS_ID | FLOW_HAS_LABELS;
	assert_memory_equal(&known, &before, sizeof(known));
}

static void merging_a_whole_flow_gives_that_flow(void **state)
{
	struct random random = {62};

	(void)state;
	for (int i = 0; i < 10000; i++) {
		struct flow news = random_flow(&random), known = {0};

		news.present |=
		    FLOW_HAS_ID | FLOW_HAS_USE | FLOW_HAS_COUNTERS | FLOW_HAS_TIMESTAMP | FLOW_HAS_SECCTX;
		news.id = news.use = 3;
		random_fill(&random, news.counters, sizeof(news.counters));
		news.timestamp_start_ns = random_u64(&random);
		news.timestamp_stop_ns = random_u64(&random);
		strcpy(news.secctx, "context");
		known.family = news.family;
		known.protocol = news.protocol;
		known.zone = news.zone;
		known.zone_scope = news.zone_scope;
		known.orig = news.orig;
		known.incarnation = news.incarnation;
		known.extra_length = news.extra_length;
		memcpy(known.extra, news.extra, sizeof(news.extra));
		flow_merge(&known, &news);
		assert_memory_equal(&known, &news, sizeof(known));
	}
}

static int compare_tcp(enum flow_tcp_state a, uint32_t status_a, enum flow_tcp_state b, uint32_t status_b)
{
	struct flow x = plain_flow(1), y = plain_flow(1);

	x.tcp.state = (uint8_t)a;
	y.tcp.state = (uint8_t)b;
	x.status = status_a;
	y.status = status_b;
	assert_int_equal(flow_progress_compare(&y, &x), -flow_progress_compare(&x, &y));
	return flow_progress_compare(&x, &y);
}

static void progress_follows_the_state_and_then_the_status(void **state)
{
	(void)state;
	assert_int_equal(compare_tcp(FLOW_TCP_ESTABLISHED, 0, FLOW_TCP_SYN_RECV, 0), 1);
	assert_int_equal(compare_tcp(FLOW_TCP_FIN_WAIT, 0, FLOW_TCP_CLOSE, 0), -1);
	assert_int_equal(compare_tcp(FLOW_TCP_SYN_SENT2, 0, FLOW_TCP_SYN_SENT, 0), 0);
	assert_int_equal(compare_tcp(FLOW_TCP_SYN_SENT2, 0, FLOW_TCP_SYN_RECV, 0), -1);
	assert_int_equal(compare_tcp(FLOW_TCP_ESTABLISHED, FLOW_STATUS_SEEN_REPLY | FLOW_STATUS_ASSURED,
				     FLOW_TCP_ESTABLISHED, FLOW_STATUS_SEEN_REPLY),
			 1);
	assert_int_equal(compare_tcp(FLOW_TCP_ESTABLISHED, FLOW_STATUS_CONFIRMED, FLOW_TCP_ESTABLISHED, 0),
			 0);
}

static void progress_of_sctp_puts_a_heartbeat_before_established(void **state)
{
	enum { ESTABLISHED = 4, HEARTBEAT_SENT = 8 };
	struct flow a = {.protocol = PROTOCOL_SCTP, .present = FLOW_HAS_SCTP}, b = a;

	(void)state;
	a.sctp.state = ESTABLISHED;
	b.sctp.state = HEARTBEAT_SENT;
	assert_int_equal(flow_progress_compare(&a, &b), 1);
}

static void progress_without_a_state_follows_the_status(void **state)
{
	struct flow a = {.protocol = PROTOCOL_UDP, .present = FLOW_HAS_STATUS}, b = a;

	(void)state;
	assert_int_equal(flow_progress_compare(&a, &b), 0);
	b.status = FLOW_STATUS_SEEN_REPLY;
	assert_int_equal(flow_progress_compare(&a, &b), -1);
	a.status = FLOW_STATUS_SEEN_REPLY | FLOW_STATUS_ASSURED;
	assert_int_equal(flow_progress_compare(&a, &b), 1);
}

static void assert_printed(const struct flow *flow, const char *expected)
{
	char text[FLOW_TEXT_SIZE];

	assert_string_equal(flow_key_print(flow, text), expected);
}

static void keys_are_printed_as_an_operator_writes_them(void **state)
{
	struct flow flow = plain_flow(1024);

	(void)state;
	memcpy(flow.orig.src, (uint8_t[]){192, 0, 2, 1}, 4);
	flow.orig.dport = 80;
	flow.zone = 3;
	assert_printed(&flow, "tcp 192.0.2.1:1024 -> 198.51.100.2:80 zone 3");
	flow.zone = 0;
	flow.protocol = 50;
	assert_printed(&flow, "protocol-50 192.0.2.1 -> 198.51.100.2");
	flow.protocol = PROTOCOL_GRE;
	assert_printed(&flow, "gre 192.0.2.1 -> 198.51.100.2 keys 1024 80");
	flow.protocol = PROTOCOL_ICMP;
	flow.orig.icmp_id = 7;
	flow.orig.icmp_type = 8;
	flow.orig.icmp_code = 0;
	assert_printed(&flow, "icmp 192.0.2.1 -> 198.51.100.2 type 8 code 0 id 7");
	flow = (struct flow){.family = FLOW_IPV6, .protocol = PROTOCOL_UDP};
	memcpy(flow.orig.src, (uint8_t[]){0x20, 0x01, 0x0d, 0xb8, [15] = 1}, 16);
	flow.orig.sport = 53;
	assert_printed(&flow, "udp [2001:db8::1]:53 -> [::]:0");
}

static void the_longest_key_fits_in_its_text(void **state)
{
	struct flow flow = {.family = FLOW_IPV6, .protocol = PROTOCOL_UDPLITE, .zone = 65535};
	char text[FLOW_TEXT_SIZE];
	const char *end = " zone 65535";

	(void)state;
	memset(&flow.orig, 0xff, sizeof(flow.orig));
	flow_key_print(&flow, text);
	assert_string_equal(text + strlen(text) - strlen(end), end);
	flow.protocol = PROTOCOL_ICMPV6;
	flow_key_print(&flow, text);
	assert_string_equal(text + strlen(text) - strlen(end), end);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_mirror_swaps_addresses_and_ports),
	    cmocka_unit_test(an_icmp_mirror_has_the_answer_s_type_and_the_same_id),
	    cmocka_unit_test(a_mirror_of_a_mirror_is_the_tuple),
	    cmocka_unit_test(a_key_is_family_protocol_zone_and_original_tuple),
	    cmocka_unit_test(nat_is_equal_when_both_tuples_are),
	    cmocka_unit_test(merging_brings_what_the_news_carries_and_keeps_the_rest),
	    cmocka_unit_test(merging_a_whole_flow_gives_that_flow),
	    cmocka_unit_test(progress_follows_the_state_and_then_the_status),
	    cmocka_unit_test(progress_of_sctp_puts_a_heartbeat_before_established),
	    cmocka_unit_test(progress_without_a_state_follows_the_status),
	    cmocka_unit_test(keys_are_printed_as_an_operator_writes_them),
	    cmocka_unit_test(the_longest_key_fits_in_its_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
