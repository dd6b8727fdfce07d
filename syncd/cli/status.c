/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The status page: the verdict first, then what is wrong, then this node, its peers, kernel, fence and links.
 * Shown is what the daemon tells; what it leaves out is left out here, for both may differ in version.
 */
#include "syncd/cli/json.h"
#include "syncd/cli/page.h"
#include "syncd/cli/verdict.h"

#include <string.h>

enum { INDENT = 9 };

#define NUMBER(n)    page_number((char[PAGE_NUMBER_SIZE]){0}, n)
#define DURATION(us) page_duration((char[PAGE_NUMBER_SIZE]){0}, us)

static void print_node(const struct page *page, const json_t *status)
{
	const char *role = json_words(status, "role"), *software = json_words(status, "software");
	const char *mode = json_words(status, "mode");
	const json_t *internal = json_object_get(status, "internal");
	json_int_t limit = json_number(internal, "max_flows", 0);

	page_line(page, PAGE_PLAIN, INDENT, "node",
		  "%" JSON_INTEGER_FORMAT ", %s, term %" JSON_INTEGER_FORMAT "%s%s%s%s",
		  json_number(status, "node", 0), *role ? role : "role unknown",
		  json_number(status, "term", 0), *mode ? ", " : "", mode, *software ? ", twintrackd " : "",
		  software);
	page_line(page, PAGE_PLAIN, INDENT, "", "%s%s%s flows of its own%s",
		  NUMBER(json_number(internal, "flows", 0)), limit ? " of at most " : "",
		  limit ? NUMBER(limit) : "",
		  json_flag(status, "complete", true) ? "" : "; the first dump is not complete yet");
}

/* "its flows here: in sync, proven 20 ms ago (version 7)" or "its flows here: NOT in sync: why". */
static void print_proof(const struct page *page, const char *what, const json_t *proof)
{
	json_int_t age_ms = json_number(proof, "age_ms", -1);
	const char *reason = json_words(proof, "reason");

	if (json_flag(proof, "in_sync", false))
		page_line(page, PAGE_GOOD, INDENT, "",
			  "%s: in sync, proven %s ago (version %" JSON_INTEGER_FORMAT ")", what,
			  DURATION(age_ms * 1000), json_number(proof, "version", 0));
	else
		page_line(page, PAGE_BAD, INDENT, "", "%s: NOT in sync: %s (%s%s%s)", what,
			  *reason ? reason : "the daemon gives no reason",
			  age_ms < 0 ? "never proven" : "last proven ",
			  age_ms < 0 ? "" : DURATION(age_ms * 1000), age_ms < 0 ? "" : " ago");
}

static void print_peer_counters(const struct page *page, const json_t *peer)
{
	const json_t *resyncs = json_object_get(peer, "resyncs");
	json_int_t divergences = json_number(peer, "divergences", 0),
		   rtt_us = json_number(peer, "rtt_us", -1);

	page_line(page, divergences ? PAGE_DOUBTFUL : PAGE_PLAIN, INDENT, "",
		  "lag %s%s%s; resyncs: %s partial, %s full; %s divergence%s",
		  DURATION(json_number(peer, "lag_us", -1)), rtt_us < 0 ? "" : ", round trip ",
		  rtt_us < 0 ? "" : DURATION(rtt_us), NUMBER(json_number(resyncs, "partial", 0)),
		  NUMBER(json_number(resyncs, "full", 0)), NUMBER(divergences), divergences == 1 ? "" : "s");
}

/* Of what this peer sent us over each link; a link that has lost one in a hundred is doubtful. */
static void print_peer_links(const struct page *page, const json_t *peer)
{
	const json_t *link;
	size_t i;

	json_array_foreach(json_object_get(peer, "links"), i, link)
	{
		json_int_t received = json_number(link, "received", 0), lost = json_number(link, "lost", 0);
		double percent = received + lost > 0 ? 100.0 * (double)lost / (double)(received + lost) : 0;

		page_line(page, percent >= 1 ? PAGE_DOUBTFUL : PAGE_PLAIN, INDENT, "",
			  "over %s: %s datagrams, %s lost (%.2f %%)", json_words(link, "name"),
			  NUMBER(received), NUMBER(lost), percent);
	}
}

static void print_peer(const struct page *page, const json_t *peer)
{
	bool alive = json_flag(peer, "alive", false);
	const char *role = json_words(peer, "role"), *software = json_words(peer, "software");
	const char *problem = json_words(peer, "problem");
	char label[32];

	snprintf(label, sizeof(label), "peer %" JSON_INTEGER_FORMAT, json_number(peer, "node", 0));
	page_line(page, alive ? PAGE_PLAIN : PAGE_BAD, INDENT, label, "%s, %s, %s flows held for it%s%s%s%s",
		  alive ? "alive" : "NOT alive", *role ? role : "role unknown",
		  NUMBER(json_number(peer, "flows", 0)),
		  json_flag(peer, "suspect", false) ? ", it has lost events" : "",
		  json_flag(peer, "complete", true) ? "" : ", its first dump is not complete",
		  *software ? ", twintrackd " : "", software);
	print_proof(page, "its flows here", json_object_get(peer, "holds"));
	print_proof(page, "our flows there", json_object_get(peer, "held"));
	print_peer_counters(page, peer);
	print_peer_links(page, peer);
	if (*problem)
		page_line(page, PAGE_BAD, INDENT, "", "problem: %s", problem);
	if (json_flag(peer, "filters_differ", false))
		page_line(page, PAGE_DOUBTFUL, INDENT, "", "its filters differ from ours");
}

