/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The status page: the verdict first, then what is wrong, then this node, its peers, kernel, fence and links.
 * Shown is what the daemon tells; what it leaves out is left out here, for both may differ in version.
 */
#include "syncd/cli/json.h"
#include "syncd/cli/page.h"
#include "syncd/cli/verdict.h"
#include "syncd/cli/words.h"

#include <string.h>

enum { INDENT = 9 };

#define NUMBER(n)    page_number((char[PAGE_NUMBER_SIZE]){0}, n)
#define DURATION(us) page_duration((char[PAGE_NUMBER_SIZE]){0}, us)

static void print_words(const struct page *page, const json_t *status, const char *label, words_of *words_for)
{
	struct words words;

	if (words_for(status, &words))
		page_line(page, words.colour, INDENT, label, "%s", words.text);
}

static void print_node(const struct page *page, const json_t *status)
{
	const char *role = json_words(status, "role"), *software = json_words(status, "software");
	const char *mode = json_words(status, "mode");

	page_line(page, PAGE_PLAIN, INDENT, "node",
		  "%" JSON_INTEGER_FORMAT ", %s, term %" JSON_INTEGER_FORMAT "%s%s%s%s",
		  json_number(status, "node", 0), *role ? role : "role unknown",
		  json_number(status, "term", 0), *mode ? ", " : "", mode, *software ? ", twintrackd " : "",
		  software);
	print_words(page, status, "", words_flows);
}

/* "its flows here: in sync, proven 20.0 ms ago (version 7)" or "its flows here: NOT in sync: why". */
static void print_proof(const struct page *page, const char *what, const json_t *proof)
{
	json_int_t age_ms = json_number(proof, "age_ms", -1);
	const char *reason = json_words(proof, "reason");
	char when[64] = "never proven", age[PAGE_NUMBER_SIZE];

	if (age_ms == 0)
		snprintf(when, sizeof(when), "proven just now");
	else if (age_ms > 0)
		snprintf(when, sizeof(when), "proven %s ago", page_duration(age, age_ms * 1000));
	if (json_flag(proof, "in_sync", false))
		page_line(page, PAGE_GOOD, INDENT, "", "%s: in sync, %s (version %" JSON_INTEGER_FORMAT ")",
			  what, when, json_number(proof, "version", 0));
	else
		page_line(page, PAGE_BAD, INDENT, "", "%s: NOT in sync: %s (%s%s)", what,
			  *reason ? reason : "the daemon gives no reason", age_ms < 0 ? "" : "last ", when);
}

static void print_peer_counters(const struct page *page, const json_t *peer)
{
	const json_t *resyncs = json_object_get(peer, "resyncs");
	json_int_t divergences = json_number(peer, "divergences", 0),
		   rtt_us = json_number(peer, "rtt_us", -1);

	page_line(page, divergences ? PAGE_DOUBTFUL : PAGE_PLAIN, INDENT, "",
		  "lag %s%s%s; resyncs %s partial, %s full%s; divergences %s",
		  DURATION(json_number(peer, "lag_us", -1)), rtt_us < 0 ? "" : ", round trip ",
		  rtt_us < 0 ? "" : DURATION(rtt_us), NUMBER(json_number(resyncs, "partial", 0)),
		  NUMBER(json_number(resyncs, "full", 0)),
		  json_flag(resyncs, "full_running", false) ? " (one is running)" : "", NUMBER(divergences));
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
			  "over %s: %s datagrams, %s lost (%.2f %%)", json_words(link, "interface"),
			  NUMBER(received), NUMBER(lost), percent);
	}
}

static void print_peer_orphans(const struct page *page, const json_t *peer)
{
	const json_t *orphan;
	size_t i;

	json_array_foreach(json_object_get(peer, "orphans"), i, orphan)
	    page_line(page, PAGE_DOUBTFUL, INDENT, "",
		      "%s flows from before it rebooted are kept for a takeover (term %" JSON_INTEGER_FORMAT
		      ", last known to live %s ago)",
		      NUMBER(json_number(orphan, "flows", 0)), json_number(orphan, "term", 0),
		      DURATION(json_number(orphan, "age_ms", 0) * 1000));
}

static void print_peer(const struct page *page, const json_t *peer)
{
	bool alive = json_flag(peer, "alive", false);
	const char *role = json_words(peer, "role"), *software = json_words(peer, "software");
	json_int_t silent_ms = json_number(peer, "silent_ms", -1);
	bool tells_silence = !alive && silent_ms >= 0;
	char label[32];

	snprintf(label, sizeof(label), "peer %" JSON_INTEGER_FORMAT, json_number(peer, "node", 0));
	page_line(page, alive ? PAGE_PLAIN : PAGE_BAD, INDENT, label,
		  "%s%s%s, %s, %s flows held for it%s%s%s%s", alive ? "alive" : "NOT alive",
		  tells_silence ? ", silent for " : "", tells_silence ? DURATION(silent_ms * 1000) : "",
		  *role ? role : "role unknown", NUMBER(json_number(peer, "flows", 0)),
		  json_flag(peer, "suspect", false) ? ", it has lost events" : "",
		  json_flag(peer, "complete", true) ? "" : ", its first dump is not complete",
		  *software ? ", twintrackd " : "", software);
	print_proof(page, "its flows here", json_object_get(peer, "holds"));
	print_proof(page, "our flows there", json_object_get(peer, "held"));
	print_peer_orphans(page, peer);
	print_peer_counters(page, peer);
	print_peer_links(page, peer);
}

