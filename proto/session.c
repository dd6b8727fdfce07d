/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/session.h"

#include <string.h>

bool session_exists(const struct session *session)
{
	return session->opener != NULL;
}

void session_forget(struct session *session)
{
	seal_destroy(session->opener);
	memset(session, 0, sizeof(*session));
}

bool session_id_equals(const struct seal_session_id *a, const struct seal_session_id *b)
{
	return !memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

enum { CLOCKS_DIFFER = 256 }; /* in speed, by one part in that many at most */

/* Our stamps are our own clock, so what comes back is judged before it is used: a hostile holder of the key
 * may say anything. */
static void session_measure(struct session *session, const struct frame_peer *about_us, struct monotime now)
{
	int64_t stamp = about_us->stamp <= INT64_MAX ? (int64_t)about_us->stamp : INT64_MAX;
	int64_t rtt;

	if (!about_us->stamp || stamp > now.us)
		return;
	rtt = now.us - stamp - (int64_t)about_us->held_us;
	if (stamp > session->alive_at.us)
		session->alive_at.us = stamp;
	/* its clock runs faster than ours: on a short wire it held our stamp longer than the whole way took
	 */
	if (rtt < 0 && rtt > -(int64_t)(about_us->held_us / CLOCKS_DIFFER))
		rtt = 0;
	if (rtt < 0)
		return;
	session->sent_after = monotime_max(session->sent_after, monotime_from_us(now.us - rtt));
	session->rtt_us = session->rtt_us < 0 ? rtt : (session->rtt_us * 7 + rtt) / 8;
}

bool session_hear(struct session *session, const struct frame_peer *about_us, struct monotime now)
{
	session->their_challenge = about_us->challenge;
	if (about_us->echo != session->challenge)
		return false;
	if (!session->answered) {
		session->answered = true;
		session->answered_at = now;
		session->rtt_us = -1;
	}
	session_measure(session, about_us, now);
	return true;
}

struct monotime session_sent_after(const struct session *session)
{
	if (session->packet_number < session->status_number || !session->sent_after.us)
		return monotime_from_us(1);
	return session->sent_after;
}

struct monotime session_dies_at(const struct session *session, struct monotime timeout)
{
	struct monotime by_silence = monotime_add(session->last_heard, timeout);
	struct monotime by_echo = monotime_add(session->alive_at, monotime_from_us(3 * timeout.us));

	return monotime_max(monotime_min(by_silence, by_echo), session->spared_until);
}

void session_spare(struct session *session, struct monotime now, struct monotime until)
{
	if (session->alive_at.us < session->spared_at.us)
		return;
	session->spared_at = now;
	session->spared_until = until;
}

bool session_is_alive(const struct session *session, struct monotime now, struct monotime timeout)
{
	return session->answered && monotime_is_before(now, session_dies_at(session, timeout));
}