static void print_peers(const struct page *page, const json_t *status)
{
	const json_t *peers = json_object_get(status, "peers"), *peer;
	size_t i;

	json_array_foreach(peers, i, peer) print_peer(page, peer);
	if (json_array_size(peers) == 0)
		page_line(page, PAGE_BAD, INDENT, "peers", "none has been heard");
}

/* The events by kind, or their sum. */
static json_int_t events_of(const json_t *kernel)
{
	const json_t *events = json_object_get(kernel, "events"), *value;
	json_int_t sum = json_number(kernel, "events", 0);
	const char *name;

	json_object_foreach((json_t *)events, name, value) sum += json_integer_value(value);
	return sum;
}

static void print_kernel(const struct page *page, const json_t *status)
{
	const json_t *kernel = json_object_get(status, "kernel");
	json_int_t overruns = json_number(kernel, "overruns", 0);
	bool suspect = json_flag(kernel, "suspect", false);

	if (!kernel)
		return;
	page_line(page,
		  suspect    ? PAGE_BAD
		  : overruns ? PAGE_DOUBTFUL
			     : PAGE_PLAIN,
		  INDENT, "kernel", "%s events, %s overrun%s%s", NUMBER(events_of(kernel)), NUMBER(overruns),
		  overruns == 1 ? "" : "s",
		  suspect ? "; SUSPECT: events were lost, and no audit has been clean since" : "");
}

static void print_fence(const struct page *page, const json_t *status)
{
	const json_t *fence = json_object_get(status, "fence");
	const char *reason = json_words(fence, "reason");
	bool is_primary = !strcmp(json_words(status, "role"), "primary");

	if (!fence)
		return;
	if (json_flag(fence, "armed", false))
		page_line(page, PAGE_GOOD, INDENT, "fence",
			  "armed: no packet gets in before its flow is known");
	else if (is_primary)
		page_line(page, PAGE_PLAIN, INDENT, "fence", "open, for this node is primary%s%s",
			  *reason ? ": " : "", reason);
	else
		page_line(page, PAGE_DOUBTFUL, INDENT, "fence", "off%s%s: a takeover may reset connections",
			  *reason ? ", " : "", reason);
}

static void print_links(const struct page *page, const json_t *status)
{
	const json_t *link;
	size_t i;

	json_array_foreach(json_object_get(status, "links"), i, link)
	{
		bool up = json_flag(link, "up", true);
		const char *problem = json_words(link, "problem");

		page_line(page, up && !*problem ? PAGE_PLAIN : PAGE_BAD, INDENT, i ? "" : "links",
			  "%s %s%s%s", json_words(link, "name"), up ? "up" : "DOWN", *problem ? ": " : "",
			  problem);
	}
}

/* Words of the daemon's own, and who was heard and could not be taken for a peer (wrong key, other version
 * ...). */
static void print_problems(const struct page *page, const json_t *status)
{
	const json_t *problem, *stranger;
	size_t i;

	json_array_foreach(json_object_get(status, "problems"), i, problem)
	    page_line(page, PAGE_BAD, INDENT, "problem", "%s",
		      json_string_value(problem) ? json_string_value(problem) : "?");
	json_array_foreach(json_object_get(status, "strangers"), i, stranger) page_line(
	    page, PAGE_BAD, INDENT, "problem", "node %" JSON_INTEGER_FORMAT ": %s (%s datagrams refused)",
	    json_number(stranger, "node", 0), json_words(stranger, "problem"),
	    NUMBER(json_number(stranger, "count", 0)));
}

static void print_status(const json_t *status)
{
	static const enum page_colour colours[] = {
	    [VERDICT_SAFE] = PAGE_GOOD, [VERDICT_SAFE_BUT] = PAGE_DOUBTFUL, [VERDICT_UNSAFE] = PAGE_BAD};
	struct verdict verdict = verdict_of(status);
	struct page page = page_on(stdout);

	page_line(&page, colours[verdict.kind], 0, "", "%s", verdict.text);
	print_problems(&page, status);
	print_node(&page, status);
	print_peers(&page, status);
	print_kernel(&page, status);
	print_fence(&page, status);
	print_links(&page, status);
}

int status_run(const struct cli *cli, const struct cli_verb *verb, const struct cli_arguments *arguments)
{
	bool as_json = arguments->option[0] != NULL;
	struct client_reply reply = {0};
	struct client_answer answer;
	json_t *status;
	int code;

	(void)verb;
	json_fetch_status(cli, &reply, &answer, &status);
	code = client_exit(cli, &answer);
	if (status && as_json)
		json_print_raw(&reply.json);
	else if (status)
		print_status(status);
	json_decref(status);
	client_reply_free(&reply);
	return code;
}
