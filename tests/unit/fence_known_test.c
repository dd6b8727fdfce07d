/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The fence while a takeover fills the kernel's table: closed to strangers only. */
#include "tests/unit/fence_ground.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { KNOWN_PORT = 7000, STRANGE_PORT = 7001 };

static struct ground *need_closed_to_strangers(void **state)
{
	struct ground *ground = ground_need_armed(state);

	assert_int_equal(fence_pass_known(ground->fence, ground_now()), 0);
	return ground;
}

static void send_from(const struct ground *ground, uint16_t port, const char *to, uint64_t number)
{
	struct sockaddr_storage storage;
	socklen_t size = ground_address(to, &storage);
	struct sockaddr_in6 from = {.sin6_family = storage.ss_family, .sin6_port = htons(port)};
	int fd = ground_socket(ground->client, ground->node, storage.ss_family, SOCK_DGRAM);

	assert_int_equal(bind(fd, (struct sockaddr *)&from, size), 0);
	assert_int_equal(sendto(fd, &number, sizeof(number), 0, (struct sockaddr *)&storage, size),
			 sizeof(number));
	close(fd);
}

static void assert_passes_from(const struct ground *ground, uint16_t port, const char *to, int receiver)
{
	uint64_t number = ground_number();

	send_from(ground, port, to, number);
	assert_true(ground_has_received(receiver, number, 5000));
}

static void assert_dropped_from(const struct ground *ground, uint16_t port, const char *to)
{
	uint64_t number = ground_number(), before = ground_drops(ground->fence);
	struct monotime deadline = monotime_add(ground_now(), monotime_from_s(5));

	send_from(ground, port, to, number);
	while (ground_drops(ground->fence) == before)
		assert_true(monotime_is_before(ground_now(), deadline));
	assert_false(ground_has_received(ground->at_node, number, 0));
	assert_false(ground_has_received(ground->at_server, number, 0));
}

/* As a commit creates it: nobody has answered yet. */
static void create_flow(const struct ground *ground, const char *from, const char *to)
{
	netns_run(ground->node,
		  "conntrack -I -p udp -s %s -d %s --sport %d --dport %d -t 100 >/dev/null 2>&1", from, to,
		  KNOWN_PORT, PORT);
}

static void assert_flows(const struct ground *ground, int count)
{
	netns_run(ground->node, "test $(cat /proc/sys/net/netfilter/nf_conntrack_count) = %d", count);
}

static void a_flow_passes_as_soon_as_the_kernel_has_it(void **state)
{
	struct ground *ground = need_closed_to_strangers(state);

	assert_dropped_from(ground, KNOWN_PORT, SERVER4);
	assert_dropped_from(ground, KNOWN_PORT, SERVER6);
	assert_dropped_from(ground, KNOWN_PORT, VIRTUAL4);
	assert_flows(ground, 0);
	create_flow(ground, "10.9.1.2", SERVER4);
	assert_passes_from(ground, KNOWN_PORT, SERVER4, ground->at_server);
	assert_dropped_from(ground, STRANGE_PORT, SERVER4);
	assert_dropped_from(ground, KNOWN_PORT, SERVER6);
	create_flow(ground, "fd09:1::2", SERVER6);
	create_flow(ground, "10.9.1.2", VIRTUAL4);
	assert_passes_from(ground, KNOWN_PORT, SERVER6, ground->at_server);
	assert_passes_from(ground, KNOWN_PORT, VIRTUAL4, ground->at_node);
	assert_dropped_from(ground, STRANGE_PORT, VIRTUAL6);
	assert_flows(ground, 3);
}

struct told {
	struct fence_waiting all[8];
	unsigned count;
};

static void hear(void *context, const struct fence_waiting *waiting)
{
	struct told *told = context;

	assert_true(told->count < 8);
	told->all[told->count++] = *waiting;
}

static struct told take_waiting(const struct ground *ground)
{
	struct told told = {.count = 0};

	assert_int_equal(fence_take_waiting(ground->fence, hear, &told), 0);
	return told;
}

