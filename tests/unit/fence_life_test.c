/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the fence closes and opens, and what becomes of it when its owner hangs, dies, or loses its table. */
#include "tests/unit/fence_ground.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netlink.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "syncd/kernel/fence_ruleset.h"

/* how late a busy machine may notice that the fence has opened */
#define SLACK_US 1500000

/* ---- opening and closing ---- */

static void opened_it_drops_nothing_more(void **state)
{
	struct ground *ground = ground_need_armed(state);
	struct monotime next;

	assert_dropped(ground, VIRTUAL4);
	assert_int_equal(fence_open(ground->fence), 0);
	assert_false(fence_is_armed(ground->fence, ground_now()));
	assert_all_pass(ground);
	assert_int_equal(fence_refresh(ground->fence, ground_now(), &next), 0);
	assert_int_equal(next.us, MONOTIME_NEVER.us);
	assert_passes(ground, VIRTUAL4);
	assert_int_equal(fence_open(ground->fence), 0);
	assert_int_equal(fence_check(ground->fence, ground_now(), NULL), 0);
	assert_int_equal(fence_arm(ground->fence, ground_now(), NULL), 0);
	assert_dropped(ground, VIRTUAL4);
}

/* Returns how long it took until a packet came through. */
static struct monotime wait_until_open(const struct ground *ground, struct monotime since)
{
	uint64_t number;

	do {
		assert_true(monotime_sub(ground_now(), since).us < 10000000);
		number = ground_number();
		ground_send(ground, VIRTUAL4, number);
	} while (!ground_has_received(ground->at_node, number, 10));
	return monotime_sub(ground_now(), since);
}

static void without_a_refresh_it_opens_and_a_refresh_closes_it_again(void **state)
{
	struct ground *ground = ground_need(state);
	struct fence *fence = ground_create_beside(8, monotime_from_ms(300));
	struct fence_counters counters;
	struct monotime start = ground_now();

	assert_int_equal(fence_arm(fence, start, NULL), 0);
	assert_dropped_by(ground, fence, VIRTUAL4);
	struct monotime took = wait_until_open(ground, start);
	assert_in_range(took.us, 280000, 300000 + SLACK_US);
	assert_false(fence_is_armed(fence, ground_now()));
	assert_int_equal(fence_refresh(fence, ground_now(), NULL), 0);
	assert_true(fence_is_armed(fence, ground_now()));
	assert_dropped_by(ground, fence, VIRTUAL4);
	assert_int_equal(fence_read_counters(fence, &counters), 0);
	assert_int_equal(counters.lapses, 1);
	fence_destroy(fence);
}

static void refreshed_in_time_it_stays_closed(void **state)
{
	struct ground *ground = ground_need(state);
	struct fence *fence = ground_create_beside(8, monotime_from_s(1));
	struct monotime start = ground_now(), next;

	assert_int_equal(fence_arm(fence, start, &next), 0);
	while (monotime_sub(ground_now(), start).us < 2200000) {
		if (!monotime_is_before(ground_now(), next))
			assert_int_equal(fence_refresh(fence, ground_now(), &next), 0);
		assert_dropped_by(ground, fence, VIRTUAL4);
	}
	fence_destroy(fence);
}

/* ---- its owner ---- */

