/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/kernel/fence_query.h"

#include <errno.h>
#include <stdio.h>

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <linux/netfilter/nf_tables.h>
#include <string.h>

static void ask_table(struct nlmsghdr *message, void *context)
{
	struct fence_table_answer *answer = context;
	struct nftnl_table *table = nftnl_table_alloc();

	answer->is_there = false;
	if (!table)
		return;
	nftnl_table_set_str(table, NFTNL_TABLE_NAME, answer->name);
	nftnl_table_nlmsg_build_payload(message, table);
	nftnl_table_free(table);
}

static int hear_table(const struct nlmsghdr *message, void *context)
{
	struct fence_table_answer *answer = context;
	struct nftnl_table *table = nftnl_table_alloc();

	if (table && nftnl_table_nlmsg_parse(message, table) == 0) {
		answer->is_there = true;
		answer->flags = nftnl_table_get_u32(table, NFTNL_TABLE_FLAGS);
		answer->owner = nftnl_table_get_u32(table, NFTNL_TABLE_OWNER);
	}
	nftnl_table_free(table);
	return MNL_CB_OK;
}

int fence_get_table(struct nft_batch *batch, const char *name, struct fence_table_answer *answer)
{
	*answer = (struct fence_table_answer){.name = name};
	int error = nft_batch_get(batch, NFT_MSG_GETTABLE, 0, ask_table, hear_table, answer);

	return error == -ENOENT ? 0 : error;
}

static void ask_rules(struct nlmsghdr *message, void *context)
{
	struct fence_rules_answer *answer = context;
	struct nftnl_rule *rule = nftnl_rule_alloc();

	answer->count = 0;
	if (!rule)
		return;
	nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, answer->table);
	nftnl_rule_nlmsg_build_payload(message, rule);
	nftnl_rule_free(rule);
}

static int read_counter(struct nftnl_expr *expression, void *context)
{
	struct fence_drops *drops = context;
	const char *name = nftnl_expr_get_str(expression, NFTNL_EXPR_NAME);

	if (name && strcmp(name, "counter") == 0) {
		drops->packets = nftnl_expr_get_u64(expression, NFTNL_EXPR_CTR_PACKETS);
		drops->bytes = nftnl_expr_get_u64(expression, NFTNL_EXPR_CTR_BYTES);
	}
	return 0;
}

static int hear_rule(const struct nlmsghdr *message, void *context)
{
	struct fence_rules_answer *answer = context;
	struct nftnl_rule *rule = nftnl_rule_alloc();

	if (!rule)
		return MNL_CB_OK;
	if (nftnl_rule_nlmsg_parse(message, rule) == 0) {
		const char *table = nftnl_rule_get_str(rule, NFTNL_RULE_TABLE);

		/* kernels may leave the choosing to us */
		if (table && strcmp(table, answer->table) == 0) {
			if (answer->count < FENCE_RULES) {
				answer->handles[answer->count] = nftnl_rule_get_u64(rule, NFTNL_RULE_HANDLE);
				nftnl_expr_foreach(rule, read_counter, &answer->drops[answer->count]);
			}
			answer->count++;
		}
	}
	nftnl_rule_free(rule);
	return MNL_CB_OK;
}

int fence_get_rules(struct nft_batch *batch, const char *table, struct fence_rules_answer *answer)
{
	*answer = (struct fence_rules_answer){.table = table};
	return nft_batch_get(batch, NFT_MSG_GETRULE, NLM_F_DUMP, ask_rules, hear_rule, answer);
}

/* ---- elements of a set ---- */

struct elements_answer {
	const char *table, *set;
	size_t count;
	fence_waits *told; /* NULL: only counted */
	void *context;
};

static void ask_elements(struct nlmsghdr *message, void *context)
{
	struct elements_answer *answer = context;
	struct nftnl_set *set = nftnl_set_alloc();

	answer->count = 0;
	if (!set)
		return;
	nftnl_set_set_str(set, NFTNL_SET_TABLE, answer->table);
	nftnl_set_set_str(set, NFTNL_SET_NAME, answer->set);
	nftnl_set_elems_nlmsg_build_payload(message, set);
	nftnl_set_free(set);
}

static uint16_t read_port(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static void tell_waiting(const struct elements_answer *answer, const uint8_t *key, size_t size)
{
	struct fence_waiting waiting = {.family = size == FENCE_WAITING_SIZE(4) ? FLOW_IPV4 : FLOW_IPV6};
	size_t address = flow_address_size(waiting.family);

	if (size != FENCE_WAITING_SIZE(address))
		return;
	memcpy(waiting.tuple.src, key, address);
	memcpy(waiting.tuple.dst, key + address, address);
	waiting.protocol = key[2 * address];
	waiting.tuple.sport = read_port(key + 2 * address + 4);
	waiting.tuple.dport = read_port(key + 2 * address + 8);
	answer->told(answer->context, &waiting);
}

static int hear_element(struct nftnl_set_elem *element, void *context)
{
	struct elements_answer *answer = context;
	uint32_t size = 0;
	const void *key = nftnl_set_elem_get(element, NFTNL_SET_ELEM_KEY, &size);

	answer->count++;
	if (answer->told && key)
		tell_waiting(answer, key, size);
	return 0;
}

static int hear_elements(const struct nlmsghdr *message, void *context)
{
	struct nftnl_set *set = nftnl_set_alloc();

	if (set && nftnl_set_elems_nlmsg_parse(message, set) == 0)
		nftnl_set_elem_foreach(set, hear_element, context);
	nftnl_set_free(set);
	return MNL_CB_OK;
}

static int get_elements(struct nft_batch *batch, struct elements_answer *answer)
{
	return nft_batch_get(batch, NFT_MSG_GETSETELEM, NLM_F_DUMP, ask_elements, hear_elements, answer);
}

int fence_count_alive(struct nft_batch *batch, const char *table, enum fence_kind kind, size_t *count)
{
	struct elements_answer answer = {.table = table, .set = fence_alive_set(kind)};
	int error = get_elements(batch, &answer);

	*count = answer.count;
	return error;
}

int fence_get_waiting(struct nft_batch *batch, const char *table, const char *set, fence_waits *told,
		      void *context, size_t *count)
{
	struct elements_answer answer = {.table = table, .set = set, .told = told, .context = context};
	int error = get_elements(batch, &answer);

	*count = answer.count;
	return error;
}