static void assert_waits(const struct told *told, const char *from, uint16_t port, const char *to)
{
	struct fence_waiting waiting = {.protocol = PROTOCOL_UDP};
	bool is_ipv6 = strchr(to, ':') != NULL;

	waiting.family = is_ipv6 ? FLOW_IPV6 : FLOW_IPV4;
	inet_pton(is_ipv6 ? AF_INET6 : AF_INET, from, waiting.tuple.src);
	inet_pton(is_ipv6 ? AF_INET6 : AF_INET, to, waiting.tuple.dst);
	waiting.tuple.sport = port;
	waiting.tuple.dport = PORT;
	for (unsigned i = 0; i < told->count; i++)
		if (memcmp(&told->all[i], &waiting, sizeof(waiting)) == 0)
			return;
	fail_msg("%s from port %u of %s is not told of", to, port, from);
}

static void who_waits_is_told_once(void **state)
{
	struct ground *ground = need_closed_to_strangers(state);
	struct told told;

	assert_int_equal(take_waiting(ground).count, 0);
	create_flow(ground, "10.9.1.2", SERVER4);
	assert_passes_from(ground, KNOWN_PORT, SERVER4, ground->at_server);
	assert_int_equal(take_waiting(ground).count, 0);
	for (int i = 0; i < 2; i++) {
		assert_dropped_from(ground, STRANGE_PORT, SERVER4);
		assert_dropped_from(ground, STRANGE_PORT, VIRTUAL4);
		assert_dropped_from(ground, KNOWN_PORT, SERVER6);
		assert_dropped_from(ground, KNOWN_PORT, VIRTUAL6);
	}
	told = take_waiting(ground);
	assert_int_equal(told.count, 4);
	assert_waits(&told, "10.9.1.2", STRANGE_PORT, SERVER4);
	assert_waits(&told, "10.9.1.2", STRANGE_PORT, VIRTUAL4);
	assert_waits(&told, "fd09:1::2", KNOWN_PORT, SERVER6);
	assert_waits(&told, "fd09:1::2", KNOWN_PORT, VIRTUAL6);
	assert_int_equal(take_waiting(ground).count, 0);
	assert_dropped_from(ground, STRANGE_PORT, SERVER4);
	assert_int_equal(take_waiting(ground).count, 1);
	assert_dropped_from(ground, STRANGE_PORT, SERVER4);
	assert_int_equal(fence_arm(ground->fence, ground_now(), NULL), 0);
	assert_int_equal(take_waiting(ground).count, 0);
}

static void count_waiting(void *context, const struct fence_waiting *waiting)
{
	unsigned *count = context;

	assert_int_equal(waiting->protocol, PROTOCOL_UDP);
	count[waiting->family == FLOW_IPV6]++;
}

static unsigned fill(const struct ground *ground, const char *to)
{
	struct sockaddr_storage storage;
	socklen_t size = ground_address(to, &storage);
	struct sockaddr_in6 *ported = (struct sockaddr_in6 *)&storage; /* IPv4 has its port there, too */
	int fd = ground_socket(ground->client, ground->node, storage.ss_family, SOCK_DGRAM);
	uint64_t number = ground_number();
	unsigned sent = 0;

	for (; sent < FENCE_WAITING_MAX + 100; sent++) {
		ported->sin6_port = htons((uint16_t)(sent + 1));
		assert_int_equal(sendto(fd, &number, sizeof(number), 0, (struct sockaddr *)&storage, size),
				 sizeof(number));
	}
	close(fd);
	return sent;
}

/* More than can be remembered wait all the same; of two full sets one is read at a time. */
static void with_its_memory_full_it_drops_as_before(void **state)
{
	struct ground *ground = need_closed_to_strangers(state);
	uint64_t before = ground_drops(ground->fence), seen;
	unsigned sent = fill(ground, SERVER4) + fill(ground, SERVER6), count[2] = {0, 0};

	while (ground_drops(ground->fence) < before + sent)
		assert_int_equal(fence_refresh(ground->fence, ground_now(), NULL), 0);
	assert_int_equal(recv(ground->at_server, &seen, sizeof(seen), 0), -1);
	assert_int_equal(fence_take_waiting(ground->fence, count_waiting, count), 0);
	assert_int_equal(count[0], FENCE_WAITING_MAX);
	assert_int_equal(count[1], 0);
	assert_int_equal(fence_take_waiting(ground->fence, count_waiting, count), 0);
	assert_int_equal(count[0], FENCE_WAITING_MAX);
	assert_int_equal(count[1], FENCE_WAITING_MAX);
	assert_int_equal(fence_take_waiting(ground->fence, count_waiting, count), 0);
	assert_int_equal(count[0] + count[1], 2 * FENCE_WAITING_MAX);
}

