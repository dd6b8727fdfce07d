/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The words of conntrackd.conf(5), its aliases and its deprecated ones, and what becomes of each. */
#include "syncd/cli/import_config.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct import {
	const struct import_tree *tree;
	struct import_result *result;
	const struct import_statement *at;
	unsigned link; /* the one that is being read */
};

void import_remark(struct import_result *result, int line, const char *format, ...)
{
	va_list list;

	if (result->remarks == IMPORT_REMARKS_MAX)
		return;
	result->remark[result->remarks].line = line;
	va_start(list, format);
	vsnprintf(result->remark[result->remarks].text, IMPORT_VALUE_SIZE, format, list);
	va_end(list);
	result->remarks++;
}

__attribute__((format(printf, 4, 5))) static void emit(struct import *import, const char *section,
						       const char *key, const char *format, ...)
{
	struct import_result *result = import->result;
	struct import_key *to = &result->key[result->keys];
	va_list list;

	if (result->keys == IMPORT_KEYS_MAX) {
		import_remark(result, import->at->line,
			      "there are more keys than this command can write: left out");
		return;
	}
	*to = (struct import_key){
	    .section = section, .key = key, .link = import->link, .line = import->at ? import->at->line : 0};
	va_start(list, format);
	vsnprintf(to->value, sizeof(to->value), format, list);
	va_end(list);
	result->keys++;
}

/* The value of the statement, "" if it has none. */
static const char *value_of(const struct import *import)
{
	return import->at->words > 1 ? import->at->word[1] : "";
}

static bool is_on(const char *value)
{
	return !strcasecmp(value, "on") || !strcasecmp(value, "yes");
}

static const struct import_statement *parent_of(const struct import *import,
						const struct import_statement *of)
{
	return of->depth ? &import->tree->statement[of->parent] : NULL;
}

/* Every word in a block such as `Protocol Accept { TCP UDP }`, lower case, divided by blanks. */
static void list_words(const struct import *import, char *list, size_t size)
{
	size_t length = 0;

	list[0] = '\0';
	for (const struct import_statement *in = import->at + 1;
	     in < import->tree->statement + import->tree->count && in->depth > import->at->depth; in++)
		for (size_t i = 0; i < in->words; i++) {
			int room =
			    snprintf(list + length, size - length, "%s%s", length ? " " : "", in->word[i]);

			if (room < 0 || (size_t)room >= size - length)
				return;
			length += (size_t)room;
		}
	for (char *c = list; *c; c++)
		*c = (char)tolower((unsigned char)*c);
}

/* ---- links ---- */

/* The name stands in the section's head; until it comes, its place is held. */
static void begin_link(struct import *import)
{
	struct import_result *result = import->result;

	import->link = result->links++;
	snprintf(result->link_name[import->link], IMPORT_WORD_SIZE, "INTERFACE");
	if (import->at->words > 1 && !strcmp(value_of(import), "Default"))
		import_remark(result, import->at->line,
			      "Default: every datagram goes over all links at once, none is the first");
	if (!strcmp(import->at->word[0], "TCP"))
		import_remark(
		    result, import->at->line,
		    "TCP: taken over as unicast over UDP; losses are repaired, so TCP is not needed, and a stalled "
		    "connection would hold up everything behind it");
}

static void take_interface(struct import *import)
{
	snprintf(import->result->link_name[import->link], IMPORT_WORD_SIZE, "%s", value_of(import));
}

static bool is_in_multicast(const struct import *import)
{
	const struct import_statement *parent = parent_of(import, import->at);

	return parent && !strcasecmp(parent->word[0], "Multicast");
}

static void take_address(struct import *import)
{
	emit(import, "link", is_in_multicast(import) ? "group" : "address", "%s", value_of(import));
}

static void take_peer(struct import *import)
{
	emit(import, "link", "peer", "%s", value_of(import));
}

static void take_local_address(struct import *import)
{
	emit(import, "link", "address", "%s", value_of(import));
}

static void take_send_buffer(struct import *import)
{
	emit(import, "link", "send-buffer", "%s", value_of(import));
}

static void take_receive_buffer(struct import *import)
{
	emit(import, "link", "receive-buffer", "%s", value_of(import));
}

static void take_port(struct import *import)
{
	import_remark(
	    import->result, import->at->line,
	    "%s %s: the port stays 9788, so that both daemons can run side by side during the move; open it in "
	    "the ruleset",
	    import->at->word[0], value_of(import));
}

