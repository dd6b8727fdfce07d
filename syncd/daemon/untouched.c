/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/untouched.h"

#include "proto/record.h"

/* A mark that a message does not carry is 0 (proto/local.c, make_whole()); so it is in a record. */
static bool equals_as_committed(const struct flow *last, const uint8_t *ours,
				const struct convert_options *committed)
{
	struct flow expected = *last;
	uint8_t record[RECORD_MAX];

	convert_as_created(&expected, committed);
	expected.incarnation = record_incarnation(ours); /* that of our own table */
	return record_encode(&expected, record) > 0 && record_equals(record, ours);
}

bool untouched_since_commit(const struct flow *last, const uint8_t *ours, const struct flow *kernel,
			    const struct convert_options *committed, int64_t since_us)
{
	struct flow known;
	int64_t elapsed_s = since_us > 0 ? since_us / 1000000 : 0;

	if (!equals_as_committed(last, ours, committed))
		return false;
	record_decode(ours, &known);
	if (!flow_nat_equals(kernel, &known) || flow_progress_compare(kernel, &known) > 0)
		return false;
	if (kernel->status & (FLOW_STATUS_OFFLOAD | FLOW_STATUS_HW_OFFLOAD))
		return false; /* in use, and shows no timeout */
	if (!(kernel->present & FLOW_HAS_TIMEOUT))
		return false;
	return (int64_t)kernel->timeout_s <= (int64_t)committed->timeout_s - elapsed_s + UNTOUCHED_SLACK_S;
}
