/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A node beside a cluster's that has the key, proves to be live, and says whatever a test wants: the honest
 * ones are 0 .. count - 1, it is the next.  It hears what they send through the cluster's `tamper`.
 */
#ifndef TESTS_HOSTILE_H
#define TESTS_HOSTILE_H

#include "tests/unit/cluster.h"

struct hostile {
	struct cluster *cluster;
	unsigned index; /* where the honest ones send to reach it: its address */
	uint16_t id;
	uint8_t key[SEAL_KEY_SIZE];
	struct seal *seal;
	struct seal_session_id session;
	uint64_t packet_number;
	uint32_t counter;
	struct frame_status status; /* what it says at each heartbeat; peers[0] is the model of each block */
	bool quiet;                 /* no heartbeat */
	/* what each honest node last said, and of it */
	struct {
		struct seal_session_id session;
		struct frame_status status;
		struct frame_peer about_us; /* node_id 0: nothing */
		struct monotime heard;
	} heard[CLUSTER_NODES_MAX];
	uint64_t heard_datagrams, heard_bytes; /* sent to it alone */
};

/* Joins the cluster, which has `nodes` honest ones, as node `id`. */
void hostile_join(struct hostile *h, struct cluster *c, uint16_t id);
void hostile_leave(struct hostile *h);
/* Another session, from packet number 1 on. */
void hostile_restart(struct hostile *h);

/* Seals messages and sends them to one node. */
void hostile_say(struct hostile *h, unsigned to, const uint8_t *messages, size_t length);
/* A STATUS to each, with a block about each that proves this session to be live. */
void hostile_beat(struct hostile *h);
/* A DATA to one node, with entries as they are. */
void hostile_data(struct hostile *h, unsigned to, const struct frame_data *data, const uint8_t *entries,
		  size_t length);
/* A STATUS or DATA by hand: any type and body. */
void hostile_message(struct hostile *h, unsigned to, uint8_t type, const uint8_t *body, size_t length);

/* Simulated time, with a heartbeat of its own each 100 ms. */
void hostile_run_us(struct hostile *h, int64_t us);

/* What node `index` says of it. */
struct node_peer_view hostile_view(struct hostile *h, unsigned index);

#endif
