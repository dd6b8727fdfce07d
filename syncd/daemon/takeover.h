/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Puts what the peers' external tables hold into the kernel, in slices, and counts what became of each flow.
 */
#ifndef DAEMON_TAKEOVER_H
#define DAEMON_TAKEOVER_H

#include "syncd/daemon/drive.h"
#include "syncd/daemon/filter.h"
#include "syncd/kernel/commit.h"
#include "syncd/kernel/timeouts.h"

#include <jansson.h>

enum { TAKEOVER_NAMED = 5 /* flows named for each cause of failure */ };

struct takeover_parts {
	struct drive *drive;
	struct commit *commit;
	const struct filter *filter;
	struct commit_options options;
	uint32_t timeout_s; /* 0: auto */
};

struct takeover {
	struct takeover_parts parts;
	struct timeouts *timeouts;
	unsigned peers_count, peer; /* which peer's turn it is */
	struct {
		uint16_t id;
		uint32_t term, elapsed_s; /* since its owner was last known to live */
		uint64_t flows;
	} peers[FRAME_PEERS_MAX]; /* in descending order of term */
	uint64_t after;           /* version in that peer's table up to which all is done */
	bool related_runs;        /* second round: the flows that have a master */
	bool related_seen;
	uint64_t total, taken, local; /* local: of this host itself, left out */
	uint64_t results[COMMIT_RESULTS];
	char named[COMMIT_RESULTS][TAKEOVER_NAMED][FLOW_TEXT_SIZE + 48];
	struct monotime begun;
};

/* 0 or -ENOMEM. */
int takeover_begin(struct takeover *takeover, const struct takeover_parts *parts);
/* Goes on until about `until`.  True when all is done. */
bool takeover_run(struct takeover *takeover, struct monotime until);
void takeover_end(struct takeover *takeover);

/* {"flows":..,"created":.., ...,"failures":{"clash":["tcp ..."]}}; a new reference, NULL when out of memory.
 */
json_t *takeover_report(const struct takeover *takeover);

#endif