/* ---- the rest of Sync ---- */

static void take_mode(struct import *import)
{
	if (!strcasecmp(value_of(import), "FTFW"))
		return;
	import_remark(
	    import->result, import->at->line,
	    "Mode %s: there is one way, reliable and proven; nothing is sent again and again on suspicion",
	    value_of(import));
}

static void take_commit_timeout(struct import *import)
{
	emit(import, "commit", "timeout", "%s", value_of(import));
	import_remark(
	    import->result, import->at->line,
	    "CommitTimeout: taken over; without it (auto) each flow keeps the time that it has left");
}

static void take_external_cache(struct import *import)
{
	if (is_on(value_of(import)))
		emit(import, "commit", "mode", "warm");
}

static void take_window_tracking(struct import *import)
{
	if (is_on(value_of(import)))
		emit(import, "commit", "tcp-window", "strict");
}

static void take_expectations(struct import *import)
{
	char list[IMPORT_VALUE_SIZE];

	list_words(import, list, sizeof(list));
	if (list[0])
		emit(import, "expect", "helpers", "%s", list);
	else if (is_on(value_of(import)))
		emit(import, "expect", "helpers", "all");
}

/* ---- General ---- */

static void take_event_buffer(struct import *import)
{
	emit(import, "kernel", "event-buffer", "%s", value_of(import));
}

static void take_event_buffer_max(struct import *import)
{
	emit(import, "kernel", "event-buffer-max", "%s", value_of(import));
}

static void take_poll(struct import *import)
{
	emit(import, "kernel", "audit-interval", "%ss", value_of(import));
	import_remark(
	    import->result, import->at->line,
	    "PollSecs: events are followed all the time; the audit, which looks at the whole table, takes its place");
}

