/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reads the key files that the configuration names.
 */
#ifndef DAEMON_KEYS_H
#define DAEMON_KEYS_H

#include "conf/config.h"
#include "proto/seal.h"

/*
 * Fills the ring, the key to send with first.  Files must be the owner's alone (mode 0600), or 0640 with the
 * daemon's group, and hold exactly 32 bytes.  0; or a negative errno, with what is wrong and what to do in
 * `why`, and an empty ring.
 */
int keys_read(const struct config *config, struct seal_ring *ring, char *why, size_t size);

#endif
