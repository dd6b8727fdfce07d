/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Private to the receiving side: receive.c (the stream), receive_apply.c (its entries) and receive_claim.c.
 */
#ifndef PROTO_RECEIVE_STATE_H
#define PROTO_RECEIVE_STATE_H

#include "proto/receive.h"

/*
 * The entries of a frame, which are followed, too, if that lies beyond what is followed already.  Returns a
 * set of receive_outcome.  Malformed: what stood before the fault was good and stays applied, but the
 * position does not move.
 */
unsigned receive_apply(struct receive *receive, struct reader entries, bool follows);

/* Takes the entry out of the copy, and tells the key. */
void receive_remove_entry(struct receive *receive, struct table_entry *entry);

/* Its versions, or ours, are others now, or the copy was emptied. */
void receive_forget_before_primary(struct receive *receive);

#endif
