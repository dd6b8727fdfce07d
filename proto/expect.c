/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/expect.h"

#include <stdio.h>
#include <string.h>

struct flow expect_master(const struct expect *expect)
{
	return (struct flow){.family = expect->family,
			     .protocol = expect->master_protocol,
			     .zone = expect->zone,
			     .orig = expect->master};
}

char *expect_print(const struct expect *expect, char text[FLOW_TEXT_SIZE])
{
	struct flow flow = {.family = expect->family,
			    .protocol = expect->protocol,
			    .zone = expect->zone,
			    .orig = expect->tuple};
	size_t length;

	flow_key_print(&flow, text);
	length = strlen(text);
	snprintf(text + length, FLOW_TEXT_SIZE - length, ", expected by %s",
		 *expect->helper ? expect->helper : "nobody");
	return text;
}
