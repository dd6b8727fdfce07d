/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/kernel/fence_state.h"

#include <errno.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "syncd/kernel/nft_batch.h"

#define CREATE_ATTEMPTS 3
#define MANY_WAITING    (FENCE_WAITING_MAX / 4)

/* Elements expire by jiffies, so up to one of them early; the longest (CONFIG_HZ=100) takes 10 ms. */
#define JIFFY_MAX ((struct monotime){10000})

int fence_fail(struct fence *fence, int error, const char *doing, const char *object)
{
	const char *hint = error == -EPERM ? " (CAP_NET_ADMIN is needed)" : "";

	snprintf(fence->error, sizeof(fence->error), "fence: %s%s%s: %s%s", doing, object ? " " : "",
		 object ? object : "", strerror(-error), hint);
	return error;
}

/* ---- changes ---- */

static uint64_t timeout_ms(const struct fence *fence)
{
	return (uint64_t)(fence->timeout.us / 1000);
}

int fence_commit(struct fence *fence, const char *doing)
{
	const char *refused;
	int error = nft_batch_commit(fence->batch, &refused);

	return error ? fence_fail(fence, error, doing, refused) : 0;
}

/* Of the rules from that place on, which are gone. */
static void keep_counters_from(struct fence *fence, size_t first)
{
	for (size_t place = first; place < FENCE_RULES; place++) {
		struct fence_drops *past =
		    fence_rule_at(place) == FENCE_RULE_FORWARD ? &fence->past_forward : &fence->past_virtual;

		past->packets += fence->drops[place].packets;
		past->bytes += fence->drops[place].bytes;
		fence->drops[place] = (struct fence_drops){0};
	}
}

static void keep_counters(struct fence *fence)
{
	keep_counters_from(fence, 0);
}

static bool is_owned_by_another(const struct fence *fence, const struct fence_table_answer *table)
{
	return table->is_there && (table->flags & NFT_TABLE_F_OWNER) &&
	       table->owner != nft_batch_port(fence->batch);
}

/* Chooses the name, and says whether a table of that name has to make way. */
static int choose_table(struct fence *fence, bool *is_in_the_way)
{
	struct fence_table_answer table;

	snprintf(fence->table, sizeof(fence->table), "twintrack-%u", (unsigned)fence->node_id);
	int error = fence_get_table(fence->batch, fence->table, &table);
	if (!error && is_owned_by_another(fence, &table)) {
		snprintf(fence->table, sizeof(fence->table), "twintrack-%u-%u", (unsigned)fence->node_id,
			 (unsigned)nft_batch_port(fence->batch));
		error = fence_get_table(fence->batch, fence->table, &table);
	}
	*is_in_the_way = table.is_there;
	return error ? fence_fail(fence, error, "ask the kernel for the table (CONFIG_NF_TABLES)", NULL) : 0;
}

/* The whole table in one transaction, closed to these when that is wanted. */
static int install_once(struct fence *fence, struct monotime now, enum fence_kind kind)
{
	bool is_in_the_way, has_strangers = fence->is_wanted && kind == FENCE_TO_STRANGERS;
	struct fence_counters counters;
	int error = choose_table(fence, &is_in_the_way);

	if (error)
		return error;
	if (is_in_the_way)
		fence_read_counters(fence, &counters); /* the rules that count are about to be replaced */
	nft_batch_begin(fence->batch);
	if (is_in_the_way)
		fence_put_removal(fence->batch, fence->table);
	fence_put_table(fence->batch, fence->table);
	fence_put_known(fence);
	if (fence->is_wanted)
		fence_put_behind(fence->batch, fence->table);
	if (has_strangers)
		fence_put_strangers(fence->batch, fence->table);
	if (fence->is_wanted)
		fence_put_alive(fence->batch, fence->table, kind, timeout_ms(fence));
	error = fence_commit(fence, "nf_tables refuses");
	if (error)
		return error;
	keep_counters(fence);
	fence->kind = kind;
	fence->has_behind = fence->is_wanted;
	fence->has_strangers = has_strangers;
	fence->is_refreshed = fence->is_wanted;
	fence->refreshed_at = now;
	return 0;
}

static size_t rule_count(const struct fence *fence)
{
	return fence->has_strangers ? FENCE_RULES : FENCE_RULES_TO_ALL;
}