/* A process of its own that keeps a fence closed, as a daemon does, until it is stopped or killed. */
static pid_t start_owner(const struct ground *ground, struct monotime life)
{
	int ready[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct fence *fence = ground_create_beside(9, life);
		struct pollfd nothing = {.fd = -1};

		if (fence_arm(fence, ground_now(), NULL) != 0 || write(ready[1], "!", 1) != 1)
			_exit(1);
		for (;;) {
			poll(&nothing, 1, (int)(life.us / 3000));
			if (fence_refresh(fence, ground_now(), NULL) != 0 || getppid() == 1)
				_exit(1);
		}
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	netns_run(ground->node, "nft list table inet twintrack-9 >/dev/null");
	return pid;
}

static bool is_dropped_quietly(const struct ground *ground)
{
	uint64_t number = ground_number();

	ground_send(ground, VIRTUAL4, number);
	return !ground_has_received(ground->at_node, number, 100);
}

static void when_its_owner_is_killed_it_is_gone_at_once(void **state)
{
	struct ground *ground = ground_need(state);
	pid_t pid = start_owner(ground, monotime_from_s(60));

	assert_true(is_dropped_quietly(ground));
	ground_end(pid);
	assert_int_not_equal(netns_try(ground->node, "nft list table inet twintrack-9"), 0);
	assert_passes(ground, VIRTUAL4);
}

static void when_its_owner_hangs_it_opens_within_the_timeout(void **state)
{
	struct ground *ground = ground_need(state);
	pid_t pid = start_owner(ground, monotime_from_s(1));

	for (int i = 0; i < 10; i++)
		assert_true(is_dropped_quietly(ground));
	kill(pid, SIGSTOP);
	struct monotime took = wait_until_open(ground, ground_now());
	assert_in_range(took.us, 100000, 1000000 + SLACK_US);
	kill(pid, SIGCONT);
	struct monotime resumed = ground_now();
	while (!is_dropped_quietly(ground)) {
		assert_true(monotime_sub(ground_now(), resumed).us < 10000000);
		poll(NULL, 0, 20);
	}
	ground_end(pid);
}

static void a_flush_of_the_ruleset_leaves_it_armed(void **state)
{
	struct ground *ground = ground_need_armed(state);

	netns_run(ground->node, "nft flush ruleset");
	assert_dropped(ground, VIRTUAL4);
	assert_int_equal(fence_check(ground->fence, ground_now(), NULL), 0);
	assert_int_not_equal(netns_try(ground->node, "nft delete table inet twintrack-%d", NODE_ID), 0);
	assert_int_not_equal(netns_try(ground->node, "nft flush set inet twintrack-%d alive", NODE_ID), 0);
}

static void a_second_instance_takes_another_name(void **state)
{
	struct ground *ground = ground_need(state);
	struct fence *second = ground_create_beside(NODE_ID, GROUND_TIMEOUT);

	assert_string_equal(fence_table(ground->fence), "twintrack-7");
	assert_string_not_equal(fence_table(second), "twintrack-7");
	assert_int_equal(fence_arm(second, ground_now(), NULL), 0);
	assert_dropped_by(ground, second, VIRTUAL4);
	assert_int_equal(fence_open(second), 0);
	assert_passes(ground, VIRTUAL4);
	fence_destroy(second);
}

static void a_table_that_nobody_owns_makes_way(void **state)
{
	struct ground *ground = ground_need(state);

	netns_run(ground->node,
		  "nft 'add table inet twintrack-8; add chain inet twintrack-8 prerouting { type filter hook "
		  "prerouting priority -350; }; add rule inet twintrack-8 prerouting drop'");
	struct fence *fence = ground_create_beside(8, GROUND_TIMEOUT);
	assert_string_equal(fence_table(fence), "twintrack-8");
	assert_passes(ground, VIRTUAL4);
	assert_int_equal(fence_arm(fence, ground_now(), NULL), 0);
	assert_dropped_by(ground, fence, VIRTUAL4);
	fence_destroy(fence);
}

static void without_the_right_it_says_so(void **state)
{
	ground_need(state);
	pid_t pid = fork();

	if (pid == 0) {
		struct fence *fence = NULL;
		char error[256] = "";

		if (setresuid(65534, 65534, 65534) != 0)
			_exit(2);
		int result = fence_create(&fence, 8, GROUND_TIMEOUT, error, sizeof(error));
		_exit(result == -EPERM && strstr(error, "CAP_NET_ADMIN") ? 0 : 1);
	}
	int status = -1;
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

/* A change that the kernel refuses is no reason to stay closed: the table goes with its socket. */
static void an_opening_that_is_refused_opens_all_the_same(void **state)
{
	struct ground *ground = ground_need(state);
	pid_t pid = fork();

	if (pid == 0) {
		struct fence *fence = ground_create_beside(8, GROUND_TIMEOUT);

		if (fence_arm(fence, ground_now(), NULL) != 0 || setresuid(65534, 65534, 65534) != 0)
			_exit(2);
		if (fence_refresh(fence, ground_now(), NULL) != -EPERM || fence_open(fence) != -EPERM)
			_exit(3);
		if (fence_is_armed(fence, ground_now()) || fence_check(fence, ground_now(), NULL) != 0)
			_exit(4);
		kill(getpid(), SIGSTOP); /* alive: it isn't the end of the process that removes the table */
		_exit(fence_arm(fence, ground_now(), NULL) == -EPERM && !fence_is_armed(fence, ground_now())
			  ? 0
			  : 5);
	}
	int status = -1;
	waitpid(pid, &status, WUNTRACED);
	assert_true(WIFSTOPPED(status));
	assert_int_not_equal(netns_try(ground->node, "nft list table inet twintrack-8"), 0);
	assert_passes(ground, VIRTUAL4);
	kill(pid, SIGCONT);
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

/* ---- tampering: only its own socket may, so the test finds that and speaks through it ---- */

static int socket_of(const struct fence *fence)
{
	char path[64];

	(void)fence;
	for (int fd = 3; fd < 256; fd++) {
		int protocol = 0;
		socklen_t size = sizeof(protocol);
		ssize_t length;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		char target[64] = "";
		length = readlink(path, target, sizeof(target) - 1);
		if (length <= 0 || strncmp(target, "socket:", 7) != 0)
			continue;
		int domain = 0;
		socklen_t domain_size = sizeof(domain);
		if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_size) == 0 &&
		    domain == AF_NETLINK && getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 &&
		    protocol == NETLINK_NETFILTER)
			return fd;
	}
	fail_msg("the fence's socket was not found");
	return -1;
}

/* One transaction with one message, sent from the owner's socket behind the fence's back. */
static void tamper(const struct fence *fence, void (*put)(struct nft_batch *batch, const char *table))
{
	struct nft_batch *batch;
	const char *refused;
	int own = socket_of(fence);
	int fd, kept = dup(own);

	/* a batch of our own whose socket is exchanged for the fence's */
	assert_int_equal(nft_batch_open(&batch), 0);
	for (fd = kept + 1; fd < 256; fd++) {
		int protocol = 0;
		socklen_t size = sizeof(protocol);

		if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 &&
		    protocol == NETLINK_NETFILTER)
			break;
	}
	assert_true(fd < 256);
	assert_int_equal(dup2(own, fd), fd);
	nft_batch_begin(batch);
	put(batch, fence_table(fence));
	assert_int_equal(nft_batch_commit(batch, &refused), 0);
	nft_batch_close(batch);
	close(kept);
}

