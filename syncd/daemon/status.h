/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon's state as JSON: what `twintrack status` shows.
 */
#ifndef DAEMON_STATUS_H
#define DAEMON_STATUS_H

#include "syncd/daemon/daemon.h"

#include <jansson.h>

/* The whole, as text that the caller frees; NULL when out of memory. */
char *status_text(struct daemon *daemon);

/* Parts of it; new references. */
json_t *status_peers(const struct daemon *daemon, const struct node_view *view, struct monotime now);
json_t *status_strangers(const struct daemon *daemon, const struct node_view *view, struct monotime now);
json_t *status_links(const struct daemon *daemon);
json_t *status_kernel(const struct daemon *daemon, const struct node_view *view, struct monotime now);
json_t *status_fence(const struct daemon *daemon);
json_t *status_drops(const struct node_view *view);

/* Sets a number that may be larger than an int. */
void status_set(json_t *object, const char *name, uint64_t value);

#endif
