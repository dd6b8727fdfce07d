/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A line that is read the short way means what it means to getopt: each is read as it is, and with quotes,
 * which the short way leaves to others.
 */
#include "syncd/cli/conntrack/change.h"
#include "syncd/cli/conntrack/format.h"
#include "syncd/cli/conntrack/load.h"
#include "syncd/kernel/convert.h"
#include "tests/unit/random_flow.h"

#include <linux/netfilter/nfnetlink_conntrack.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LINE = 1024 };

/* What became of a line. */
struct reading_of {
	int code; /* of load_read() */
	bool came;
	struct request request;
	int built, length;
	_Alignas(8) uint8_t message[CONVERT_MESSAGE_MAX];
};

static bool take(void *context, const struct request *request, uint32_t line)
{
	const struct convert_options options = {.timeout_s = request->flow.timeout_s};
	struct reading_of *of = context;
	struct flow flow;

	assert_int_equal(line, 1);
	of->came = true;
	of->request = *request;
	if (request->command != REQUEST_CREATE && request->command != REQUEST_ADD)
		return true;
	of->built = change_build_flow(request, &flow);
	if (!of->built)
		of->length = convert_to_message(&flow, CONVERT_FOR_CREATE, &options, IPCTNL_MSG_CT_NEW, 0, 1,
						of->message, sizeof(of->message));
	return true;
}

static void read_bytes(const char *text, size_t length, struct reading_of *of)
{
	struct labels *labels = calloc(1, sizeof(*labels));
	struct cli cli = {.program = "test", .socket = "none", .as_conntrack = true};
	struct load_text lines = {text, text + length, 0};
	FILE *terminal = stderr;

	assert_non_null(labels);
	memset(of, 0, sizeof(*of));
	stderr = fopen("/dev/null", "w");
	of->code = load_read(&cli, "input", &lines, labels, take, of);
	fclose(stderr);
	stderr = terminal;
	free(labels);
}

static void read_text(const char *text, struct reading_of *of)
{
	read_bytes(text, strlen(text), of);
}

static void expect_both_ways(const char *line)
{
	static struct reading_of plain, quoted;
	char text[2 * LINE];

	snprintf(text, sizeof(text), "'%.2s'%s", line, line + 2); /* the command in quotes */
	read_text(line, &plain);
	read_text(text, &quoted);
	if (plain.code != quoted.code || plain.came != quoted.came)
		fail_msg("%d %d / %d %d: %s", plain.code, plain.came, quoted.code, quoted.came, line);
	assert_int_equal(plain.request.command, quoted.request.command);
	assert_int_equal(plain.request.options, quoted.request.options);
	assert_int_equal(plain.request.fields, quoted.request.fields);
	assert_int_equal(plain.built, quoted.built);
	if (plain.length != quoted.length ||
	    memcmp(plain.message, quoted.message, sizeof(plain.message)) != 0)
		fail_msg("another message: %s", line);
}

/* One that the kernel could show, and mostly of the kind that there are many of. */
static struct flow likely_flow(struct random *random)
{
	struct flow flow = random_flow(random);

	flow.timeout_s %= 500000;
	if (random_below(random, 4))
		flow.status &=
		    FLOW_STATUS_SEEN_REPLY | FLOW_STATUS_ASSURED | FLOW_STATUS_SRC_NAT | FLOW_STATUS_DST_NAT;
	if (random_below(random, 2))
		flow.zone_scope = FLOW_ZONE_BOTH;
	if (random_below(random, 2))
		flow.present &= ~(uint32_t)FLOW_HAS_REPLY_ZONE;
	return flow;
}

/* A flow as -o save prints it, without its newline. */
static void print_line(const struct flow *flow, char line[LINE])
{
	struct output *output = malloc(sizeof(*output));
	struct format_dump dump = {.output = output};

	assert_non_null(output);
	output_start(output, -1);
	format_save.flow(&dump, flow);
	assert_in_range(output->used, 3, LINE - 1);
	memcpy(line, output->bytes, output->used);
	line[output->used - 1] = 0;
	free(output);
}

