/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Links over the loopback interface: neither root nor a network is needed. */
#include "syncd/daemon/link.h"
#include "syncd/daemon/link_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
	struct config config;
	struct interface_watch *watch;
	struct log *log;
	struct link_set *set;
	char why[512];
	unsigned got;
	size_t last_length;
	uint8_t last_byte;
	struct node_endpoint last_from;
};

static struct monotime no_time(void)
{
	return monotime_from_us(0);
}

static void no_log(void *context, int level, const char *id, const char *text)
{
	(void)context, (void)level, (void)id, (void)text;
}

/* One unicast link on lo that sends to itself. */
static int make_world(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct config_log_target target = {.destination = CONFIG_LOG_STDERR};
	config_set_defaults(&world->config);
	world->config.link_count = 1;
	struct config_link *link = &world->config.links[0];
	strcpy(link->interface, "lo");
	link->peer_count = 1;
	link->peer[0].family = AF_INET;
	inet_pton(AF_INET, "127.0.0.1", &link->peer[0].v4);
	link->port = (uint16_t)(20000 + getpid() % 20000);
	link->send_buffer_bytes = link->receive_buffer_bytes = 200000;
	world->log = log_open(LOG_DEBUG, target, no_time);
	log_set_output(world->log, no_log, NULL);
	*state = world;
	return interface_watch_open(&world->watch);
}

static int end_world(void **state)
{
	struct world *world = *state;
	link_set_close(world->set);
	interface_watch_close(world->watch);
	log_close(world->log);
	free(world);
	return 0;
}

/* False: lo is not up here. */
static bool open_links(struct world *world)
{
	if (!interface_state(world->watch, "lo").is_up)
		return false;
	int error = link_set_open(&world->set, &world->config, world->watch, world->log, world->why,
				  sizeof(world->why));
	if (error < 0)
		print_message("%s\n", world->why);
	assert_int_equal(error, 0);
	return true;
}

static void keep(void *context, unsigned link, const struct node_endpoint *from, const uint8_t *bytes,
		 size_t length)
{
	struct world *world = context;
	(void)link;
	world->got++;
	world->last_length = length;
	world->last_byte = bytes[length - 1];
	world->last_from = *from;
}

static void receive(struct world *world, unsigned count)
{
	struct pollfd ready = {.fd = link_fd(world->set, 0), .events = POLLIN};
	while (world->got < count && poll(&ready, 1, 5000) == 1)
		assert_true(link_receive(world->set, 0, keep, world) >= 0);
}

static void the_payload_leaves_room_for_the_headers(void **state)
{
	(void)state;
	assert_int_equal(link_payload_of_mtu(1500, AF_INET), 1472);
	assert_int_equal(link_payload_of_mtu(1500, AF_INET6), 1452);
	assert_int_equal(link_payload_of_mtu(1280, AF_INET6), 1232);
	assert_int_equal(link_payload_of_mtu(65535, AF_INET), FRAME_PAYLOAD_MAX);
	assert_int_equal(link_payload_of_mtu(10, AF_INET), 0);
}

static void link_local_addresses_get_their_interface(void **state)
{
	struct config_address address = {.family = AF_INET6};
	(void)state;
	inet_pton(AF_INET6, "fe80::1", &address.v6);
	assert_int_equal(link_address_make(&address, 1, 7).v6.sin6_scope_id, 7);
	inet_pton(AF_INET6, "ff02::1", &address.v6);
	assert_int_equal(link_address_make(&address, 1, 7).v6.sin6_scope_id, 7);
	inet_pton(AF_INET6, "2001:db8::1", &address.v6);
	assert_int_equal(link_address_make(&address, 1, 7).v6.sin6_scope_id, 0);
}

static void endpoints_are_printed_as_people_write_them(void **state)
{
	char text[LINK_ENDPOINT_TEXT_SIZE];
	struct config_address address = {.family = AF_INET};
	struct node_endpoint none = {0};
	(void)state;
	inet_pton(AF_INET, "192.0.2.1", &address.v4);
	union link_address made = link_address_make(&address, 9788, 1);
	struct node_endpoint endpoint = link_endpoint_of(&made);
	assert_string_equal(link_endpoint_print(&endpoint, text), "192.0.2.1:9788");
	address.family = AF_INET6;
	inet_pton(AF_INET6, "2001:db8::1", &address.v6);
	made = link_address_make(&address, 9788, 1);
	endpoint = link_endpoint_of(&made);
	assert_string_equal(link_endpoint_print(&endpoint, text), "[2001:db8::1]:9788");
	assert_string_equal(link_endpoint_print(&none, text), "");
}

