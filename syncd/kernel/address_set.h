/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The changing side of struct address_set: a hash table over the address bytes.  For address.c; everybody
 * else reads through address.h.
 */
#ifndef SYNCD_KERNEL_ADDRESS_SET_H
#define SYNCD_KERNEL_ADDRESS_SET_H

#include "syncd/kernel/address.h"

enum address_put { ADDRESS_PUT_NEW, ADDRESS_PUT_ALTERED, ADDRESS_PUT_SAME };

/* Returns NULL when there is no memory. */
struct address_set *address_set_new(void);
void address_set_free(struct address_set *set);

/*
 * Holds a copy of the address, marked as seen.  Its identity: address, prefix length, remote end and
 * interface. Returns an enum address_put, -ENOSPC at ADDRESS_MAX, or -ENOMEM.
 */
int address_set_put(struct address_set *set, const struct address *address);

/* Returns whether it was there. */
bool address_set_remove(struct address_set *set, const struct address *address);

/* Mark and sweep: forget what was seen; then take out, one a call, what has not been put since. */
void address_set_unmark(struct address_set *set);
bool address_set_take_unseen(struct address_set *set, struct address *taken);

#endif
