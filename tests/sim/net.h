/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The network between hosts: several links, each with its delay, jitter (and so reordering), duplication,
 * independent and bursty loss and corruption; what can't pass from whom to whom; and an attacker, who has
 * seen some of what went by and has an address of its own.
 */
#ifndef SIM_NET_H
#define SIM_NET_H

#include "proto/node.h"
#include "tests/sim/random.h"

enum {
	NET_HOSTS_MAX = 5,
	NET_LINKS_MAX = 4,
	NET_SEEN = 1024,    /* datagrams that the attacker remembers */
	NET_ATTACKER = 200, /* its address */
};

struct datagram {
	uint32_t references;
	uint16_t length;
	int64_t sent_us;
	uint8_t bytes[FRAME_PAYLOAD_MAX];
};

enum packet_kind {
	PACKET_GENUINE,
	PACKET_DAMAGED,  /* no holder of the key made it like this */
	PACKET_REPLAYED, /* was sent by someone, once */
};

struct packet {
	int64_t at_us;
	uint64_t order;
	struct datagram *datagram;
	uint8_t from; /* source address: a host, or NET_ATTACKER */
	uint8_t to, link;
	uint8_t kind; /* enum packet_kind */
};

struct net_link {
	int64_t delay_us, jitter_us;
	uint32_t loss, duplication, corruption;        /* per mille */
	uint32_t burst_starts, burst_ends, burst_loss; /* per mille, for each datagram */
	bool down;                                     /* for all */
	bool cut[NET_HOSTS_MAX];                       /* that host's cable */
	uint16_t carries[NET_HOSTS_MAX];               /* bytes of a datagram to and from that host; 0: any */
	bool bad[NET_HOSTS_MAX][NET_HOSTS_MAX];        /* a burst of loss is on, from there to there */
};

struct net {
	struct sim_random random;
	unsigned hosts;
	struct net_link links[NET_LINKS_MAX];
	bool blocked[NET_HOSTS_MAX][NET_HOSTS_MAX]; /* on every link, from there to there */
	struct packet *packets;                     /* heap by (at_us, order) */
	size_t packets_count, packets_size;
	uint64_t order;
	struct datagram *free_datagrams[64];
	size_t free_count;
	bool attacker_listens;
	struct datagram *seen[NET_SEEN];
	uint8_t seen_from[NET_SEEN];
	size_t seen_count;
	uint64_t sent, delivered, lost;
};

void net_init(struct net *net, uint64_t seed, unsigned hosts);
void net_finish(struct net *net);

/* Nothing disturbs it any more; delays stay. */
void net_heal(struct net *net);

/* Sends to one address, or to all hosts but the sender (`to` < 0). */
void net_send(struct net *net, int64_t now_us, unsigned from, int to, unsigned link, const uint8_t *bytes,
	      size_t length);

/* The next packet, if it is due; the caller takes over the reference to its datagram. */
bool net_receive(struct net *net, int64_t now_us, struct packet *packet);
int64_t net_next_us(const struct net *net);

void net_release(struct net *net, struct datagram *datagram);

/* The attacker sends something: a replay, a damaged, cut or spliced copy, or noise. */
void net_attack(struct net *net, int64_t now_us);

#endif