/* Their packets don't name their flow: nobody could be searched for. */
static void of_protocols_without_ports_nobody_is_told_of(void **state)
{
	struct ground *ground = need_closed_to_strangers(state);
	uint64_t before = ground_drops(ground->fence);

	netns_try(ground->client, "ping -q -c 3 -i 0.01 -W 0.01 " SERVER4 " >/dev/null");
	netns_try(ground->client, "ping -q -c 3 -i 0.01 -W 0.01 " VIRTUAL6 " >/dev/null");
	while (ground_drops(ground->fence) < before + 6)
		assert_int_equal(fence_refresh(ground->fence, ground_now(), NULL), 0);
	assert_int_equal(take_waiting(ground).count, 0);
	assert_dropped_from(ground, STRANGE_PORT, SERVER4);
	assert_int_equal(take_waiting(ground).count, 1);
}

static void what_always_passes_passes_as_before(void **state)
{
	struct ground *ground = need_closed_to_strangers(state);

	assert_passes(ground, OWN4);
	assert_passes(ground, OWN6);
	assert_passes(ground, "10.9.1.255");
	assert_passes(ground, "ff02::1");
	netns_run(ground->client, "ip -6 neigh flush dev c0; ip neigh flush dev c0");
	assert_dropped(ground, VIRTUAL6);
}

/* Where nobody listens, the kernel's answer would be a reset; and a flow that began here would be in the way.
 */
static void a_stranger_waits_instead_of_being_reset(void **state)
{
	struct ground *ground = need_closed_to_strangers(state);
	uint64_t before = ground_drops(ground->fence);
	struct sockaddr_storage storage;
	socklen_t size = ground_address(VIRTUAL4, &storage), error_size = sizeof(int);
	int fd = ground_socket(ground->client, ground->node, AF_INET, SOCK_STREAM), error = 0;

	assert_int_equal(connect(fd, (struct sockaddr *)&storage, size), -1);
	while (ground_drops(ground->fence) == before)
		assert_true(fence_is_armed(ground->fence, ground_now()));
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_size), 0);
	assert_int_equal(error, 0);
	assert_flows(ground, 0);
	close(fd);
}

static void arming_it_again_drops_all_and_opening_it_nothing(void **state)
{
	struct ground *ground = need_closed_to_strangers(state);

	create_flow(ground, "10.9.1.2", SERVER4);
	assert_passes_from(ground, KNOWN_PORT, SERVER4, ground->at_server);
	assert_int_equal(fence_refresh(ground->fence, ground_now(), NULL), 0);
	assert_int_equal(fence_check(ground->fence, ground_now(), NULL), 0);
	assert_passes_from(ground, KNOWN_PORT, SERVER4, ground->at_server);
	assert_int_equal(fence_arm(ground->fence, ground_now(), NULL), 0);
	assert_int_equal(fence_check(ground->fence, ground_now(), NULL), 0);
	assert_dropped_from(ground, KNOWN_PORT, SERVER4);
	assert_int_equal(fence_pass_known(ground->fence, ground_now()), 0);
	assert_int_equal(fence_open(ground->fence), 0);
	assert_all_pass(ground);
	assert_passes_from(ground, STRANGE_PORT, SERVER4, ground->at_server);
	assert_int_equal(fence_arm(ground->fence, ground_now(), NULL), 0);
	assert_dropped_from(ground, KNOWN_PORT, SERVER4);
}

/* Nobody reads the counters between the last packet and the change. */
static void what_it_dropped_is_counted_across_its_changes(void **state)
{
	struct ground *ground = need_closed_to_strangers(state);
	uint64_t before = ground_drops(ground->fence);

	send_from(ground, STRANGE_PORT, VIRTUAL4, ground_number());
	while (take_waiting(ground).count == 0)
		assert_true(fence_is_armed(ground->fence, ground_now()));
	assert_int_equal(fence_arm(ground->fence, ground_now(), NULL), 0);
	assert_in_range(ground_drops(ground->fence), before + 1, before + 100);
	assert_int_equal(fence_pass_known(ground->fence, ground_now()), 0);
	before = ground_drops(ground->fence);
	send_from(ground, STRANGE_PORT, VIRTUAL4, ground_number());
	while (take_waiting(ground).count == 0)
		assert_true(fence_is_armed(ground->fence, ground_now()));
	assert_int_equal(fence_open(ground->fence), 0);
	assert_int_equal(fence_arm(ground->fence, ground_now(), NULL), 0);
	assert_in_range(ground_drops(ground->fence), before + 1, before + 100);
}

