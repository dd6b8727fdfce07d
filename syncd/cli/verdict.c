/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/verdict.h"

#include "syncd/cli/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* "SAFE: ", "SAFE, BUT: " or "NOT SAFE: ", then the words. */
__attribute__((format(printf, 2, 3))) static struct verdict say(enum verdict_kind kind, const char *format,
								...)
{
	static const char *const starts[] = {"SAFE: ", "SAFE, BUT: ", "NOT SAFE: "};
	struct verdict verdict = {.kind = kind};
	size_t start = strlen(starts[kind]);
	va_list list;

	memcpy(verdict.text, starts[kind], start);
	va_start(list, format);
	vsnprintf(verdict.text + start, sizeof(verdict.text) - start, format, list);
	va_end(list);
	return verdict;
}

static bool has_role(const json_t *object, const char *role)
{
	return !strcmp(json_words(object, "role"), role);
}

static const char *reason_of(const json_t *proof)
{
	const char *reason = json_words(proof, "reason");

	return *reason ? reason : "it is not proven equal";
}

/* What the fence leaves to be said of a takeover by this node. */
static struct verdict with_fence(const json_t *status, const char *text)
{
	if (json_flag(json_object_get(status, "fence"), "armed", false))
		return say(VERDICT_SAFE, "%s", text);
	return say(VERDICT_SAFE_BUT, "%s; the fence is off, so the takeover may reset connections", text);
}

/* This node would take over from each live primary: it must hold their flows. */
static struct verdict judge_backup(const json_t *status)
{
	const json_t *peer;
	char text[128];
	size_t i;
	bool found = false;

	json_array_foreach(json_object_get(status, "peers"), i, peer)
	{
		const json_t *holds = json_object_get(peer, "holds");
		json_int_t node = json_number(peer, "node", 0);

		if (!json_flag(peer, "alive", false) || !has_role(peer, "primary"))
			continue;
		if (!json_flag(holds, "in_sync", false))
			return say(VERDICT_UNSAFE,
				   "our copy of the flows of node %" JSON_INTEGER_FORMAT
				   ", the primary, is not in sync: %s",
				   node, reason_of(holds));
		snprintf(text, sizeof(text), "this node can take over from node %" JSON_INTEGER_FORMAT, node);
		found = true;
	}
	if (!found)
		return say(VERDICT_UNSAFE,
			   "no live primary is heard; a takeover would use what this node holds");
	if (has_role(status, "fault"))
		return say(VERDICT_UNSAFE, "this node's role is fault: it asks not to be promoted");
	return with_fence(status, text);
}

/* Another node would take over from this one: at least one that may must hold our flows. */
static struct verdict judge_primary(const json_t *status)
{
	const char *reason = "no live peer is there to take over";
	const json_t *peer;
	char text[256];
	size_t i;

	json_array_foreach(json_object_get(status, "peers"), i, peer)
	{
		const json_t *held = json_object_get(peer, "held");
		json_int_t node = json_number(peer, "node", 0);

		if (!json_flag(peer, "alive", false))
			continue;
		if (has_role(peer, "fault")) {
			snprintf(text, sizeof(text),
				 "node %" JSON_INTEGER_FORMAT " asks not to be promoted (fault)", node);
		} else if (!json_flag(held, "in_sync", false)) {
			snprintf(text, sizeof(text),
				 "the copy of our flows at node %" JSON_INTEGER_FORMAT " is not in sync: %s",
				 node, reason_of(held));
		} else {
			return say(VERDICT_SAFE, "node %" JSON_INTEGER_FORMAT " can take over from this node",
				   node);
		}
		reason = text;
	}
	return say(VERDICT_UNSAFE, "%s", reason);
}

struct verdict verdict_of(const json_t *status)
{
	bool active_active = !strcmp(json_words(status, "mode"), "active-active");

	if (json_flag(status, "duplicate_id", false))
		return say(VERDICT_UNSAFE,
			   "another node uses our id %" JSON_INTEGER_FORMAT
			   ": give each node an id of its own",
			   json_number(status, "node", 0));
	if (json_flag(status, "split_brain", false) && !active_active)
		return say(VERDICT_UNSAFE,
			   "split brain: another live node is primary, too; make one of them backup");
	if (has_role(status, "primary"))
		return judge_primary(status);
	if (has_role(status, "backup") || has_role(status, "fault"))
		return judge_backup(status);
	return say(VERDICT_UNSAFE,
		   "this node has no role yet; `twintrack primary' or `twintrack backup' gives it one");
}
