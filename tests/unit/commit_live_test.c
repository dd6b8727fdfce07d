/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A connection with packets at both ends goes on when its flow is committed. */
#include "tests/unit/commit_ground.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* A connection over lo; what is sent at one end must arrive at the other. */
static int pass_byte(int from, int to, unsigned patience_ms)
{
	const struct timeval patience = {.tv_sec = patience_ms / 1000, .tv_usec = patience_ms % 1000 * 1000};
	char byte = 'x';

	setsockopt(to, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (send(from, &byte, 1, 0) != 1)
		return -errno;
	return recv(to, &byte, 1, 0) == 1 ? 0 : -EIO;
}

static struct flow key_of(int client, struct sockaddr_in server)
{
	struct flow key = {.family = FLOW_IPV4, .protocol = PROTOCOL_TCP};
	struct sockaddr_in own;
	socklen_t length = sizeof(own);

	assert_int_equal(getsockname(client, (struct sockaddr *)&own, &length), 0);
	memcpy(key.orig.src, &own.sin_addr, 4);
	memcpy(key.orig.dst, &server.sin_addr, 4);
	key.orig.sport = ntohs(own.sin_port);
	key.orig.dport = ntohs(server.sin_port);
	return key;
}

/* The flow of a live connection is taken out of the kernel and committed again: both ends go on, the server
 * first. */
static void check_connection_lives(struct kernel_netns *k, const char *address, bool liberal)
{
	const struct commit_options options = {.fence_closed = true, .tcp_liberal = liberal};
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(5555)}, to = any;
	int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0), server;
	struct commit_end end = {0};
	struct flow flow;

	inet_pton(AF_INET, address, &to.sin_addr);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	assert_int_equal(bind(listener, (struct sockaddr *)&any, sizeof(any)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof(to)), 0);
	server = accept(listener, NULL, NULL);
	assert_int_equal(pass_byte(client, server, 3000), 0);
	flow = key_of(client, to);
	flow = kernel_netns_read(k, &flow);
	commit_delete(k->commit, &flow, commit_note_end, &end);
	commit_flush(k->commit);
	assert_int_not_equal(pass_byte(server, client, 50), 0); /* it will be sent again */
	kernel_netns_assert_absent(k, &flow);
	end = commit_write_one(k, &flow, 600, &options);
	/* the kernel may have picked up the server's packet as a flow of its own, the wrong way round */
	assert_true(end.result == COMMIT_CREATED || end.result == COMMIT_REPLACED);
	commit_assert_told_the_truth(k, &end);
	assert_int_equal(pass_byte(server, client, 3000), 0);
	assert_int_equal(pass_byte(client, server, 3000), 0);
	assert_int_equal(kernel_netns_read(k, &flow).tcp.state, FLOW_TCP_ESTABLISHED);
	close(client);
	close(server);
	close(listener);
	kernel_netns_flush();
}

static void a_live_connection_goes_on_after_it_was_committed(void **state)
{
	struct kernel_netns *k = kernel_netns_need(state);

	/* nothing passes without its flow: no picking up from the middle */
	kernel_netns_run("nft -f - <<'END'\n"
			 "table inet strict {\n"
			 "	chain in { type filter hook input priority 10;\n"
			 "		tcp dport 5555 tcp flags != syn ct state new drop\n"
			 "		tcp sport 5555 ct state new drop\n"
			 "		ct state invalid drop\n"
			 "	}\n"
			 "	chain nat { type nat hook output priority -100;\n"
			 "		ip daddr 127.0.0.2 tcp dport 5555 dnat ip to 127.0.0.1\n"
			 "	}\n"
			 "	chain snat_out { type nat hook postrouting priority 90;\n"
			 "		ip daddr 127.0.0.3 tcp dport 5555 snat ip to 127.0.0.9:20000-20100\n"
			 "	}\n"
			 "}\n"
			 "END");
	check_connection_lives(k, "127.0.0.1", true);
	check_connection_lives(k, "127.0.0.1", false);
	check_connection_lives(k, "127.0.0.2", true);
	check_connection_lives(k, "127.0.0.2", false);
	check_connection_lives(k, "127.0.0.3", true);
	kernel_netns_run("nft delete table inet strict");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    NETNS_TEST(a_live_connection_goes_on_after_it_was_committed),
	};

	return cmocka_run_group_tests_name("commit_live", tests, kernel_netns_set_up, kernel_netns_tear_down);
}