static void what_save_prints_is_read_the_same_both_ways(void **state)
{
	struct cli cli = {.program = "test", .socket = "none", .as_conntrack = true};
	struct request request;
	unsigned plain = 0;
	char line[LINE];

	(void)state;
	for (uint64_t seed = 1; seed <= 5000; seed++) {
		struct random random = {seed};
		struct flow flow = likely_flow(&random);

		print_line(&flow, line);
		expect_both_ways(line);
		if (!load_read_plain(line, line + strlen(line), &request))
			continue;
		assert_int_equal(request_check(&cli, &request, true), -1);
		plain++;
	}
	assert_in_range(plain, 1000, 5000); /* the short way is the way of many */
}

static void a_damaged_line_is_read_the_same_both_ways(void **state)
{
	static const char alphabet[] = "0123456789abcx./:,-ASDIUs pt\t\r\"'";
	char line[LINE];

	(void)state;
	for (uint64_t seed = 1; seed <= 20000; seed++) {
		struct random random = {seed};
		unsigned damages = 1 + random_below(&random, 3);
		struct flow flow = likely_flow(&random);

		print_line(&flow, line);
		while (damages--) {
			size_t length = strlen(line);
			size_t at = 2 + random_below(&random, (uint32_t)length - 2);

			switch (random_below(&random, 3)) {
			case 0:
				line[at] = alphabet[random_below(&random, sizeof(alphabet) - 1)];
				break;
			case 1:
				memmove(line + at, line + at + 1, length - at);
				break;
			default:
				line[at] = 0;
			}
			if (strlen(line) < 4)
				break;
		}
		expect_both_ways(line);
	}
}

