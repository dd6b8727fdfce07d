/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Puts what is held of the peers (external tables, and orphans) into the kernel, in slices, and counts what
 * became of each flow.
 */
#ifndef DAEMON_TAKEOVER_H
#define DAEMON_TAKEOVER_H

#include "syncd/daemon/drive.h"
#include "syncd/daemon/early.h"
#include "syncd/daemon/filter.h"
#include "syncd/daemon/guard.h"
#include "syncd/kernel/commit.h"
#include "syncd/kernel/timeouts.h"

#include <jansson.h>

enum { TAKEOVER_NAMED = 5 /* flows named for each cause of failure */ };

struct takeover_parts {
	struct drive *drive;
	struct log *log;
	struct commit *commit;
	const struct filter *filter;
	struct expectations *expectations;
	struct guard *guard;
	struct commit_options options;
	uint32_t timeout_s; /* 0: auto */
	bool is_warm;       /* the peers' flows are in the kernel, as copies, but for the latest */
};

/*
 * Masters go before what is related to them (else ENOENT), and of each what the owner has named lately before
 * what a running full catch-up has not named yet.  Then what is here since an earlier time as primary: the
 * windows of its TCP connections are those of that time.  Last the expectations, whose masters stay now.
 */
enum takeover_round {
	TAKEOVER_WARM, /* in warm mode, the only one: what has not been brought to the kernel yet */
	TAKEOVER_MASTERS,
	TAKEOVER_MASTERS_STALE,
	TAKEOVER_RELATED,
	TAKEOVER_RELATED_STALE,
	TAKEOVER_OWN,
	TAKEOVER_EXPECTATIONS,
	TAKEOVER_ROUNDS,
};

struct takeover {
	struct takeover_parts parts;
	struct timeouts *timeouts;
	unsigned tables_count, table; /* which table's turn it is */
	struct {
		uint16_t id;
		bool orphan;
		struct seal_session_id session;
		uint32_t elapsed_s; /* since its owner was last known to live */
		uint64_t flows;
	} tables[NODE_TABLES_MAX]; /* in the order in which they are committed */
	struct early early;        /* of the first round */
	uint64_t after;            /* version in that table up to which all is done */
	enum takeover_round round;
	bool related_seen, stale_seen;
	/*
	 * At the start the kernel had none of the flows that are followed here.  So a packet that finds its
	 * flow finds it as it was committed, and need not wait for the rest.  Else it could find one of an
	 * earlier time, with the translation of then, which is yet to be replaced.
	 */
	bool fills_empty_kernel;
	bool in_background;           /* a thread commits: see takeover_settle() */
	bool has_leftovers;           /* of an earlier time as primary */
	uint64_t own_end;             /* our newest version when their turn came */
	uint64_t own_refreshed;       /* flows of theirs that were given another window */
	uint64_t total, taken, local; /* local: of this host itself, left out */
	uint64_t copies;              /* in warm mode: flows that were in the kernel when it was over */
	uint64_t results[COMMIT_RESULTS];
	uint64_t expected[COMMIT_RESULTS]; /* the same for expectations */
	char named[COMMIT_RESULTS][TAKEOVER_NAMED][FLOW_TEXT_SIZE + 48];
	struct monotime begun;
};

/* 0 or -ENOMEM. */
int takeover_begin(struct takeover *takeover, const struct takeover_parts *parts);
/*
 * Goes on until about `until`.  True when all is done.  Else flows may be queued or under way that the node
 * does not know of yet: takeover_settle() comes before anything that could miss them.
 */
bool takeover_run(struct takeover *takeover, struct monotime until);
/* Ends what is under way, and has the node take it in. */
void takeover_settle(struct takeover *takeover);
void takeover_end(struct takeover *takeover);

/* {"flows":..,"created":.., ...,"failures":{"clash":["tcp ..."]}}; a new reference, NULL when out of memory.
 */
json_t *takeover_report(const struct takeover *takeover);

#endif
