/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/early.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* 10.0.0.1:1000 to 10.0.0.2:80, whose answers come from 10.0.0.2:80 to 10.0.0.9:2000 */
static struct flow make_flow(uint8_t last)
{
	struct flow flow = {.family = FLOW_IPV4, .protocol = PROTOCOL_TCP, .present = FLOW_HAS_REPLY};

	memcpy(flow.orig.src, (uint8_t[]){10, 0, 0, last}, 4);
	memcpy(flow.orig.dst, (uint8_t[]){10, 0, 0, 2}, 4);
	flow.orig.sport = 1000;
	flow.orig.dport = 80;
	memcpy(flow.reply.src, (uint8_t[]){10, 0, 0, 2}, 4);
	memcpy(flow.reply.dst, (uint8_t[]){10, 0, 0, 9}, 4);
	flow.reply.sport = 80;
	flow.reply.dport = (uint16_t)(2000 + last);
	return flow;
}

static struct fence_waiting packet_of(const struct flow *flow, const struct flow_tuple *tuple)
{
	return (struct fence_waiting){flow->family, flow->protocol, *tuple};
}

static struct monotime at(int64_t ms)
{
	return monotime_from_us(ms * 1000);
}

static void start(struct early *early)
{
	early_init(early, 7, at(0));
}

static void a_flow_is_wanted_for_a_packet_of_either_direction(void **state)
{
	struct flow a = make_flow(1), b = make_flow(3), other = make_flow(5), udp = make_flow(1);
	struct fence_waiting first = packet_of(&a, &a.orig), second = packet_of(&b, &b.reply);
	struct early early;
	(void)state;

	start(&early);
	udp.protocol = PROTOCOL_UDP;
	assert_false(early_search(&early, 0, 0, at(100)));
	early_note(&early, &first);
	early_note(&early, &second);
	assert_true(early_search(&early, 0, 0, at(100)));
	assert_true(early_is_wanted(&early, &a));
	assert_true(early_is_wanted(&early, &b));
	assert_false(early_is_wanted(&early, &other));
	assert_false(early_is_wanted(&early, &udp));
	early_free(&early);
}

static void nobody_is_searched_for_twice(void **state)
{
	struct flow flow = make_flow(1);
	struct fence_waiting packet = packet_of(&flow, &flow.orig), answer = packet_of(&flow, &flow.reply);
	struct early early;
	(void)state;

	start(&early);
	early_note(&early, &packet);
	assert_true(early_search(&early, 0, 0, at(100)));
	early_found_all(&early, at(101));
	assert_false(early_is_wanted(&early, &flow));
	early_note(&early, &packet);
	assert_false(early_search(&early, 0, 0, at(200)));
	early_note(&early, &answer);
	assert_true(early_search(&early, 0, 0, at(300)));
	early_free(&early);
}

static void packets_without_ports_and_too_many_are_left_out(void **state)
{
	struct flow flow = make_flow(1);
	struct fence_waiting packet = packet_of(&flow, &flow.orig);
	struct early early;
	(void)state;

	start(&early);
	packet.protocol = PROTOCOL_ICMP;
	early_note(&early, &packet);
	assert_int_equal(early.seen.count, 0);
	packet.protocol = PROTOCOL_TCP;
	for (uint32_t i = 0; i < EARLY_MAX + 1000; i++) {
		memcpy(packet.tuple.src, &i, sizeof(i));
		early_note(&early, &packet);
	}
	assert_int_equal(early.seen.count, EARLY_MAX);
	assert_int_equal(early.wanted.count, EARLY_MAX);
	early_free(&early);
}

static void a_search_takes_a_quarter_of_the_time_at_most(void **state)
{
	struct flow flow = make_flow(1);
	struct fence_waiting packet = packet_of(&flow, &flow.orig);
	struct early early;
	(void)state;

	start(&early);
	assert_int_equal(early.next.us, at(100).us);
	early_note(&early, &packet);
	early_search(&early, 3, 77, at(100));
	assert_true(early.searching && early.table == 3 && early.after == 77);
	early_found_all(&early, at(600));
	assert_false(early.searching);
	assert_int_equal(early.next.us, at(600 + 3 * 500).us);
	early_search(&early, 0, 0, at(3000));
	assert_int_equal(early.next.us, at(3100).us);
	early_found_all(&early, at(3001));
	assert_int_equal(early.next.us, at(3101).us);
	early_free(&early);
}

/* A look at a flood takes long, also when it brings nobody new. */
static void looks_take_a_quarter_of_the_time_at_most_and_end_when_nobody_new_is_remembered(void **state)
{
	struct fence_waiting packet = {.family = FLOW_IPV4, .protocol = PROTOCOL_UDP};
	struct early early;
	(void)state;

	start(&early);
	assert_false(early_search(&early, 0, 0, at(100)));
	early_found_all(&early, at(220));
	assert_int_equal(early.next.us, at(220 + 3 * 120).us);
	for (uint32_t i = 0; i < EARLY_MAX; i++) {
		memcpy(packet.tuple.src, &i, sizeof(i));
		early_note(&early, &packet);
	}
	assert_true(early_search(&early, 0, 0, at(600)));
	early_found_all(&early, at(700));
	assert_int_equal(early.next.us, MONOTIME_NEVER.us);
	early_free(&early);
}

static void what_was_taken_is_known_by_table_and_version(void **state)
{
	struct flow flow = make_flow(1);
	struct early early;
	(void)state;

	start(&early);
	assert_false(early_was_taken(&early, 1, 5));
	early_take(&early, 1, 5, &flow);
	assert_true(early_was_taken(&early, 1, 5));
	assert_false(early_was_taken(&early, 0, 5));
	assert_false(early_was_taken(&early, 1, 6));
	early_free(&early);
	assert_false(early_was_taken(&early, 1, 5));
}

static void another_flow_with_a_tuple_of_one_taken_is_in_the_way(void **state)
{
	struct flow taken = make_flow(1), other = make_flow(3), zoned = make_flow(3);
	struct flow elsewhere = make_flow(1), renumbered = make_flow(1);
	struct early early;
	(void)state;

	other.reply = zoned.reply = taken.reply;
	zoned.zone = 7;
	elsewhere.reply.dport++;
	renumbered.timeout_s = 77;
	start(&early);
	assert_false(early_is_in_the_way(&early, &other));
	early_take(&early, 0, 5, &taken);
	assert_true(early_is_in_the_way(&early, &other));
	assert_true(early_is_in_the_way(&early, &elsewhere));
	assert_false(early_is_in_the_way(&early, &renumbered)); /* the same flow */
	assert_false(early_is_in_the_way(&early, &zoned));
	zoned.zone_scope = FLOW_ZONE_ORIGINAL;
	assert_true(early_is_in_the_way(&early, &zoned));
	zoned.reply_zone = 7;
	zoned.present |= FLOW_HAS_REPLY_ZONE;
	assert_false(early_is_in_the_way(&early, &zoned));
	early_free(&early);
	assert_false(early_is_in_the_way(&early, &other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_flow_is_wanted_for_a_packet_of_either_direction),
	    cmocka_unit_test(nobody_is_searched_for_twice),
	    cmocka_unit_test(packets_without_ports_and_too_many_are_left_out),
	    cmocka_unit_test(a_search_takes_a_quarter_of_the_time_at_most),
	    cmocka_unit_test(looks_take_a_quarter_of_the_time_at_most_and_end_when_nobody_new_is_remembered),
	    cmocka_unit_test(what_was_taken_is_known_by_table_and_version),
	    cmocka_unit_test(another_flow_with_a_tuple_of_one_taken_is_in_the_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
