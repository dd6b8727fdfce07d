/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a flow that we committed, and that has ended at its owner since, may be deleted here: only when no
 * packet of our own has touched it.  Pure.
 */
#ifndef DAEMON_UNTOUCHED_H
#define DAEMON_UNTOUCHED_H

#include "syncd/kernel/convert.h"

#include <stdbool.h>
#include <stdint.h>

enum { UNTOUCHED_SLACK_S = 2 };

/*
 * `last`: the flow as it was last at its owner; `ours`: its record in our internal table; `kernel`: the flow
 * as our kernel shows it now; `committed`: how, and with which timeout, it was committed, `since_us` ago.
 *
 * True when our record is what committing `last` makes (the timeout apart), the kernel's flow has not gone
 * further, and no more of its timeout is left than if it had run down since: a packet sets it anew
 * (nf_ct_refresh_acct()).
 */
bool untouched_since_commit(const struct flow *last, const uint8_t *ours, const struct flow *kernel,
			    const struct convert_options *committed, int64_t since_us);

#endif
