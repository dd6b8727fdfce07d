/* SPDX-License-Identifier: GPL-2.0-or-later */
/* wait-synced: asks for the status again and again until enough peers are proven equal. */
#include "syncd/cli/json.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { POLL_MS = 100, TIMEOUT_DEFAULT_MS = 60 * 1000, PEERS_MAX = 15 };

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Live, and equal both ways: the daemon says in_sync of a direction only if its owner is complete and was
 * proven. */
static bool peer_is_synced(const json_t *peer)
{
	return json_flag(peer, "alive", false) && json_flag(peer, "complete", true) &&
	       json_flag(peer, "in_sync", false) &&
	       json_flag(json_object_get(peer, "holds"), "in_sync", true) &&
	       json_flag(json_object_get(peer, "held"), "in_sync", true);
}

static unsigned synced_peers(const json_t *status)
{
	const json_t *peer;
	unsigned count = 0;
	size_t i;

	json_array_foreach(json_object_get(status, "peers"), i, peer) count += peer_is_synced(peer);
	return count;
}

/* Why the first peer that isn't in sync is not. */
static void describe_wait(const json_t *status, char *text, size_t size)
{
	const json_t *peers = json_object_get(status, "peers"), *peer;
	size_t i;

	snprintf(text, size, "no peer has been heard");
	json_array_foreach(peers, i, peer)
	{
		const char *holds = json_words(json_object_get(peer, "holds"), "reason");
		const char *held = json_words(json_object_get(peer, "held"), "reason");
		const char *reason = *holds ? holds : held;

		if (peer_is_synced(peer)) {
			snprintf(text, size, "too few peers have been heard");
			continue;
		}
		if (!json_flag(peer, "alive", false))
			reason = "it is not alive";
		snprintf(text, size, "node %" JSON_INTEGER_FORMAT " is not in sync%s%s",
			 json_number(peer, "node", 0), *reason ? ": " : "", reason);
		return;
	}
}

static void show_progress(const char *text)
{
	if (isatty(STDERR_FILENO))
		fprintf(stderr, "\r\033[K%s%.70s", *text ? "waiting: " : "", text);
}

/* One question, answered within about left_ms: true when enough peers are in sync.  *why tells else why not.
 */
static bool look(const struct cli *cli, uint32_t wanted, int64_t left_ms, struct client_answer *answer,
		 char *why, size_t size)
{
	unsigned patience_s =
	    left_ms / 1000 < CLIENT_PATIENCE_S ? (unsigned)(left_ms / 1000) + 1 : CLIENT_PATIENCE_S;
	struct client_reply reply = {0};
	bool enough = false;
	json_t *status;

	json_fetch_status(cli, patience_s, 0, &reply, answer, &status);
	if (status) {
		unsigned count = synced_peers(status);

		enough = count >= wanted;
		if (enough)
			printf("%u peer%s in sync\n", count, count == 1 ? "" : "s");
		else
			describe_wait(status, why, size);
	} else {
		snprintf(why, size, "%s", *answer->message ? answer->message : "the daemon gives no status");
	}
	json_decref(status);
	client_reply_free(&reply);
	return enough;
}

/*
 * Without a daemon at the start there is nothing to wait for (3); one that goes away later may be restarting,
 * and is waited for.
 */
int wait_run(const struct cli *cli, const struct cli_verb *verb, const struct cli_arguments *arguments)
{
	uint32_t timeout_ms = TIMEOUT_DEFAULT_MS, peers = 1;
	struct client_answer answer;
	char why[CLIENT_MESSAGE_MAX];
	int64_t left_ms, end_ms;

	if (arguments->option[0] &&
	    !cli_read_duration(cli, verb, "--timeout", arguments->option[0], &timeout_ms))
		return CLI_USAGE;
	if (arguments->option[1] &&
	    !cli_read_number(cli, verb, "--peers", arguments->option[1], 1, PEERS_MAX, &peers))
		return CLI_USAGE;
	left_ms = timeout_ms;
	end_ms = now_ms() + left_ms;
	for (bool first = true;; first = false) {
		if (look(cli, peers, left_ms, &answer, why, sizeof(why))) {
			show_progress("");
			return CLI_DONE;
		}
		if (first && answer.outcome != CLIENT_ANSWERED)
			return client_exit(cli, &answer);
		left_ms = end_ms - now_ms();
		if (left_ms <= 0)
			break;
		show_progress(why);
		poll(NULL, 0, left_ms < POLL_MS ? (int)left_ms : POLL_MS);
		left_ms = left_ms < POLL_MS ? 0 : left_ms - POLL_MS;
	}
	show_progress("");
	cli_say(cli, "not in sync with %u peer%s after %u.%03u s: %s", peers, peers == 1 ? "" : "s",
		timeout_ms / 1000, timeout_ms % 1000, why);
	return CLI_FAILED;
}
