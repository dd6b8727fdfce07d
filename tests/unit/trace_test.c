/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/cluster.h"

static void an_event_is_one_readable_line(void **state)
{
	struct flow f = cluster_flow(7);
	char line[TRACE_LINE_SIZE];
	struct node_event e = {.type = NODE_FLOW_NEW, .now = monotime_from_us(12345678), .flow = &f};

	(void)state;
	trace_event(&e, line);
	assert_memory_equal(line, "12.345678 flow-new ", 19);
	assert_non_null(strstr(line, "10.0.0.1"));
	assert_null(strchr(line, '\n'));
	e = (struct node_event){.type = NODE_ROLE, .role = FRAME_ROLE_PRIMARY};
	assert_string_equal(trace_event(&e, line), "0.000000 role primary");
	e = (struct node_event){.type = NODE_AUDIT_END, .clean = false};
	assert_string_equal(trace_event(&e, line), "0.000000 audit-end interrupted");
}

static void every_event_has_a_name(void **state)
{
	struct flow f = cluster_flow(7);
	char line[TRACE_LINE_SIZE];

	(void)state;
	for (unsigned type = NODE_TIME; type <= NODE_LEAVE; type++) {
		struct node_event e = {.type = type};

		if (type >= NODE_FLOW_NEW && type <= NODE_GET_REPLY && type != NODE_AUDIT_BEGIN &&
		    type != NODE_AUDIT_END)
			e.flow = &f;
		assert_null(strstr(trace_event(&e, line), "unknown"));
		assert_null(strstr(line, "(null)"));
	}
}

static void a_datagram_is_named_by_its_header(void **state)
{
	struct frame_header h = {.version = 1, .cipher = 1, .node_id = 3, .packet_number = 7};
	uint8_t bytes[FRAME_OVERHEAD] = {0};
	struct writer w = writer_over(bytes, sizeof(bytes));
	char line[TRACE_LINE_SIZE];

	(void)state;
	h.session.bytes[0] = 0xab;
	frame_header_write(&w, &h);
	assert_string_equal(trace_datagram(bytes, sizeof(bytes), line),
			    "node 3 session ab000000 packet 7 length 62");
	assert_string_equal(trace_datagram(bytes, 3, line), "no datagram of ours, length 3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_event_is_one_readable_line),
	    cmocka_unit_test(every_event_has_a_name),
	    cmocka_unit_test(a_datagram_is_named_by_its_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