static void print_peers(const struct page *page, const json_t *status)
{
	const json_t *peers = json_object_get(status, "peers"), *peer;
	size_t i;

	json_array_foreach(peers, i, peer) print_peer(page, peer);
	if (json_array_size(peers) == 0)
		page_line(page, PAGE_BAD, INDENT, "peers", "none has been heard");
}

static void print_links(const struct page *page, const json_t *status)
{
	const json_t *link;
	size_t i;

	json_array_foreach(json_object_get(status, "links"), i, link)
	{
		bool up = json_flag(link, "up", true);
		const char *problem = json_words(link, "problem");
		json_int_t failed = json_number(link, "send_failed", 0),
			   dropped = json_number(link, "receive_dropped", 0);

		page_line(page,
			  !up                 ? PAGE_BAD
			  : failed || dropped ? PAGE_DOUBTFUL
					      : PAGE_PLAIN,
			  INDENT, i ? "" : "links", "%s %s%s%s%s%s%s%s", json_words(link, "interface"),
			  up ? "up" : "DOWN", *problem ? ": " : "", problem,
			  failed ? "; sends that failed: " : "", failed ? NUMBER(failed) : "",
			  dropped ? "; dropped, the receive buffer was full: " : "",
			  dropped ? NUMBER(dropped) : "");
	}
}

/* Datagrams that were not taken, by cause. */
static void print_drops(const struct page *page, const json_t *status)
{
	const json_t *drops = json_object_get(status, "drops"), *count;
	char text[512] = "";
	const char *cause;

	json_object_foreach((json_t *)drops, cause, count)
	{
		size_t used = strlen(text);

		if (json_integer_value(count) > 0)
			snprintf(text + used, sizeof(text) - used, "%s%s %s", used ? ", " : "",
				 NUMBER(json_integer_value(count)), cause);
	}
	if (*text)
		page_line(page, PAGE_PLAIN, INDENT, "refused", "%s", text);
}

/* The daemon names a stranger among its problems, too, as long as it is heard; here that is said once, with
 * the count. */
static bool is_of_stranger(const json_t *status, const char *problem)
{
	const json_t *stranger;
	char text[256];
	size_t i;

	json_array_foreach(json_object_get(status, "strangers"), i, stranger)
	{
		snprintf(text, sizeof(text), "node %" JSON_INTEGER_FORMAT ": %s",
			 json_number(stranger, "node", 0), json_words(stranger, "problem"));
		if (!strcmp(text, problem))
			return true;
	}
	return false;
}

static void print_stranger(const struct page *page, const json_t *stranger)
{
	enum { RECENT_MS = 60 * 1000 };
	json_int_t age_ms = json_number(stranger, "age_ms", 0);
	const char *problem = json_words(stranger, "problem");

	page_line(page, age_ms < RECENT_MS ? PAGE_BAD : PAGE_DOUBTFUL, INDENT, "problem",
		  "node %" JSON_INTEGER_FORMAT ": %s (%s datagrams refused, last %s ago)",
		  json_number(stranger, "node", 0), *problem ? problem : json_words(stranger, "cause"),
		  NUMBER(json_number(stranger, "count", 0)), DURATION(age_ms * 1000));
}

static void print_problems(const struct page *page, const json_t *status)
{
	const json_t *problem, *stranger;
	size_t i;

	json_array_foreach(json_object_get(status, "problems"), i, problem)
	{
		const char *text = json_string_value(problem);

		if (text && !is_of_stranger(status, text))
			page_line(page, PAGE_BAD, INDENT, "problem", "%s", text);
	}
	json_array_foreach(json_object_get(status, "strangers"), i, stranger) print_stranger(page, stranger);
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
	print_words(&page, status, "role", words_wanted);
	print_words(&page, status, "handover", words_handover);
	print_words(&page, status, "warm", words_warm);
	print_peers(&page, status);
	print_words(&page, status, "kernel", words_kernel);
	print_words(&page, status, "fence", words_fence);
	print_links(&page, status);
	print_drops(&page, status);
}

int status_run(const struct cli *cli, const struct cli_verb *verb, const struct cli_arguments *arguments)
{
	bool as_json = arguments->option[0] != NULL;
	struct client_reply reply = {0};
	struct client_answer answer;
	json_t *status;
	int code;

	(void)verb;
	json_fetch_status(cli, CLIENT_PATIENCE_S, 0, &reply, &answer, &status);
	code = client_exit(cli, &answer);
	if (status && as_json)
		json_print_raw(&reply.json);
	else if (status)
		print_status(status);
	json_decref(status);
	client_reply_free(&reply);
	return code;
}
