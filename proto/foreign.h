/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Warm mode: the foreign copies, that is, the flows of others that we have put into our own kernel, each as
 * it is there.  Knows which are due to be refreshed, and notes by key what is to be looked at again.  What is
 * to be done with them is decided in warm.c.
 */
#ifndef PROTO_FOREIGN_H
#define PROTO_FOREIGN_H

#include "proto/monotime.h"
#include "proto/table.h"

enum {
	FOREIGN_NOTES_MAX = 16384,
	FOREIGN_NO_OWNER = 15, /* FRAME_PEERS_MAX slots are numbered from 0 */
};

/* A bounded queue of keys. */
struct foreign_note {
	uint8_t length;
	uint8_t bytes[RECORD_KEY_MAX];
};
struct foreign_notes {
	struct foreign_note *items; /* a ring of FOREIGN_NOTES_MAX; owned */
	size_t first, count;
	bool overflowed; /* one could not be kept: all is to be looked at.  The reader resets it */
};

/* How far a table of a peer, or an orphan, has been brought to our kernel. */
struct foreign_cursor {
	uint64_t done;       /* version of that table */
	uint64_t missing_to; /* up to there only what is not in our kernel yet is put there */
	uint64_t target;     /* a takeover waits until done gets there */
	bool was_alive;      /* its owner */
	bool was_primary;
};

struct foreign {
	struct table *table; /* NULL: warm mode was never on.  tag: owner's slot and when to refresh */
	bool active;         /* copies are put into the kernel and kept alive */
	bool adopts;         /* all copies of earlier generations become flows of our own */
	uint8_t generation;  /* mark of the copies that were made since the last takeover */
	uint64_t adopt_after;
	struct monotime adopt_at;     /* the next ones */
	struct foreign_notes gone;    /* a table names them no more */
	struct foreign_notes missing; /* a table names them, and they are not in our kernel; or the other way
				       * round, and the removal failed */
	struct monotime missing_at;   /* when those are tried next */
	size_t missing_pass;          /* of them, to be tried before the next pause */
	size_t missing_left;          /* of them, to be tried before a takeover goes on */
	size_t no_room;               /* that this takeover found no room for, or the last one */
	bool has_gained;              /* a copy has come since: a related flow may find its master now */
	unsigned rounds_left;         /* that a takeover may still go over what is missing for that */
	struct monotime rescan_at;    /* when the tables may be searched again for what could not be noted */
	bool sweep_wanted, sweeps;    /* look for copies that no table names */
	struct monotime sweep_at;     /* not before, as a removal has just failed */
	uint64_t sweep_after;
	bool refreshes; /* a refresh pass runs */
	uint64_t refresh_after;
	struct monotime refresh_at, earliest; /* the next pass; the earliest date that this one has seen */
	uint64_t installed, removed, refreshed, refused, vanished, failed;
	struct monotime took_over_at; /* when the adoption began */
	int64_t adopted_us;           /* and how long the last one took */
};

/* Makes the table, if there is none.  0 or -ENOMEM. */
int foreign_open(struct foreign *foreign, uint32_t flows, uint64_t seed);
void foreign_close(struct foreign *foreign);

/* Forgets all copies and notes. */
void foreign_clear(struct foreign *foreign);

/* The copy of that key; NULL: there is none. */
struct table_entry *foreign_find(const struct foreign *foreign, struct record_key key);

/* The kernel has this copy now, of the owner in that slot, and it is to be refreshed at that time.  False: it
 * could not be noted. */
bool foreign_put(struct foreign *foreign, const struct flow *flow, unsigned owner,
		 struct monotime refresh_at);
/* It is not there any more, or not a copy any more. */
void foreign_forget(struct foreign *foreign, struct table_entry *entry);

unsigned foreign_owner(const struct table_entry *entry);
/* Seconds of our clock. */
uint32_t foreign_refresh_s(const struct table_entry *entry);
void foreign_set_refresh(struct foreign *foreign, struct table_entry *entry, struct monotime at);

/* Whether a takeover has this copy still to adopt. */
bool foreign_is_to_adopt(const struct foreign *foreign, const struct table_entry *entry);

/* From now on what is there is to be adopted. */
void foreign_adopt_all(struct foreign *foreign);

/* Keeps a copy of the key, or notes that it could not. */
void foreign_note(struct foreign_notes *notes, struct record_key key);
/* The oldest one, taken off the queue; false: there is none. */
bool foreign_note_take(struct foreign_notes *notes, struct foreign_note *note);

#endif
