/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the invariants remember.  Private to invariant.c (what a host does), invariant_takeover.c and
 * replica.c (what hosts hold of each other). */
#ifndef SIM_INVARIANT_STATE_H
#define SIM_INVARIANT_STATE_H

#include "tests/sim/history.h"
#include "tests/sim/invariant.h"
#include "tests/sim/world.h"

enum { SESSIONS_BEFORE = 32 };

struct session_before {
	struct seal_session_id id;
	int64_t ended_us;
};

/* Flows that are held and must stay so. */
struct guard {
	struct guarded {
		uint32_t born;    /* which flow of the owner's kernel; 0: none */
		int64_t lived_us; /* its last packet there */
	} * flows;                /* by number; NULL: nothing is guarded */
	int64_t heard_us;         /* when the owner was last known to live: its flows' clock */
	int64_t look_at_us;       /* when to look next */
	uint32_t term;            /* of the owner, as the holder knows it */
	uint32_t heir_term;       /* of the first that took over since; 0: nobody has */
	unsigned boots;           /* of the owner's machine: how many of its kernels are in it */
};

/* What one host holds of another. */
struct replica {
	bool known;
	struct seal_session_id session;
	uint64_t applied;
	size_t departures;  /* of the owner: looked at so far */
	struct guard guard; /* of the owner's kernel as it was when its daemon ended, and is */
	struct guard lost;  /* of a kernel of the owner that is gone: it rebooted */
};

/* What is remembered of one host. */
struct host_record {
	struct history history;
	uint64_t *last_departures; /* by number: its latest version of them, + 1; 0: none */
	struct seal_session_id session;
	int64_t ended_us;                              /* of that session; INT64_MAX: it lives */
	struct session_before before[SESSIONS_BEFORE]; /* ring */
	unsigned before_count;
	int64_t off_us;                       /* since when its machine is off; INT64_MAX: it is on */
	int64_t frozen_us;                    /* since when its table is frozen; INT64_MAX: it is not */
	uint32_t flows_high, tombstones_high; /* highest limits that it ever had */
	struct replica of[NET_HOSTS_MAX];
	int64_t checked_us;
	uint32_t difference; /* (a): a connection that its table did not have as its kernel has it */
	/* (f): bytes from and to an address that nobody fresh has */
	uint64_t strange_in[NET_HOSTS_MAX + 1], strange_out[NET_HOSTS_MAX + 1];
	/* (g) */
	uint64_t fingerprint;
	/* (i) */
	int64_t status_us;
	struct seal *opener;
	uint32_t opener_key;
	uint8_t opener_cipher;
	struct seal_session_id opener_session;
	size_t held_before[NET_HOSTS_MAX]; /* flows of each table before the step */
	size_t removable[NET_HOSTS_MAX];   /* how many of them the step may remove at most: a slice, or what
					      was on the wire */
	/* (h): a takeover */
	struct {
		int64_t since_us; /* when it became primary last; INT64_MAX: it never did */
		int64_t until_us; /* and gave that away; INT64_MAX: it did not */
		unsigned starts;  /* of its daemon, then */
		bool is_lone;     /* no other was primary since */
	} reign;
	int64_t *closed_us; /* by number: when its daemon was told that it ended, closed; 0: never, or it is
			       back */
	uint8_t *results;   /* by number: enum kernel_result + 1; 0: not seen */
};

struct invariants {
	struct host_record hosts[NET_HOSTS_MAX];
};

struct host_record *invariant_record(const struct host *host);
/* The table knows that it had that connection once. */
bool invariant_remembers(const struct table *table, uint32_t number);

/* ---- replica.c ---- */
void replica_check(struct host *holder, struct host *owner);
/* The owner's daemon ends: all that was proven elsewhere is still there, and must stay. */
void replica_owner_ends(struct host *owner);
/* Its kernel is about to be another, empty one: what is held of the old one is the only copy, and must stay.
 */
void replica_owner_reboots(struct host *owner);
/* A host is primary now, in that term: orphans of lower terms may go. */
void replica_primary(struct host *primary, uint32_t term);
void replica_forget(struct host *holder); /* what it holds is asked to go */
void replica_finish(struct host_record *record);

#endif