static void put_no_alive(struct nft_batch *batch, const char *table)
{
	fence_put_alive(batch, table, FENCE_TO_ALL, 0);
}

static void put_no_rules(struct nft_batch *batch, const char *table)
{
	struct nlmsghdr *message = nft_batch_add(batch, NFT_MSG_DELRULE, 0, "rules");

	mnl_attr_put_strz(message, NFTA_RULE_TABLE, table);
	mnl_attr_put_strz(message, NFTA_RULE_CHAIN, "own");
}

static void put_no_hook(struct nft_batch *batch, const char *table)
{
	struct nlmsghdr *message = nft_batch_add(batch, NFT_MSG_DELRULE, 0, "rules");

	mnl_attr_put_strz(message, NFTA_RULE_TABLE, table);
	mnl_attr_put_strz(message, NFTA_RULE_CHAIN, "prerouting");
	message = nft_batch_add(batch, NFT_MSG_DELCHAIN, 0, "chain");
	mnl_attr_put_strz(message, NFTA_CHAIN_TABLE, table);
	mnl_attr_put_strz(message, NFTA_CHAIN_NAME, "prerouting");
}

static void assert_repaired(const struct ground *ground)
{
	const char *found = NULL;

	assert_int_equal(fence_check(ground->fence, ground_now(), &found), 1);
	assert_non_null(found);
	assert_dropped(ground, VIRTUAL4);
	assert_dropped(ground, VIRTUAL6);
	assert_dropped(ground, SERVER4);
	assert_passes(ground, OWN4);
	assert_int_equal(fence_check(ground->fence, ground_now(), &found), 0);
}

