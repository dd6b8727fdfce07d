/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What became of the connections, as one JSON object on standard output.
 */
#ifndef TESTS_TOOLS_TRAFFIC_VERDICT_H
#define TESTS_TOOLS_TRAFFIC_VERDICT_H

#include "tool.h"
#include "traffic.h"

static inline int compare_waits(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

struct verdict {
	uint32_t opened, judged, alive, hung, waits;
	uint32_t ends[sizeof(fate_names) / sizeof(fate_names[0])];
	uint32_t failed; /* never opened */
	int64_t *wait_ns;
};

/* Before any mark a connection lives when it is open; a connection without an answer so far counts as hung.
 */
static inline void verdict_count(struct verdict *verdict, const struct traffic *traffic,
				 const struct connection *connection, int64_t now_ns)
{
	bool is_open = connection->fate == FATE_OPEN;
	int64_t wait_ns = now_ns - connection->last_ns;

	verdict->opened += connection->was_opened;
	verdict->failed += !connection->was_opened && connection->fate != FATE_CONNECTING;
	if (!connection->speaks || (traffic->mark_ns && !connection->was_open))
		return;
	verdict->judged += connection->was_opened;
	if (!is_open) {
		verdict->ends[connection->fate] += connection->was_opened;
		return;
	}
	if (traffic->mark_ns ? connection->is_proven : connection->has_talked)
		verdict->alive++;
	else
		verdict->hung++;
	verdict->wait_ns[verdict->waits++] =
	    connection->longest_ns > wait_ns ? connection->longest_ns : wait_ns;
}

static inline double wait_ms(const struct verdict *verdict, uint32_t percent)
{
	if (!verdict->waits)
		return 0;
	return (double)verdict->wait_ns[(uint64_t)(verdict->waits - 1) * percent / 100] / 1e6;
}

static inline void verdict_print(const struct verdict *verdict, const char *event)
{
	const char *comma = "";
	size_t i;

	printf(
	    "{\"event\":\"%s\",\"opened\":%u,\"failed\":%u,\"speaking\":%u,\"alive\":%u,\"killed\":%u,\"hung\":%u",
	    event, verdict->opened, verdict->failed, verdict->judged, verdict->alive,
	    verdict->judged - verdict->alive, verdict->hung);
	printf(",\"reasons\":{");
	for (i = FATE_RESET; i < sizeof(fate_names) / sizeof(fate_names[0]); i++) {
		if (!verdict->ends[i])
			continue;
		printf("%s\"%s\":%u", comma, fate_names[i], verdict->ends[i]);
		comma = ",";
	}
	printf("},\"median_wait_ms\":%.1f,\"p90_wait_ms\":%.1f,\"longest_wait_ms\":%.1f}\n",
	       wait_ms(verdict, 50), wait_ms(verdict, 90), wait_ms(verdict, 100));
	fflush(stdout);
}

/* Prints the verdict as of now under the name of that event. */
static inline void traffic_report(const struct traffic *traffic, const char *event)
{
	struct verdict verdict = {0};
	int64_t now_ns = tool_now_ns();
	uint32_t i;

	verdict.wait_ns = calloc(traffic->count + 1, sizeof(*verdict.wait_ns));
	if (!verdict.wait_ns)
		tool_die("out of memory");
	for (i = 0; i < traffic->count; i++)
		verdict_count(&verdict, traffic, &traffic->connections[i], now_ns);
	qsort(verdict.wait_ns, verdict.waits, sizeof(*verdict.wait_ns), compare_waits);
	verdict_print(&verdict, event);
	free(verdict.wait_ns);
}

#endif