static void odd_lines_are_read_the_same_both_ways(void **state)
{
	static const char *const lines[] = {
	    "-A -t 5 -p 99 -s 1.1.1.1 -d 2.2.2.2",
	    "-A -t 05 -p tcp -s 1.1.1.1 -d 2.2.2.2 --sport 1 --dport 2 --state CLOSE",
	    "-A -t 5 -p udp -s 1.1.1.1 -d 2.2.2.2 --sport 010 --dport 0x10",
	    "-A -t 5 -p udp -s 01.1.1.1 -d 2.2.2 --sport 1 --dport 2",
	    "-A -t 5 -p udp -s 1.1.1.1 -d 2.2.2.256 --sport 1 --dport 2",
	    "-A -t 5 -p udp -s 1.1.1.1 -d 2.2.2.2 --sport 65536 --dport 2",
	    "-A -t 99999999999 -p udp -s 1.1.1.1 -d 2.2.2.2 --sport 1 --dport 2",
	    "-A -t 5 -t 6 -p udp -s 1.1.1.1 -d 2.2.2.2 --sport 1 --dport 2",
	    "-A -t 5 -p udp -s 1.1.1.1 -d ::1 --sport 1 --dport 2",
	    "-A -t 5 -p udp -s ::1 -d ::ffff:1.2.3.4 --sport 1 --dport 2",
	    "-A -t 5 -p udp -s 1.1.1.1 -d 2.2.2.2 --sport 1",
	    "-A -t 5 -p udp -s 1.1.1.1 -d 2.2.2.2 --sport 1 --dport 2 -u ASSURED,",
	    "-A -t 5 -p udp -s 1.1.1.1 -d 2.2.2.2 --sport 1 --dport 2 -u UNSET,SEEN_REPLY -m 7 -w 9",
	    "-A -t 5 -p udp -s 1.1.1.1 -d 2.2.2.2 --sport 1 --dport 2 --state CLOSE",
	    "-A -t 5 --sport 1 -p udp -s 1.1.1.1 -d 2.2.2.2 --dport 2",
	    "-A -t 5 -p icmp -s 1.1.1.1 -d 2.2.2.2 --icmp-type 256 --icmp-code 0",
	    "-A -t 5 -p icmp -s 1.1.1.1 -d 2.2.2.2 --icmp-type 8 --icmp-code 0 --icmp-id 65535",
	    "-A -t 5 -p udp -r 1.1.1.1 -q 2.2.2.2 --reply-port-src 1 --reply-port-dst 2",
	    "-A -t 5 -p tcp -s 1.1.1.1 -d 2.2.2.2 --sport 1 --dport 2 --state LISTEN -w 1x",
	    "-A -t 5 -p udp -s -d 2.2.2.2 --sport 1 --dport 2",
	    "-I -t 5 -p udp -s 1.1.1.1 -d 2.2.2.2 --sport 1 --dport 2 -m 4294967296",
	    "-I -t 5 -p udp -s 1.1.1.1 -d 2.2.2.2 --sport 1 --dport 2 -m 4294967295 trailing",
	    "-A -t 5 -p udp -s 1.1.1.1 -d 2.2.2.2 -n 3.3.3.3 -g 4.4.4.4 --sport 1 --dport 2",
	    "-A -t 5 -p udp -s 1.1.1.1 -d 2.2.2.2 -n 3.3.3.3 -q 4.4.4.4 --sport 1 --dport 2",
	    "-A -t 5 -p udp -s 1.1.1.1 -d 2.2.2.2 -n 3.3.3.3 -n 4.4.4.4 --sport 1 --dport 2",
	    "-A -t 5 -p udp -s 1.1.1.1 -d 2.2.2.2 -n 3.3.3.3:99 --sport 1 --dport 2",
	    "-A -t 5 -p udp -s 1.1.1.1 -d 2.2.2.2 -n 3.3.3.3: --sport 1 --dport 2",
	    "-A -t 5 -p udp -s 1.1.1.1 -d 2.2.2.2 -n 3.3.3 --sport 1 --dport 2",
	    "-A -t 5 -p udp -s 1.1.1.1 -d 2.2.2.2 -n ::1 --sport 1 --dport 2",
	    "-A -t 5 -p udp -s 1.1.1.1 -d 2.2.2.2 -n --sport 1 --dport 2",
	    "-A -t 5 -p udp -s 1.1.1.1 -d 2.2.2.2 --sport 1 --dport 2 -g",
	    "-A -t 5 -p udp -s ::1 -d ::2 -n ::3 -g [::4] --sport 1 --dport 2",
	    "-A -t 5 -p udp -s ::1 -d ::2 -g [::4]:5 --sport 1 --dport 2",
	    "-A -t 5 -p udp -s ::1 -d ::2 -g :5 --sport 1 --dport 2",
	    "-I -t",
	    "-A -",
	    "-A",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		expect_both_ways(lines[i]);
}

static void a_line_with_a_byte_of_zero_is_refused_wherever_it_is(void **state)
{
	static const char line[] =
	    "-A -t 5 -p tcp -s 1.1.1.1 -d 1.1.1.2 -u ASSURED --sport 1 --dport 2 --state CLOSE";
	static struct reading_of of;
	char text[sizeof(line) + 4];

	(void)state;
	for (size_t at = 0; at < sizeof(line); at++) {
		memcpy(text, line, at);
		memcpy(text + at, "\0x", 2);
		memcpy(text + at + 2, line + at, sizeof(line) - 1 - at);
		read_bytes(text, sizeof(line) + 1, &of);
		assert_int_equal(of.code, CLI_USAGE);
		assert_false(of.came);
	}
}

static void a_line_is_too_long_whatever_it_holds(void **state)
{
	static struct reading_of of;
	char text[LOAD_LINE_MAX + 16] = "-A -t 5 -p udp -s 1.1.1.1 -d 2.2.2.2 --sport 1 --dport 2 -u ASSURED";
	size_t length = strlen(text);

	(void)state;
	for (; length <= LOAD_LINE_MAX; length += strlen(",ASSURED")) {
		read_bytes(text, length, &of);
		assert_int_equal(of.code, -1);
		memcpy(text + length, ",ASSURED", strlen(",ASSURED"));
	}
	read_bytes(text, length, &of);
	assert_int_equal(of.code, CLI_USAGE);
	assert_false(of.came);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_save_prints_is_read_the_same_both_ways),
	    cmocka_unit_test(a_damaged_line_is_read_the_same_both_ways),
	    cmocka_unit_test(odd_lines_are_read_the_same_both_ways),
	    cmocka_unit_test(a_line_with_a_byte_of_zero_is_refused_wherever_it_is),
	    cmocka_unit_test(a_line_is_too_long_whatever_it_holds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