static void take_syslog(struct import *import)
{
	const char *value = value_of(import);
	char lower[IMPORT_WORD_SIZE];

	if (!strcasecmp(value, "off") || !strcasecmp(value, "no"))
		return;
	snprintf(lower, sizeof(lower), "%s", value);
	for (char *c = lower; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	if (is_on(value))
		emit(import, "log", "target", "syslog");
	else
		emit(import, "log", "target", "syslog:%s", lower);
}

static void take_scheduler(struct import *import)
{
	const char *type = "", *priority = "1";

	for (const struct import_statement *in = import->at + 1;
	     in < import->tree->statement + import->tree->count && in->depth > import->at->depth; in++) {
		if (in->words > 1 && !strcasecmp(in->word[0], "Type"))
			type = in->word[1];
		if (in->words > 1 && !strcasecmp(in->word[0], "Priority"))
			priority = in->word[1];
	}
	if (!strcasecmp(type, "RR") || !strcasecmp(type, "FIFO"))
		emit(import, "process", "scheduler", "%s:%s", strcasecmp(type, "RR") ? "fifo" : "rr",
		     priority);
}

/* ---- Filter ---- */

static bool accepts(const struct import *import)
{
	return !strcasecmp(value_of(import), "Accept");
}

/* All of `all` that do not stand in `list`, both divided by blanks. */
static void without(const char *all, const char *list, char *rest, size_t size)
{
	size_t length = 0;

	rest[0] = '\0';
	while (*all) {
		size_t word = strcspn(all, " ");
		bool found = false;

		for (const char *at = list; *at && !found; at += strcspn(at, " "), at += *at == ' ')
			found = strcspn(at, " ") == word && !strncmp(at, all, word);
		if (!found && length + word + 2 < size)
			length += (size_t)snprintf(rest + length, size - length, "%s%.*s", length ? " " : "",
						   (int)word, all);
		all += word + (all[word] == ' ');
	}
}

/* In place of every `from` comes the shorter or equally long `to`. */
static void rename_all(char *list, const char *from, const char *to)
{
	size_t old = strlen(from), new = strlen(to);

	for (char *at = list; (at = strstr(at, from)) != NULL; at += new) {
		memcpy(at, to, new);
		memmove(at + new, at + old, strlen(at + old) + 1);
	}
}

static void take_protocols(struct import *import)
{
	char list[IMPORT_VALUE_SIZE];

	list_words(import, list, sizeof(list));
	rename_all(list, "ipv6-icmp", "icmpv6"); /* both are conntrackd's names */
	emit(import, "filter", accepts(import) ? "protocols" : "ignore-protocols", "%s", list);
}

static void take_states(struct import *import)
{
	char list[IMPORT_VALUE_SIZE], states[IMPORT_VALUE_SIZE];

	list_words(import, list, sizeof(list));
	rename_all(list, "closed", "close");
	rename_all(list, "_", "-");
	without(list, "for tcp", states, sizeof(states));
	emit(import, "filter", accepts(import) ? "tcp-states" : "ignore-tcp-states", "%s", states);
}

static bool is_loopback(const char *address)
{
	return !strncmp(address, "127.", 4) || !strcmp(address, "::1") || !strcmp(address, "::1/128");
}

static void take_addresses(struct import *import)
{
	const struct import_statement *section = import->at;
	bool accept = accepts(import);

	for (const struct import_statement *in = section + 1;
	     in < import->tree->statement + import->tree->count && in->depth > section->depth; in++) {
		if (in->words < 2)
			continue;
		import->at = in;
		if (!accept && is_loopback(in->word[1]))
			import_remark(import->result, in->line,
				      "%s: [filter] ignore-local leaves it out already", in->word[1]);
		else
			emit(import, "filter", accept ? "accept-address" : "ignore-address", "%s",
			     in->word[1]);
	}
	import->at = section;
	if (!accept)
		import_remark(
		    import->result, section->line,
		    "Address Ignore: the node's own addresses, the virtual ones too, need no line: ignore-local "
		    "knows them, and follows them when they move");
}

/* ---- the table ---- */

struct rule {
	const char *word;
	void (*take)(struct import *import);
	const char *remark; /* why it has no counterpart; NULL: it has one */
	bool is_whole;      /* what is in the block needs no further look */
};

#define RELIABLE                                                                                             \
	"repair, catch-up and what follows an outage need no settings: memory is bounded by the table"
#define CACHE "tables grow by themselves up to [table] max-flows, which follows nf_conntrack_max"
#define LOG   "it logs where [log] target says, standard error by default; a service manager keeps it"

/* clang-format off */
static const struct rule rules[] = {
	{"Sync", NULL, NULL, false},
	{"General", NULL, NULL, false},
	{"Stats", NULL, "the statistics mode: run `twintrack -E -e DESTROY -o json,timestamp` as a flow log", true},
	{"Helper", NULL, "userspace helpers are out of scope: use the kernel's, or leave conntrackd running for them alone", true},
	{"Mode", take_mode, NULL, false},
	{"Multicast", begin_link, NULL, false},
	{"UDP", begin_link, NULL, false},
	{"TCP", begin_link, NULL, false},
	{"Options", NULL, NULL, false},
	{"UNIX", NULL, "the control socket is [control] socket, and has its default", true},
	{"Scheduler", take_scheduler, NULL, true},
	{"Filter", NULL, NULL, false},

	{"Interface", take_interface, NULL, false},
	{"IPv4_address", take_address, NULL, false},
	{"IPv6_address", take_address, NULL, false},
	{"IPv4_interface", take_local_address, NULL, false},
	{"IPv6_interface", take_local_address, NULL, false},
	{"IPv4_Destination_Address", take_peer, NULL, false},
	{"IPv6_Destination_Address", take_peer, NULL, false},
	{"Group", take_port, NULL, false},
	{"Port", take_port, NULL, false},
	{"SndSocketBuffer", take_send_buffer, NULL, false},
	{"McastSndSocketBuffer", take_send_buffer, NULL, false},
	{"RcvSocketBuffer", take_receive_buffer, NULL, false},
	{"McastRcvSocketBuffer", take_receive_buffer, NULL, false},
	{"Checksum", NULL, "every datagram is sealed, and its seal checked", false},

	{"DisableExternalCache", take_external_cache, NULL, false},
	{"CacheWriteThrough", take_external_cache, NULL, false},
	{"DisableInternalCache", NULL, "the internal table is what is streamed, repaired from and proven: it is always there", false},
	{"CommitTimeout", take_commit_timeout, NULL, false},
	{"PurgeTimeout", NULL, "leftovers are withdrawn flow by flow after a hand-over; nothing is purged by time", false},
	{"ResetTimer", NULL, "leftovers are withdrawn flow by flow after a hand-over; nothing is purged by time", false},
	{"StartupResync", NULL, "a node that starts always fetches what it lacks", false},
	{"ResendQueueSize", NULL, RELIABLE, false},
	{"ResendBufferSize", NULL, RELIABLE, false},
	{"ACKWindowSize", NULL, RELIABLE, false},
	{"ErrorQueueLength", NULL, RELIABLE, false},
	{"RefreshTime", NULL, "nothing is sent again on suspicion", false},
	{"CacheTimeout", NULL, "a silent peer's flows run out by their own timeouts, or go when a newer primary is proven to hold them", false},
	{"ExpireTimeout", NULL, "a silent peer's flows run out by their own timeouts, or go when a newer primary is proven to hold them", false},
	{"DelayDestroyMessages", NULL, RELIABLE, false},
	{"RelaxTransitions", NULL, "role changes are idempotent and run one at a time", false},
	{"Replicate", NULL, "use [filter] tcp-states", true},
	{"StripNAT", NULL, "NAT is always replicated", false},
	{"TCPWindowTracking", take_window_tracking, NULL, false},
	{"ExpectationSync", take_expectations, NULL, true},

	{"Nice", NULL, "use [process] scheduler, or the service manager's setting", false},
	{"HashSize", NULL, CACHE, false},
	{"HashLimit", NULL, CACHE, false},
	{"LogFile", NULL, LOG, false},
	{"Syslog", take_syslog, NULL, false},
	{"LockFile", NULL, "there is none to be left behind: the control socket tells whether a daemon runs", false},
	{"Family", NULL, "IPv4 and IPv6 are both followed", false},
	{"NetlinkBufferSize", take_event_buffer, NULL, false},
	{"SocketBufferSize", take_event_buffer, NULL, false},
	{"NetlinkBufferSizeMaxGrowth", take_event_buffer_max, NULL, false},
	{"SocketBufferSizeMaxGrowth", take_event_buffer_max, NULL, false},
	{"SocketBufferSizeMaxGrown", take_event_buffer_max, NULL, false},
	{"NetlinkOverrunResync", NULL, "after an overrun an audit begins at once, and nothing is called in sync before it is clean", false},
	{"NetlinkEventsReliable", NULL, "reliable delivery drops packets when the daemon is busy; an overrun is repaired by the audit instead", false},
	{"EventIterationLimit", NULL, "the loop works in slices of 2 ms by itself", false},
	{"PollSecs", take_poll, NULL, false},
	{"Systemd", NULL, "sd_notify is used wherever there is a manager", false},
	{"Protocol", take_protocols, NULL, true},
	{"IgnoreProtocol", take_protocols, NULL, true},
	{"Address", take_addresses, NULL, true},
	{"IgnoreTrafficFor", take_addresses, NULL, true},
	{"State", take_states, NULL, true},
};
/* clang-format on */

static const struct rule *find_rule(const char *word)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (!strcasecmp(rules[i].word, word))
			return &rules[i];
	return NULL;
}

