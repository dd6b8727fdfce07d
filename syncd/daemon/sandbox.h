/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Giving up rights, in two steps.  First, before anything is opened: another user, and no capability but
 * CAP_NET_ADMIN.  Last, when all is open: a seccomp filter that kills the process at a system call that the
 * daemon has no use for (no new program, no new process, no other kind of socket, no executable memory).
 */
#ifndef DAEMON_SANDBOX_H
#define DAEMON_SANDBOX_H

#include "conf/config.h"

/*
 * [process] user: makes the directory of the control socket if it is missing, gives it and the state file to
 * that user, becomes the user, and keeps CAP_NET_ADMIN alone.  [process] sandbox: keeps CAP_NET_ADMIN alone,
 * and can gain nothing by executing (no_new_privs).  0 or a negative errno, with the reason and what to do in
 * `why`; the process must end then, for a part may be done.
 */
int sandbox_drop_rights(const struct config *config, char *why, size_t size);

/*
 * Installs the filter, for good.  0; -EOPNOTSUPP: this program was built with a sanitizer, which needs calls
 * that the filter forbids; or a negative errno with the reason in `why`.
 */
int sandbox_filter_calls(char *why, size_t size);

#endif
