/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/history.h"

#include "syncd/cli/json.h"

#include <string.h>

static void sum_peers(struct history_sample *sample, const json_t *status)
{
	const json_t *peer, *link;
	size_t i, k;

	json_array_foreach(json_object_get(status, "peers"), i, peer)
	{
		double lag_ms = (double)json_number(peer, "lag_us", -1) / 1000;

		sample->held += (double)json_number(peer, "flows", 0);
		if (lag_ms > sample->lag_ms && json_flag(peer, "alive", false))
			sample->lag_ms = lag_ms;
		json_array_foreach(json_object_get(peer, "links"), k, link)
		{
			sample->counter.link_received += (double)json_number(link, "received", 0);
			sample->counter.link_lost += (double)json_number(link, "lost", 0);
		}
	}
}

/* The change a second; unknown when the counter is, or began anew. */
static double rate(double now, double before, double elapsed_s)
{
	return before >= 0 && now >= before ? (now - before) / elapsed_s : -1;
}

/* Since the sample before; unknown when it is the first, or when counters began anew. */
static void set_rates(struct history_sample *sample, const struct history_sample *before)
{
	double elapsed_s, received, lost;

	if (!before || before->flows < 0 || sample->at_ms <= before->at_ms ||
	    sample->counter.version < before->counter.version)
		return;
	elapsed_s = (double)(sample->at_ms - before->at_ms) / 1000;
	sample->changes = rate(sample->counter.version, before->counter.version, elapsed_s);
	sample->events = rate(sample->counter.events, before->counter.events, elapsed_s);
	sample->sent = rate(sample->counter.sent, before->counter.sent, elapsed_s);
	sample->received = rate(sample->counter.received, before->counter.received, elapsed_s);
	received = sample->counter.link_received - before->counter.link_received;
	lost = sample->counter.link_lost - before->counter.link_lost;
	if (received >= 0 && lost >= 0 && received + lost > 0)
		sample->loss_percent = 100 * lost / (received + lost);
}

void history_note(struct history *history, const json_t *status, int64_t now_ms)
{
	const json_t *internal = json_object_get(status, "internal"),
		     *network = json_object_get(status, "network");
	struct history_sample sample = {.flows = -1,
					.held = -1,
					.events = -1,
					.changes = -1,
					.sent = -1,
					.received = -1,
					.lag_ms = -1,
					.loss_percent = -1,
					.at_ms = now_ms};

	if (status) {
		sample.flows = (double)json_number(internal, "flows", 0);
		sample.held = 0;
		sample.counter.version = (double)json_number(internal, "version", 0);
		sample.counter.events = (double)json_number(json_object_get(status, "kernel"), "events", -1);
		sample.counter.sent = (double)json_number(network, "sent_datagrams", -1);
		sample.counter.received = (double)json_number(network, "received_datagrams", -1);
		sum_peers(&sample, status);
		set_rates(&sample, history->count ? &history->sample[history->count - 1] : NULL);
	}
	if (history->count == HISTORY_SAMPLES) {
		memmove(&history->sample[0], &history->sample[1], (HISTORY_SAMPLES - 1) * sizeof(sample));
		history->count--;
	}
	history->sample[history->count++] = sample;
}

double history_value(const struct history_sample *sample, size_t offset)
{
	double value;

	memcpy(&value, (const char *)sample + offset, sizeof(value));
	return value;
}
