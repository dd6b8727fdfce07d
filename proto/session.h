/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A session of another node, as we hear it: its key, its replay window, and how it proves to be live.
 *
 * A session is a *candidate* from its first authentic datagram on, and *current* once it has echoed a
 * challenge that was drawn for it.  The challenge is forgotten with the session, so a recording of it never
 * answers the next one.
 */
#ifndef PROTO_SESSION_H
#define PROTO_SESSION_H

#include "proto/frame.h"
#include "proto/monotime.h"
#include "proto/replay.h"

enum { SESSION_LINKS_MAX = 4 };

struct session {
	struct seal_session_id id;
	uint32_t key_id;
	uint8_t cipher;
	struct seal *opener; /* NULL: no session here */
	struct replay replay;
	uint64_t challenge;       /* that we drew; never 0 */
	uint64_t their_challenge; /* that it last drew for us; 0: it has not heard our session yet */
	bool answered;            /* it has echoed our challenge */
	struct monotime answered_at;
	struct monotime first_heard, last_heard;
	uint64_t stamp;                        /* its latest, to be echoed */
	struct frame_kernel_instance instance; /* that its latest STATUS names */
	struct monotime stamp_at;              /* when that came */
	uint64_t packet_number;                /* of the datagram being taken */
	uint64_t status_number; /* of the latest STATUS: one that was overtaken says nothing any more */
	struct monotime
	    sent_after;           /* that STATUS was sent after this, by our clock: delayed, it is no news */
	struct monotime alive_at; /* our own latest stamp that it echoed: it certainly lived then */
	int64_t rtt_us;           /* smoothed; -1: not measured */
	struct monotime spared_at, spared_until; /* session_spare(); 0: never */
};

bool session_exists(const struct session *session);
void session_forget(struct session *session);

bool session_id_equals(const struct seal_session_id *a, const struct seal_session_id *b);

/*
 * What a session says of us in a STATUS: notes its challenge and the echo of our time.  True if it echoes our
 * challenge (then it is answered, and the datagram's source is an address of its).
 */
bool session_hear(struct session *session, const struct frame_peer *about_us, struct monotime now);

/* Heard within `timeout`, and not just recordings: it has echoed a stamp of ours within three times that.  Or
 * spared. */
bool session_is_alive(const struct session *session, struct monotime now, struct monotime timeout);

/* The latest time by our clock after which the datagram being taken was certainly sent; long ago if unknown.
 */
struct monotime session_sent_after(const struct session *session);

/*
 * We ourselves did not listen up to `now`, and it was alive before: its silence is not held against it until
 * `until`.  Not twice in a row: only after it has echoed a stamp of ours from after the last time.
 */
void session_spare(struct session *session, struct monotime now, struct monotime until);

/* When session_is_alive() turns false by the clock. */
struct monotime session_dies_at(const struct session *session, struct monotime timeout);

#endif