static void datagrams_arrive_whole_in_order_and_in_batches(void **state)
{
	struct world *world = *state;
	uint8_t bytes[1000] = {0};
	if (!open_links(world))
		skip();
	for (unsigned i = 0; i < 100; i++) {
		bytes[sizeof(bytes) - 1] = (uint8_t)i;
		link_send(world->set, 0, NULL, bytes, sizeof(bytes));
	}
	link_flush(world->set);
	receive(world, 100);
	assert_int_equal(world->got, 100);
	assert_int_equal(world->last_length, sizeof(bytes));
	assert_int_equal(world->last_byte, 99);
	struct link_statistics statistics;
	link_statistics(world->set, 0, &statistics);
	assert_int_equal(statistics.sent, 100);
	assert_int_equal(statistics.received_bytes, 100 * sizeof(bytes));
	assert_int_equal(statistics.send_failed, 0);
}

static void an_answer_goes_to_where_a_datagram_came_from(void **state)
{
	struct world *world = *state;
	uint8_t byte = 7;
	if (!open_links(world))
		skip();
	link_send(world->set, 0, NULL, &byte, 1);
	link_flush(world->set);
	receive(world, 1);
	struct node_endpoint from = world->last_from;
	link_send(world->set, 0, &from, &byte, 1);
	link_flush(world->set);
	receive(world, 2);
	assert_int_equal(world->got, 2);
}

static void what_cannot_be_sent_is_counted_and_stops_nothing(void **state)
{
	struct world *world = *state;
	struct config_address unreachable = {.family = AF_INET};
	uint8_t byte = 7;
	if (!open_links(world))
		skip();
	inet_pton(AF_INET, "0.0.0.0", &unreachable.v4);
	union link_address made = link_address_make(&unreachable, 0, 1); /* port 0: EINVAL */
	struct node_endpoint nowhere = link_endpoint_of(&made);
	link_send(world->set, 0, &nowhere, &byte, 1);
	link_send(world->set, 0, NULL, &byte, 1);
	link_flush(world->set);
	receive(world, 1);
	assert_int_equal(world->got, 1);
	struct link_statistics statistics;
	link_statistics(world->set, 0, &statistics);
	assert_int_equal(statistics.send_failed, 1);
	assert_int_equal(statistics.send_error, -EINVAL);
}

static void a_missing_interface_is_named_and_no_failure(void **state)
{
	struct world *world = *state;
	struct link_statistics statistics;
	char text[160];
	strcpy(world->config.links[0].interface, "none0");
	assert_int_equal(link_set_open(&world->set, &world->config, world->watch, world->log, world->why,
				       sizeof(world->why)),
			 0);
	assert_int_equal(link_fd(world->set, 0), -1);
	assert_int_equal(link_follow(world->set), 0);
	link_statistics(world->set, 0, &statistics);
	assert_int_equal(statistics.problem, LINK_INTERFACE_MISSING);
	link_problem_text(&statistics, text, sizeof(text));
	assert_non_null(strstr(text, "[link none0]"));
	assert_in_range(link_payload_max(world->set), FRAME_PAYLOAD_MIN, FRAME_PAYLOAD_MAX);
	link_send(world->set, 0, NULL, (const uint8_t *)"x", 1);
	link_flush(world->set);
}

static void a_link_that_is_not_there_does_not_shrink_the_others(void **state)
{
	struct world *world = *state;
	world->config.link_count = 2;
	world->config.links[1] = world->config.links[0];
	strcpy(world->config.links[1].interface, "none0");
	if (!open_links(world))
		skip();
	assert_int_equal(link_payload_max(world->set), FRAME_PAYLOAD_MAX);
}

static void a_port_that_is_taken_is_an_error(void **state)
{
	struct world *world = *state;
	struct link_set *second = NULL;
	if (!open_links(world))
		skip();
	assert_int_equal(
	    link_set_open(&second, &world->config, world->watch, world->log, world->why, sizeof(world->why)),
	    -EADDRINUSE);
	assert_null(second);
	assert_non_null(strstr(world->why, "is taken"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_world, end_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_payload_leaves_room_for_the_headers),
	    cmocka_unit_test(link_local_addresses_get_their_interface),
	    cmocka_unit_test(endpoints_are_printed_as_people_write_them),
	    TEST(datagrams_arrive_whole_in_order_and_in_batches),
	    TEST(an_answer_goes_to_where_a_datagram_came_from),
	    TEST(what_cannot_be_sent_is_counted_and_stops_nothing),
	    TEST(a_missing_interface_is_named_and_no_failure),
	    TEST(a_link_that_is_not_there_does_not_shrink_the_others),
	    TEST(a_port_that_is_taken_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
