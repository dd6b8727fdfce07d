/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/sim/net.h"

#include <stdlib.h>
#include <string.h>

/* ---- datagrams, shared by the packets that carry them ---- */

static struct datagram *datagram_new(struct net *net, const uint8_t *bytes, size_t length)
{
	struct datagram *datagram =
	    net->free_count ? net->free_datagrams[--net->free_count] : malloc(sizeof(*datagram));

	if (!datagram)
		abort();
	if (length > sizeof(datagram->bytes))
		length = sizeof(datagram->bytes);
	datagram->references = 1;
	datagram->length = (uint16_t)length;
	memcpy(datagram->bytes, bytes, length);
	return datagram;
}

void net_release(struct net *net, struct datagram *datagram)
{
	if (--datagram->references)
		return;
	if (net->free_count < sizeof(net->free_datagrams) / sizeof(net->free_datagrams[0]))
		net->free_datagrams[net->free_count++] = datagram;
	else
		free(datagram);
}

/* ---- packets under way: a heap ---- */

static bool is_before(const struct packet *a, const struct packet *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

static void push(struct net *net, struct packet packet)
{
	size_t i = net->packets_count;

	if (i == net->packets_size) {
		net->packets_size = i ? 2 * i : 1024;
		net->packets = realloc(net->packets, net->packets_size * sizeof(*net->packets));
		if (!net->packets)
			abort();
	}
	packet.order = net->order++;
	packet.datagram->references++;
	net->packets_count++;
	while (i && is_before(&packet, &net->packets[(i - 1) / 2])) {
		net->packets[i] = net->packets[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	net->packets[i] = packet;
}

static struct packet pop(struct net *net)
{
	struct packet top = net->packets[0], last = net->packets[--net->packets_count];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < net->packets_count) {
		if (child + 1 < net->packets_count &&
		    is_before(&net->packets[child + 1], &net->packets[child]))
			child++;
		if (!is_before(&net->packets[child], &last))
			break;
		net->packets[i] = net->packets[child];
		i = child;
	}
	net->packets[i] = last;
	return top;
}

int64_t net_next_us(const struct net *net)
{
	return net->packets_count ? net->packets[0].at_us : INT64_MAX;
}

bool net_receive(struct net *net, int64_t now_us, struct packet *packet)
{
	if (net_next_us(net) > now_us)
		return false;
	*packet = pop(net);
	net->delivered++;
	return true;
}

/* ---- life ---- */

void net_init(struct net *net, uint64_t seed, unsigned hosts)
{
	memset(net, 0, sizeof(*net));
	net->random = random_stream(seed, 1);
	net->hosts = hosts;
}

static void forget_seen(struct net *net)
{
	size_t kept = net->seen_count < NET_SEEN ? net->seen_count : NET_SEEN;

	for (size_t i = 0; i < kept; i++)
		net_release(net, net->seen[i]);
	net->seen_count = 0;
}

void net_finish(struct net *net)
{
	while (net->packets_count)
		net_release(net, pop(net).datagram);
	forget_seen(net);
	while (net->free_count)
		free(net->free_datagrams[--net->free_count]);
	free(net->packets);
}

void net_heal(struct net *net)
{
	memset(net->blocked, 0, sizeof(net->blocked));
	for (unsigned i = 0; i < NET_LINKS_MAX; i++) {
		struct net_link *link = &net->links[i];

		*link = (struct net_link){.delay_us = link->delay_us, .jitter_us = link->jitter_us};
	}
}

/* ---- sending ---- */

/* Gilbert-Elliott: good and bad times, each with its own loss. */
static bool is_lost(struct net *net, struct net_link *link, unsigned from, unsigned to)
{
	bool *bad = &link->bad[from][to];

	if (link->burst_starts)
		*bad = *bad ? !random_chance(&net->random, link->burst_ends)
			    : random_chance(&net->random, link->burst_starts);
	return random_chance(&net->random, *bad ? link->burst_loss : link->loss);
}

static void damage(struct net *net, struct datagram *datagram)
{
	uint32_t at;

	if (!datagram->length)
		return;
	at = random_below(&net->random, datagram->length);
	if (random_chance(&net->random, 100)) {
		datagram->length = (uint16_t)at;
		return;
	}
	datagram->bytes[at] ^= (uint8_t)(1u << random_below(&net->random, 8));
	if (random_chance(&net->random, 300)) /* all bits from there on */
		for (size_t i = at + 1u; i < datagram->length; i++)
			datagram->bytes[i] ^= (uint8_t)random_draw(&net->random);
}

/* Nobody says so: the host takes the path to be as wide as its link. */
static bool is_too_large(const struct net_link *link, unsigned host, size_t length)
{
	return host < NET_HOSTS_MAX && link->carries[host] && length > link->carries[host];
}

static void transmit(struct net *net, struct packet packet, int64_t now_us)
{
	struct net_link *link = &net->links[packet.link];
	bool is_corrupted = link->corruption && random_chance(&net->random, link->corruption);
	unsigned copies = 1u + (link->duplication && random_chance(&net->random, link->duplication));

	if (is_too_large(link, packet.from, packet.datagram->length) ||
	    is_too_large(link, packet.to, packet.datagram->length) || link->down || link->cut[packet.from] ||
	    link->cut[packet.to] || net->blocked[packet.from][packet.to] ||
	    is_lost(net, link, packet.from, packet.to)) {
		net->lost++;
		return;
	}
	if (is_corrupted) {
		packet.datagram = datagram_new(net, packet.datagram->bytes, packet.datagram->length);
		damage(net, packet.datagram);
		packet.kind = PACKET_DAMAGED;
	}
	while (copies--) {
		packet.at_us = now_us + link->delay_us;
		if (link->jitter_us)
			packet.at_us += random_between(&net->random, 0, link->jitter_us);
		push(net, packet);
	}
	if (is_corrupted)
		net_release(net, packet.datagram);
}

static void remember(struct net *net, struct datagram *datagram, unsigned from)
{
	size_t at = net->seen_count++ % NET_SEEN;

	if (net->seen_count > NET_SEEN)
		net_release(net, net->seen[at]);
	datagram->references++;
	net->seen[at] = datagram;
	net->seen_from[at] = (uint8_t)from;
}

void net_send(struct net *net, int64_t now_us, unsigned from, int to, unsigned link, const uint8_t *bytes,
	      size_t length)
{
	struct datagram *datagram = datagram_new(net, bytes, length);
	struct packet packet = {.datagram = datagram, .from = (uint8_t)from, .link = (uint8_t)link};

	net->sent++;
	datagram->sent_us = now_us;
	if (net->attacker_listens && random_chance(&net->random, 100))
		remember(net, datagram, from);
	for (unsigned i = 0; i < net->hosts; i++) {
		if (i == from || (to >= 0 && i != (unsigned)to))
			continue;
		packet.to = (uint8_t)i;
		transmit(net, packet, now_us);
	}
	net_release(net, datagram);
}

/* ---- the attacker ---- */

/* A datagram of its own making: noise, or what it saw, changed; NULL: it has seen nothing. */
static struct datagram *forge(struct net *net)
{
	size_t kept = net->seen_count < NET_SEEN ? net->seen_count : NET_SEEN;
	uint8_t noise[200];
	struct datagram *made;
	const struct datagram *other;
	size_t cut;

	if (!kept || random_chance(&net->random, 100)) {
		for (size_t i = 0; i < sizeof(noise); i++)
			noise[i] = (uint8_t)random_draw(&net->random);
		return datagram_new(net, noise, random_below(&net->random, sizeof(noise)));
	}
	other = net->seen[random_below(&net->random, (uint32_t)kept)];
	made = datagram_new(net, other->bytes, other->length);
	other = net->seen[random_below(&net->random, (uint32_t)kept)];
	if (random_chance(&net->random, 300) && memcmp(other->bytes, made->bytes, made->length)) {
		cut = random_below(&net->random, made->length); /* the head of one, the rest of another */
		if (cut < other->length)
			memcpy(made->bytes + cut, other->bytes + cut,
			       (other->length < made->length ? other->length : made->length) - cut);
	}
	damage(net, made);
	return made;
}

void net_attack(struct net *net, int64_t now_us)
{
	size_t kept = net->seen_count < NET_SEEN ? net->seen_count : NET_SEEN;
	struct packet packet = {.from = NET_ATTACKER,
				.to = (uint8_t)random_below(&net->random, net->hosts),
				.at_us = now_us + 100};

	if (kept && random_chance(&net->random, 600)) {
		size_t i = random_below(&net->random, (uint32_t)kept);

		packet.datagram = net->seen[i];
		packet.kind = PACKET_REPLAYED;
		if (random_chance(&net->random, 300))
			packet.from = net->seen_from[i]; /* with the source address forged */
		push(net, packet);
		return;
	}
	packet.datagram = forge(net);
	packet.kind = PACKET_DAMAGED;
	push(net, packet);
	net_release(net, packet.datagram);
}
