/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which flows a command line means: one evaluator for the kernel's table, its events, and the daemon's
 * tables.
 */
#ifndef CLI_FILTER_H
#define CLI_FILTER_H

#include "syncd/cli/conntrack/request.h"

/* True if the flow is one of those that the request is about. */
bool filter_matches(const struct request *request, const struct flow *flow);

#endif