/* Learns how the kernel numbered the rules. */
static int read_back(struct fence *fence)
{
	struct fence_rules_answer rules;
	int error = fence_get_rules(fence->batch, fence->table, &rules);

	if (error)
		return fence_fail(fence, error, "read back the rules of table", fence->table);
	if (rules.count != rule_count(fence))
		return fence_fail(fence, -EIO, "the kernel doesn't list all rules of table", fence->table);
	memcpy(fence->handles, rules.handles, sizeof(fence->handles));
	return 0;
}

/* Between the question whether a table is in the way and the answer to it another program may have changed
 * that. */
static int install(struct fence *fence, struct monotime now, enum fence_kind kind)
{
	int error = -EEXIST;
	struct fence_table_answer table;

	for (int attempt = 0; attempt < CREATE_ATTEMPTS && (error == -EEXIST || error == -ENOENT); attempt++)
		error = install_once(fence, now, kind);
	if (!error)
		error = read_back(fence);
	if (error)
		return error;
	error = fence_get_table(fence->batch, fence->table, &table);
	if (error)
		return fence_fail(fence, error, "read back the table", fence->table);
	if (table.owner != nft_batch_port(fence->batch))
		return fence_fail(fence, -EOPNOTSUPP, "this kernel has no table owners (NFT_TABLE_F_OWNER)",
				  NULL);
	return 0;
}

static int open_socket(struct fence *fence)
{
	if (fence->batch)
		return 0;
	int error = nft_batch_open(&fence->batch);

	return error ? fence_fail(fence, error, "open a netfilter netlink socket", NULL) : 0;
}

int fence_create(struct fence **fence, uint16_t node_id, struct monotime timeout, char *error_text,
		 size_t size)
{
	struct fence *created = calloc(1, sizeof(*created));

	if (!created) {
		snprintf(error_text, size, "fence: no memory");
		return -ENOMEM;
	}
	created->node_id = node_id;
	created->timeout = timeout;
	int error = 0;
	if (timeout.us < FENCE_TIMEOUT_MIN.us || timeout.us > FENCE_TIMEOUT_MAX.us)
		error = fence_fail(created, -EINVAL, "timeout must lie between 100 ms and 1 h", NULL);
	if (!error)
		error = open_socket(created);
	if (!error)
		error = install(created, MONOTIME_NEVER, FENCE_TO_ALL);
	if (error) {
		snprintf(error_text, size, "%s", created->error);
		fence_destroy(created);
		return error;
	}
	*fence = created;
	return 0;
}

void fence_destroy(struct fence *fence)
{
	if (!fence)
		return;
	nft_batch_close(fence->batch); /* and so the table */
	free(fence->virtual_addresses.prefixes);
	free(fence->own_addresses.prefixes);
	free(fence);
}

/* ---- closing and opening ---- */

static void note_closed(struct fence *fence, enum fence_kind kind, struct monotime now)
{
	fence->kind = kind;
	fence->is_refreshed = true;
	fence->refreshed_at = now;
}

/* Also closes an open one, and changes from closed to strangers to closed to all. */
static int renew(struct fence *fence, struct monotime now, enum fence_kind kind, const char *doing)
{
	nft_batch_begin(fence->batch);
	if (!fence->has_behind)
		fence_put_behind(fence->batch, fence->table);
	fence_put_alive(fence->batch, fence->table, kind, timeout_ms(fence));
	int error = fence_commit(fence, doing);
	if (error)
		return error;
	note_closed(fence, kind, now);
	fence->has_behind = true;
	return 0;
}

static bool has_lapsed(const struct fence *fence, struct monotime now)
{
	return fence->is_refreshed && now.us - fence->refreshed_at.us >= fence->timeout.us - JIFFY_MAX.us;
}

static void set_next(const struct fence *fence, struct monotime now, struct monotime *next)
{
	if (next)
		*next = monotime_add(now, monotime_from_us(fence->timeout.us / 3));
}

int fence_arm(struct fence *fence, struct monotime now, struct monotime *next)
{
	bool was_wanted = fence->is_wanted;

	fence->is_wanted = true;
	set_next(fence, now, next);
	if (was_wanted && fence->kind == FENCE_TO_ALL)
		return fence_refresh(fence, now, next);
	bool had_socket = fence->batch;
	int error = open_socket(fence);
	if (!error)
		error = had_socket ? renew(fence, now, FENCE_TO_ALL, "close") : -ENOENT;
	if (error == -ENOENT)
		error = install(fence, now, FENCE_TO_ALL);
	return error;
}

static const char *const waiting_sets[] = {FENCE_SET_WAITING4, FENCE_SET_WAITING6};