static void a_check_puts_back_what_was_taken_away(void **state)
{
	struct ground *ground = ground_need_armed(state);
	struct fence_counters counters;

	assert_int_equal(fence_check(ground->fence, ground_now(), NULL), 0);
	tamper(ground->fence, put_no_alive);
	assert_passes(ground, VIRTUAL4);
	assert_repaired(ground);
	tamper(ground->fence, put_no_rules);
	assert_repaired(ground);
	tamper(ground->fence, fence_put_removal);
	assert_passes(ground, VIRTUAL4);
	assert_repaired(ground);
	tamper(ground->fence, put_no_hook);
	assert_passes(ground, VIRTUAL4);
	assert_repaired(ground);
	assert_int_equal(fence_read_counters(ground->fence, &counters), 0);
	assert_int_equal(counters.repairs, 4);
	assert_int_equal(counters.virtual_packets, 8);
	assert_int_equal(counters.forward_packets, 4);
}

static void a_check_puts_back_what_is_closed_to_strangers_only(void **state)
{
	struct ground *ground = ground_need_armed(state);

	assert_int_equal(fence_pass_known(ground->fence, ground_now()), 0);
	tamper(ground->fence, fence_put_removal);
	assert_passes(ground, VIRTUAL4);
	assert_repaired(ground);
	netns_run(ground->node, "nft list chain inet twintrack-7 behind | grep -q 'ct status .* accept'");
	assert_int_equal(fence_check(ground->fence, ground_now(), NULL), 0);
}

static void without_its_table_every_call_still_does_its_work(void **state)
{
	struct ground *ground = ground_need_armed(state);
	struct address_prefix address = ground_prefix(OWN4, 32);

	tamper(ground->fence, fence_put_removal);
	assert_int_equal(fence_refresh(ground->fence, ground_now(), NULL), 0);
	assert_dropped(ground, VIRTUAL4);
	tamper(ground->fence, fence_put_removal);
	assert_int_equal(fence_set_addresses(ground->fence, &address, 1), 0);
	assert_int_equal(fence_check(ground->fence, ground_now(), NULL), 1);
	assert_dropped(ground, OWN4);
	assert_passes(ground, VIRTUAL4);
	tamper(ground->fence, fence_put_removal);
	assert_int_equal(fence_open(ground->fence), 0);
	assert_passes(ground, OWN4);
	assert_int_equal(fence_arm(ground->fence, ground_now(), NULL), 0);
	assert_dropped(ground, OWN4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    FENCE_TEST(opened_it_drops_nothing_more),
	    FENCE_TEST(without_a_refresh_it_opens_and_a_refresh_closes_it_again),
	    FENCE_TEST(refreshed_in_time_it_stays_closed),
	    FENCE_TEST(when_its_owner_is_killed_it_is_gone_at_once),
	    FENCE_TEST(when_its_owner_hangs_it_opens_within_the_timeout),
	    FENCE_TEST(a_flush_of_the_ruleset_leaves_it_armed),
	    FENCE_TEST(a_second_instance_takes_another_name),
	    FENCE_TEST(a_table_that_nobody_owns_makes_way),
	    FENCE_TEST(without_the_right_it_says_so),
	    FENCE_TEST(an_opening_that_is_refused_opens_all_the_same),
	    FENCE_TEST(a_check_puts_back_what_was_taken_away),
	    FENCE_TEST(a_check_puts_back_what_is_closed_to_strangers_only),
	    FENCE_TEST(without_its_table_every_call_still_does_its_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
