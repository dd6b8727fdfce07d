/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The role of this node, and terms: a pure state machine.
 *
 *              init      primary      backup      fault
 *   primary    term+1    -            term+1      term+1
 *   backup     -         -            -           -
 *   fault      -         -            -           -
 *
 * A term is 1 + the highest seen, so that of two primaries the later one is known; equal terms are told apart
 * by node id.
 */
#ifndef PROTO_ROLE_H
#define PROTO_ROLE_H

#include "proto/frame.h"

struct role {
	enum frame_role current;
	uint32_t term;    /* of our last takeover */
	uint32_t highest; /* seen anywhere, ours included */
};

/* `own`: the term of our last takeover in this boot, 0: none; `highest`: the highest known. */
void role_init(struct role *role, uint32_t own, uint32_t highest);

/*
 * True if the role changed (asking for the role that one has changes nothing).  `resumes`: a primary that was
 * restarted goes on in the term that it had.
 */
bool role_set(struct role *role, enum frame_role wanted, bool resumes);

/* A primary takes over again: a term above all that are known. */
void role_renew(struct role *role);

/*
 * Another node's term.  A takeover raises it by one: what is more than ROLE_TERM_STEP above the highest is a
 * leap, as of a node that comes from another pair; true if it was one.  It counts only if it may, and never
 * beyond ROLE_TERM_LEAP_MAX.
 */
enum { ROLE_TERM_STEP = 16, ROLE_TERM_LEAP_MAX = 1 << 20 };
bool role_hear(struct role *role, uint32_t term, bool may_leap);

/* Whether (term, id) a comes before b: the lower one yields. */
bool role_yields(uint32_t term_a, uint16_t id_a, uint32_t term_b, uint16_t id_b);

#endif