static void an_open_fence_stays_open(void **state)
{
	struct ground *ground = ground_need(state);

	assert_int_equal(fence_pass_known(ground->fence, ground_now()), 0);
	assert_false(fence_is_armed(ground->fence, ground_now()));
	assert_all_pass(ground);
}

static void without_a_refresh_it_opens_to_strangers_too(void **state)
{
	struct ground *ground = ground_need(state);
	struct fence *fence = ground_create_beside(8, monotime_from_ms(300));
	struct monotime start = ground_now();
	uint64_t number;

	assert_int_equal(fence_arm(fence, start, NULL), 0);
	assert_int_equal(fence_pass_known(fence, ground_now()), 0);
	assert_dropped_by(ground, fence, VIRTUAL4);
	do {
		assert_true(monotime_sub(ground_now(), start).us < 10000000);
		number = ground_number();
		ground_send(ground, VIRTUAL4, number);
	} while (!ground_has_received(ground->at_node, number, 10));
	fence_destroy(fence);
}

static pid_t flood(const struct ground *ground)
{
	pid_t pid = fork();

	if (pid == 0) {
		struct sockaddr_storage storage;
		socklen_t size = ground_address(VIRTUAL4, &storage);
		int fd = ground_socket(ground->client, ground->node, AF_INET, SOCK_DGRAM);

		while (getppid() != 1)
			(void)!sendto(fd, "?", 1, 0, (struct sockaddr *)&storage, size);
		_exit(0);
	}
	assert_true(pid > 0);
	return pid;
}

/* Opens and closes it while nobody sends, so that the next change is the first of a closed fence. */
static void begin_anew_in_silence(const struct ground *ground, pid_t sender)
{
	assert_int_equal(kill(sender, SIGSTOP), 0);
	assert_int_equal(waitpid(sender, NULL, WUNTRACED), sender);
	int error = fence_open(ground->fence);
	if (!error)
		error = fence_arm(ground->fence, ground_now(), NULL);
	assert_int_equal(kill(sender, SIGCONT), 0);
	assert_int_equal(error, 0);
}

static void wait_for_drops(const struct ground *ground)
{
	uint64_t before = ground_drops(ground->fence);
	struct monotime deadline = monotime_add(ground_now(), monotime_from_s(20));

	while (ground_drops(ground->fence) == before) {
		assert_int_equal(fence_refresh(ground->fence, ground_now(), NULL), 0);
		assert_true(monotime_is_before(ground_now(), deadline));
	}
}

/* Once in about 7,000 changes one did when the two chains replaced each other: FENCE_CHANGES=200000 in the
 * environment looks longer. */
static void no_stranger_slips_through_while_it_changes(void **state)
{
	const char *wanted = getenv("FENCE_CHANGES");
	const long changes = wanted ? strtol(wanted, NULL, 10) : 600;
	struct ground *ground = ground_need_armed(state);
	uint64_t seen;
	pid_t pid = flood(ground);

	for (long i = 0; i < changes; i++) {
		wait_for_drops(ground);
		assert_int_equal(i % 2 ? fence_arm(ground->fence, ground_now(), NULL)
				       : fence_pass_known(ground->fence, ground_now()),
				 0);
		if (i % 20 == 19)
			begin_anew_in_silence(ground, pid);
		if (recv(ground->at_node, &seen, sizeof(seen), 0) != -1)
			fail_msg("a packet slipped through at change %ld", i);
	}
	wait_for_drops(ground);
	ground_end(pid);
	assert_int_equal(recv(ground->at_node, &seen, sizeof(seen), 0), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    FENCE_TEST(a_flow_passes_as_soon_as_the_kernel_has_it),
	    FENCE_TEST(who_waits_is_told_once),
	    FENCE_TEST(with_its_memory_full_it_drops_as_before),
	    FENCE_TEST(of_protocols_without_ports_nobody_is_told_of),
	    FENCE_TEST(what_always_passes_passes_as_before),
	    FENCE_TEST(a_stranger_waits_instead_of_being_reset),
	    FENCE_TEST(arming_it_again_drops_all_and_opening_it_nothing),
	    FENCE_TEST(what_it_dropped_is_counted_across_its_changes),
	    FENCE_TEST(an_open_fence_stays_open),
	    FENCE_TEST(without_a_refresh_it_opens_to_strangers_too),
	    FENCE_TEST(no_stranger_slips_through_while_it_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