/* One transaction, for the reason that fence_ruleset.h gives. */
static int change_to_strangers(struct fence *fence, struct monotime now)
{
	bool had_strangers = fence->has_strangers;

	nft_batch_begin(fence->batch);
	if (!had_strangers)
		fence_put_strangers(fence->batch, fence->table);
	else
		for (size_t i = 0; i < 2; i++)
			fence_put_none_waiting(fence->batch, fence->table, waiting_sets[i]);
	fence_put_alive(fence->batch, fence->table, FENCE_TO_STRANGERS, timeout_ms(fence));
	fence_put_alive(fence->batch, fence->table, FENCE_TO_ALL, 0);
	int error = fence_commit(fence, "let pass what is known");
	if (error)
		return error;
	note_closed(fence, FENCE_TO_STRANGERS, now);
	fence->has_strangers = true;
	return had_strangers ? 0 : read_back(fence);
}

int fence_pass_known(struct fence *fence, struct monotime now)
{
	if (!fence->is_wanted || fence->kind == FENCE_TO_STRANGERS)
		return 0;
	bool is_whole = fence->batch && fence->has_behind;
	int error = open_socket(fence);
	if (!error)
		error = is_whole ? change_to_strangers(fence, now) : -ENOENT;
	if (error == -ENOENT)
		error = install(fence, now, FENCE_TO_STRANGERS);
	return error;
}

static int take_waiting(struct fence *fence, const char *set, fence_waits *told, void *context, size_t *count)
{
	int error = fence_get_waiting(fence->batch, fence->table, set, told, context, count);

	if (error)
		return fence_fail(fence, error, "ask who waits in table", fence->table);
	if (*count == 0)
		return 0;
	/* what comes in between is not told; its sender repeats it */
	nft_batch_begin(fence->batch);
	fence_put_none_waiting(fence->batch, fence->table, set);
	return fence_commit(fence, "forget who waited in set");
}

int fence_take_waiting(struct fence *fence, fence_waits *told, void *context)
{
	size_t count = 0;
	int error = 0;

	if (!fence->is_wanted || fence->kind == FENCE_TO_ALL || !fence->batch)
		return 0;
	for (size_t i = 0; i < 2 && !error && count <= MANY_WAITING; i++) {
		error = take_waiting(fence, waiting_sets[fence->next_waiting], told, context, &count);
		fence->next_waiting ^= 1;
	}
	return error;
}

int fence_refresh(struct fence *fence, struct monotime now, struct monotime *next)
{
	if (!fence->is_wanted) {
		if (next)
			*next = MONOTIME_NEVER;
		return 0;
	}
	set_next(fence, now, next);
	fence->counters.refreshes++;
	if (has_lapsed(fence, now))
		fence->counters.lapses++;
	int error = open_socket(fence);
	if (!error)
		error = renew(fence, now, fence->kind, "refresh");
	if (error == -ENOENT) {
		error = install(fence, now, fence->kind);
		fence->counters.repairs += !error;
	}
	return error;
}

/* An open fence asks conntrack nothing, and a packet meets as few chains as can be. */
static int remove_behind(struct fence *fence)
{
	struct fence_counters counters;

	if (fence->has_strangers)
		fence_read_counters(fence, &counters);
	nft_batch_begin(fence->batch);
	fence_put_behind_removal(fence->batch, fence->table, fence->has_strangers);
	int error = fence_commit(fence, "remove what closed it to strangers");
	if (error)
		return error;
	keep_counters_from(fence, FENCE_RULES_TO_ALL);
	memset(&fence->handles[FENCE_RULES_TO_ALL], 0,
	       sizeof(fence->handles) - FENCE_RULES_TO_ALL * sizeof(fence->handles[0]));
	fence->has_behind = fence->has_strangers = false;
	return 0;
}

int fence_open(struct fence *fence)
{
	fence->is_wanted = false;
	fence->is_refreshed = false;
	if (!fence->batch)
		return 0;
	nft_batch_begin(fence->batch);
	fence_put_alive(fence->batch, fence->table, FENCE_TO_ALL, 0);
	if (fence->has_strangers)
		fence_put_alive(fence->batch, fence->table, FENCE_TO_STRANGERS, 0);
	int error = fence_commit(fence, "open the fence");
	fence->kind = FENCE_TO_ALL;
	if (error == 0 && fence->has_behind)
		error = remove_behind(fence);
	if (error == 0)
		return 0;
	fence->has_behind = fence->has_strangers = false; /* gone, or about to be */
	if (error == -ENOENT)                             /* no table, no fence */
		return 0;
	nft_batch_close(fence->batch);
	fence->batch = NULL;
	keep_counters(fence);
	return error;
}