static size_t end_of_block(const struct import_tree *tree, size_t at)
{
	size_t end = at + 1;

	while (end < tree->count && tree->statement[end].depth > tree->statement[at].depth)
		end++;
	return end;
}

static void check_filter(struct import *import)
{
	if (import->at->words > 2 && !strcasecmp(import->at->word[2], "Kernelspace"))
		import_remark(
		    import->result, import->at->line,
		    "Filter From Kernelspace: one filter decides for events, dumps and audits alike; no need to choose "
		    "where");
}

void import_translate(const struct import_tree *tree, unsigned node_id, struct import_result *result)
{
	struct import import = {.tree = tree, .result = result};

	emit(&import, "node", "id", "%u", node_id);
	emit(&import, "sync", "key-file", "/etc/twintrack/key");
	for (size_t i = 0; i < tree->count;) {
		const struct import_statement *at = &tree->statement[i];
		const struct rule *rule = find_rule(at->word[0]);
		bool is_too_many =
		    rule != NULL && rule->take == begin_link && result->links == IMPORT_LINKS_MAX;

		import.at = at;
		if (rule == NULL)
			import_remark(result, at->line, "%s: this word is not known", at->word[0]);
		else if (rule->remark != NULL)
			import_remark(result, at->line, "%s: %s", at->word[0], rule->remark);
		else if (is_too_many)
			import_remark(result, at->line, "%s: only %d links are possible: left out",
				      at->word[0], IMPORT_LINKS_MAX);
		else if (rule->take != NULL)
			rule->take(&import);
		if (!strcasecmp(at->word[0], "Filter"))
			check_filter(&import);
		i = rule == NULL || rule->is_whole || is_too_many ? end_of_block(tree, i) : i + 1;
	}
}
