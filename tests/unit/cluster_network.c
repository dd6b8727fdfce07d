/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The seeded network of a cluster: loss, delay, duplicates, and what is on its way. */
#include "tests/unit/cluster.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

uint64_t cluster_random(struct cluster *c)
{
	uint64_t z = (c->random += 0x9e3779b97f4a7c15u); /* splitmix64 */

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* ---- packets: a heap ---- */

static bool packet_before(const struct cluster_packet *a, const struct cluster_packet *b)
{
	return a->at.us != b->at.us ? a->at.us < b->at.us : a->order < b->order;
}

void cluster_packet_push(struct cluster *c, struct cluster_packet packet)
{
	size_t i = c->packets_count++;

	assert(c->packets_count < CLUSTER_IN_FLIGHT);
	while (i && packet_before(&packet, &c->packets[(i - 1) / 2])) {
		c->packets[i] = c->packets[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	c->packets[i] = packet;
}

struct cluster_packet cluster_packet_pop(struct cluster *c)
{
	struct cluster_packet top = c->packets[0], last = c->packets[--c->packets_count];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < c->packets_count) {
		if (child + 1 < c->packets_count && packet_before(&c->packets[child + 1], &c->packets[child]))
			child++;
		if (!packet_before(&c->packets[child], &last))
			break;
		c->packets[i] = c->packets[child];
		i = child;
	}
	c->packets[i] = last;
	return top;
}

static uint8_t *copy_of(const uint8_t *bytes, size_t length)
{
	uint8_t *copy = malloc(length ? length : 1);

	assert(copy);
	memcpy(copy, bytes, length);
	return copy;
}

static void record(struct cluster *c, const struct cluster_packet *packet)
{
	if (c->recorded_count == c->recorded_size) {
		c->recorded_size = c->recorded_size ? c->recorded_size * 2 : 256;
		c->recorded = realloc(c->recorded, c->recorded_size * sizeof(*c->recorded));
		assert(c->recorded);
	}
	c->recorded[c->recorded_count] = *packet;
	c->recorded[c->recorded_count++].bytes = copy_of(packet->bytes, packet->length);
}

void cluster_inject(struct cluster *c, unsigned from, unsigned to, const uint8_t *bytes, size_t length)
{
	struct cluster_packet packet = {.at = monotime_add(c->now, monotime_from_us(c->delay_us)),
					.order = c->order++,
					.from = from,
					.to = to,
					.bytes = copy_of(bytes, length),
					.length = length};

	cluster_packet_push(c, packet);
}

static void duplicate(struct cluster *c, struct cluster_packet packet)
{
	packet.bytes = copy_of(packet.bytes, packet.length);
	packet.at.us += c->jitter_us;
	if (c->dark || c->nodes[packet.from].muted)
		free(packet.bytes);
	else
		cluster_packet_push(c, packet);
}

void cluster_transmit(struct cluster_node *sender, unsigned to, unsigned link, const uint8_t *bytes,
		      size_t length)
{
	struct cluster *c = sender->cluster;
	struct cluster_packet packet = {
	    .order = c->order++, .from = sender->index, .to = to, .link = link, .length = length};
	int64_t jitter = c->jitter_us ? (int64_t)(cluster_random(c) % (uint64_t)c->jitter_us) : 0;

	packet.bytes = copy_of(bytes, length);
	packet.at = monotime_from_us(c->now.us + c->delay_us + c->link_delay_us[link] + jitter);
	if (c->record)
		record(c, &packet);
	if (c->duplicate_percent && cluster_random(c) % 100 < c->duplicate_percent)
		duplicate(c, packet);
	if (c->dark || sender->muted || c->links_dark & 1u << link || c->nodes[to].down ||
	    cluster_random(c) % 100 < c->loss_percent ||
	    (c->tamper && !c->tamper(c->tamper_context, &packet))) {
		free(packet.bytes);
		return;
	}
	cluster_packet_push(c, packet);
}