bool fence_is_armed(const struct fence *fence, struct monotime now)
{
	return fence->is_wanted && fence->is_refreshed && !has_lapsed(fence, now);
}

/* ---- checking ---- */

static void note_counters(struct fence *fence, const struct fence_rules_answer *rules)
{
	memcpy(fence->drops, rules->drops, rule_count(fence) * sizeof(fence->drops[0]));
}

static bool are_rules_ours(const struct fence *fence, const struct fence_rules_answer *rules)
{
	return rules->count == rule_count(fence) &&
	       memcmp(rules->handles, fence->handles, sizeof(fence->handles)) == 0;
}

/* Says what of the table itself is wrong: NULL when nothing. */
static int inspect_table(struct fence *fence, const char **found)
{
	struct fence_table_answer table;
	struct fence_rules_answer rules = {0};
	int error = fence_get_table(fence->batch, fence->table, &table);

	*found = NULL;
	if (!error && table.is_there)
		error = fence_get_rules(fence->batch, fence->table, &rules);
	if (error)
		return fence_fail(fence, error, "check table", fence->table);
	if (!table.is_there)
		*found = "its nf_tables table was gone";
	else if (table.owner != nft_batch_port(fence->batch) || table.flags != NFT_TABLE_F_OWNER)
		*found = "its nf_tables table belonged to another program, or was dormant";
	else if (!are_rules_ours(fence, &rules))
		*found = "rules of its nf_tables table were missing or replaced";
	else
		note_counters(fence, &rules);
	return 0;
}

/* The timed elements, which have to be there while it is armed. */
static int inspect_alive(struct fence *fence, const char **found)
{
	size_t alive;
	int error = fence_count_alive(fence->batch, fence->table, fence->kind, &alive);

	*found = NULL;
	if (error == -ENOENT)
		*found = "the set of its nf_tables table was gone";
	else if (error)
		return fence_fail(fence, error, "check the timed element of table", fence->table);
	else if (fence->is_wanted && alive != FENCE_ALIVE_ELEMENTS)
		*found = "its timed element had expired or was removed";
	return 0;
}

static int repair(struct fence *fence, struct monotime now, bool is_whole)
{
	int error = is_whole ? renew(fence, now, fence->kind, "repair") : -ENOENT;

	if (error == -ENOENT)
		error = install(fence, now, fence->kind);
	if (error)
		return error;
	fence->counters.repairs++;
	return 1;
}

int fence_check(struct fence *fence, struct monotime now, const char **found)
{
	const char *wrong = NULL;
	bool is_whole = false;

	if (!fence->batch && !fence->is_wanted) /* opened by force; made anew when armed */
		return 0;
	bool had_socket = fence->batch;
	int error = open_socket(fence);
	if (!error && !had_socket)
		wrong = "its netlink socket had been closed";
	else if (!error)
		error = inspect_table(fence, &wrong);
	if (!error && !wrong) {
		error = inspect_alive(fence, &wrong);
		is_whole = wrong != NULL;
	}
	if (error)
		return error;
	if (!wrong)
		return 0;
	if (found)
		*found = wrong;
	return repair(fence, now, is_whole);
}

int fence_read_counters(struct fence *fence, struct fence_counters *counters)
{
	struct fence_rules_answer rules;
	int error = fence->batch ? fence_get_rules(fence->batch, fence->table, &rules) : 0;

	if (!error && fence->batch && are_rules_ours(fence, &rules))
		note_counters(fence, &rules);
	struct fence_drops forward = fence->past_forward, own = fence->past_virtual;
	for (size_t place = 0; place < FENCE_RULES; place++) {
		struct fence_drops *sum = fence_rule_at(place) == FENCE_RULE_FORWARD ? &forward : &own;

		sum->packets += fence->drops[place].packets;
		sum->bytes += fence->drops[place].bytes;
	}
	fence->counters.forward_packets = forward.packets;
	fence->counters.forward_bytes = forward.bytes;
	fence->counters.virtual_packets = own.packets;
	fence->counters.virtual_bytes = own.bytes;
	*counters = fence->counters;
	return error ? fence_fail(fence, error, "read the counters of table", fence->table) : 0;
}

const char *fence_table(const struct fence *fence)
{
	return fence->table;
}

const char *fence_error(const struct fence *fence)
{
	return fence->error;
}
