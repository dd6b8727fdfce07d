/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the host must offer before anything is opened.  Each returns 0, or a negative errno with what is
 * missing, and what to do about it, in `why`.
 */
#ifndef DAEMON_PREFLIGHT_H
#define DAEMON_PREFLIGHT_H

#include "conf/config.h"
#include "proto/frame.h"

#include <sys/types.h>

/* CAP_NET_ADMIN is there. */
int preflight_check_capability(char *why, size_t size);

/* The administrators' group; -1 when it is the default one and this machine has none of that name. */
int preflight_find_group(const struct config *config, gid_t *group, char *why, size_t size);

/* [control] reader-group; -1 when there is none in the configuration. */
int preflight_find_reader_group(const struct config *config, gid_t *group, char *why, size_t size);

/* Takes the configured scheduler. */
int preflight_set_scheduler(const struct config *config, char *why, size_t size);

/* The kernel that we run in: this boot, this network namespace (whose inode number is reused, the cookie is
 * not). */
int preflight_read_instance(struct frame_kernel_instance *instance, char *why, size_t size);

#endif
