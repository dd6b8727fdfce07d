/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How quickly, and at what cost, a copy becomes equal again: two hosts of the simulator on a wire of two
 * milliseconds a round trip, of endless capacity and on which nothing overtakes: under random loss, after an
 * outage, and from nothing.
 */
#ifndef SIM_RECOVERY_H
#define SIM_RECOVERY_H

#include <stdbool.h>

/*
 * Prints a line for each case, tab-separated: kind, value (loss in percent, seconds of outage, flows),
 * samples, then mean, median, p90 and p99 of the time to equality in microseconds, bytes sent for each byte
 * needed, and (loss) the median repair in round trips.  `brief`: few and small cases.  False: what is
 * promised does not hold, or an invariant was violated; it has been said.
 */
bool recovery_run(bool brief);

#endif
