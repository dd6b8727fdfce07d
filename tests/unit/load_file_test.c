/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file that is read in portions and by several threads asks for what its lines ask for one by one: the same
 * steps in the same order, each with the number of its line; and the first line that is wrong is named.
 */
#include "syncd/cli/conntrack/load.h"
#include "syncd/cli/conntrack/load_ahead.h"
#include "syncd/cli/conntrack/load_plan.h"
#include "tests/unit/random_flow.h"

#include <errno.h>
#include <linux/netlink.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

enum { LINES_MAX = 150000, LINE = 256, THREADS = 4 };

struct text {
	char *bytes;
	size_t length;
	uint32_t lines;
};

/* What one line asked for. */
struct asked {
	uint32_t line;
	bool creates, may_exist;
	struct nlmsghdr *message; /* a copy; NULL: it is known to fail, or is no creation */
};

static struct cli cli = {.program = "test", .socket = "none", .as_conntrack = true};

static void add_line(struct text *text, const char *line)
{
	size_t length = strlen(line);

	memcpy(text->bytes + text->length, line, length);
	text->length += length;
	text->lines++;
}

/* Mostly lines that are read ahead; one in `others` has something else in it. */
static void add_random_line(struct text *text, struct random *random, uint32_t others)
{
	static const char *const odd[] = {
	    "\n",
	    "# a comment\n",
	    "-D -p udp --sport 7\n",
	    "-A\t-t 5 -p udp -s 1.2.3.4 -d 4.3.2.1 --sport 7 --dport 9\n",
	    "conntrack -I -t 5 -p 99 -s 1.2.3.4 -d '4.3.2.1'\n",
	    "-I -t 5 -p tcp -s 1.1.1.1 -d 2.2.2.2 -u EXPECTED --sport 1 --dport 2 --state CLOSE\n",
	};
	char line[LINE];

	if (others && !random_below(random, others)) {
		if (!random_below(random, 4)) { /* so that others begin anywhere in a block */
			size_t length = random_below(random, LOAD_LINE_MAX - LINE);

			memset(text->bytes + text->length, '#', length);
			text->length += length;
		}
		add_line(text, odd[random_below(random, sizeof(odd) / sizeof(odd[0]))]);
		return;
	}
	snprintf(line, sizeof(line),
		 "-%c -t %u -u SEEN_REPLY -s 10.0.%u.%u -d 10.1.0.1 -p udp --sport %u --dport %u\n",
		 random_below(random, 2) ? 'A' : 'I', random_below(random, 99999), random_below(random, 256),
		 random_below(random, 256), random_below(random, 65536), random_below(random, 65536));
	add_line(text, line);
}

static struct text make_text(uint64_t seed, uint32_t lines, uint32_t others)
{
	struct text text = {malloc(((size_t)lines + 10) * 2048), 0, 0};
	struct random random = {seed};

	assert_non_null(text.bytes);
	while (text.lines < lines) {
		add_random_line(&text, &random, others);
		assert_true(text.length < ((size_t)text.lines + 10) * 2048);
	}
	return text;
}

static int file_of(const struct text *text)
{
	int file = memfd_create("lines", MFD_CLOEXEC);

	assert_true(file >= 0);
	assert_int_equal(write(file, text->bytes, text->length), text->length);
	assert_int_equal(lseek(file, 0, SEEK_SET), 0);
	return file;
}

static int read_file(int file, unsigned threads, struct load_plan *plan, char said[LINE])
{
	struct labels *labels = calloc(1, sizeof(*labels));
	FILE *terminal = stderr;
	int code;

	assert_non_null(labels);
	memset(said, 0, LINE);
	stderr = fmemopen(said, LINE, "w");
	code = load_read_file(&cli, "input", file, threads, labels, plan);
	fclose(stderr);
	stderr = terminal;
	free(labels);
	return code;
}

static void list_step(const struct load_step *step, struct asked *asked, size_t *count)
{
	unsigned lines = step->batch ? kernel_creations_count(step->batch) : 1;

	for (unsigned at = 0; at < lines; at++) {
		struct asked *one = &asked[(*count)++];
		const struct nlmsghdr *message;

		assert_true(*count <= LINES_MAX);
		one->line = step->line[at];
		one->creates = step->batch;
		one->may_exist = step->batch && step->may_exist[at];
		message = step->batch ? kernel_creations_message(step->batch, at) : NULL;
		if (!message)
			continue;
		one->message = malloc(message->nlmsg_len);
		assert_non_null(one->message);
		memcpy(one->message, message, message->nlmsg_len);
	}
}

static struct asked *list(const struct load_plan *plan, int file, unsigned threads, size_t *count)
{
	struct asked *asked = calloc(LINES_MAX, sizeof(*asked));
	struct load_ahead *ahead = load_ahead_new(plan, file, threads);

	assert_non_null(asked);
	assert_non_null(ahead);
	*count = 0;
	for (size_t i = 0; i < plan->count; i++) {
		const struct load_step *step = plan->step[i];
		const struct load_plan *batches;

		if (step->batch || step->request) {
			list_step(step, asked, count);
			continue;
		}
		assert_int_equal(load_ahead_step(ahead, i, &batches), 0);
		for (size_t j = 0; j < batches->count; j++)
			list_step(batches->step[j], asked, count);
	}
	load_ahead_free(ahead);
	return asked;
}

static void forget(struct asked *asked, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(asked[i].message);
	free(asked);
}

static bool messages_equal(const struct nlmsghdr *a, const struct nlmsghdr *b)
{
	if (!a || !b)
		return a == b;
	return a->nlmsg_len == b->nlmsg_len && a->nlmsg_flags == b->nlmsg_flags &&
	       !memcmp(a + 1, b + 1, a->nlmsg_len - sizeof(*a));
}

static void expect_the_same(int file, const struct load_plan *a, const struct load_plan *b)
{
	size_t a_count, b_count;
	struct asked *a_list = list(a, file, 1, &a_count), *b_list = list(b, file, THREADS, &b_count);

	assert_int_equal(a_count, b_count);
	for (size_t i = 0; i < a_count; i++) {
		const struct asked *one = &a_list[i], *other = &b_list[i];

		if (one->line != other->line || one->creates != other->creates ||
		    one->may_exist != other->may_exist || !messages_equal(one->message, other->message))
			fail_msg("step %zu: lines %u and %u", i, one->line, other->line);
	}
	forget(a_list, a_count);
	forget(b_list, b_count);
}

static bool has_ranges(const struct load_plan *plan)
{
	bool has = false;

	for (size_t i = 0; i < plan->count; i++)
		has |= plan->step[i]->range.length > 0;
	return has;
}

static void threads_read_what_one_reads(void **state)
{
	static const struct {
		uint32_t lines, others;
	} texts[] = {{0, 0},     {1, 0},       {1, 1},     {3000, 0},
		     {20000, 0}, {20000, 100}, {20000, 1}, {LINES_MAX, 3000}};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct text text = make_text(i + 1, texts[i].lines, texts[i].others);
		struct load_plan one = {0}, many = {0};
		char said[LINE];
		int file;

		text.length -= text.length && i % 2; /* the last line needs no newline */
		file = file_of(&text);
		for (unsigned j = 0; j < 2; j++) {
			assert_int_equal(lseek(file, 0, SEEK_SET), 0);
			assert_int_equal(read_file(file, j ? THREADS : 1, j ? &many : &one, said), -1);
			assert_string_equal(said, "");
		}
		assert_int_equal(has_ranges(&one), false);
		assert_int_equal(has_ranges(&many), texts[i].lines > 10000 && texts[i].others != 1);
		expect_the_same(file, &one, &many);
		close(file);
		load_plan_clear(&one);
		load_plan_clear(&many);
		free(text.bytes);
	}
}

static void the_first_wrong_line_is_named_whoever_reads_it(void **state)
{
	static const char *const wrong[] = {"-L\n", "-A -t 5 -p udp -s 1.1.1.1 -d 2.2.2.2\n", "hello\n"};

	(void)state;
	for (uint64_t seed = 1; seed <= 12; seed++) {
		struct random random = {seed};
		uint32_t before = random_below(&random, 60000);
		struct text text = make_text(seed, before, 5000), rest = make_text(seed, 40000, 100);
		struct load_plan plan = {0};
		char said[LINE], name[LINE];
		int file;

		text.bytes = realloc(text.bytes, text.length + rest.length + LINE);
		assert_non_null(text.bytes);
		add_line(&text, wrong[seed % 3]);
		memcpy(text.bytes + text.length, rest.bytes, rest.length);
		text.length += rest.length;
		file = file_of(&text);
		assert_int_equal(read_file(file, THREADS, &plan, said), CLI_USAGE);
		snprintf(name, sizeof(name), "input:%u: ", before + 1);
		if (!strstr(said, name))
			fail_msg("%s is not in %s", name, said);
		load_plan_clear(&plan);
		close(file);
		free(text.bytes);
		free(rest.bytes);
	}
}

static void what_changed_since_it_was_checked_is_not_carried_out(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct text text = make_text(1, 30000, 0);
		struct load_plan plan = {0};
		const struct load_plan *batches;
		struct load_ahead *ahead;
		char said[LINE];
		int file = file_of(&text);

		assert_int_equal(read_file(file, THREADS, &plan, said), -1);
		assert_in_range(plan.count, 3, 10);
		/* another digit of a timeout; or it ends */
		if (i)
			assert_int_equal(ftruncate(file, plan.step[1]->range.start + 1000), 0);
		else
			assert_int_equal(pwrite(file,
						text.bytes[plan.step[1]->range.start + 6] == '5' ? "6" : "5",
						1, plan.step[1]->range.start + 6),
					 1);
		ahead = load_ahead_new(&plan, file, i ? THREADS : 1);
		assert_non_null(ahead);
		assert_int_equal(load_ahead_step(ahead, 0, &batches), 0);
		assert_int_equal(load_ahead_step(ahead, 1, &batches), -ESTALE);
		load_ahead_free(ahead);
		load_plan_clear(&plan);
		close(file);
		free(text.bytes);
	}
}

static void a_line_without_an_end_is_refused_in_any_portion(void **state)
{
	static const size_t lengths[] = {LOAD_LINE_MAX, LOAD_LINE_MAX + 1, 20000000};
	static const char line[] = "-F\n";

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct text text = {malloc(lengths[i] + LINE), 0, 0};
		struct load_plan plan = {0};
		char said[LINE];
		int file;

		assert_non_null(text.bytes);
		add_line(&text, line);
		memset(text.bytes + text.length, '#', lengths[i]);
		text.length += lengths[i];
		file = file_of(&text);
		assert_int_equal(read_file(file, THREADS, &plan, said), i ? CLI_USAGE : -1);
		assert_true(!i || strstr(said, "input:2: longer than"));
		assert_true(plan.count == 1 && plan.step[0]->request);
		load_plan_clear(&plan);
		close(file);
		free(text.bytes);
	}
}

/* So long that what a thread reads ends within it: at one of these shifts behind a word, where what is read
 * of it were a good line. */
static void a_line_that_is_cut_off_is_not_taken_for_a_whole_one(void **state)
{
	static const char word[] = ",ASSURED", rest[] = ",nonsense --foo\n";

	(void)state;
	for (int shift = 0; shift < (int)sizeof(word) - 1; shift++) {
		struct text text = make_text(1, 30000, 0);
		char *end = text.bytes + LOAD_RANGE_MAX, *at = end - 2 * LOAD_LINE_MAX, said[LINE];
		struct load_plan plan = {0};
		int file;

		while (at[-1] != '\n')
			at++;
		at +=
		    sprintf(at, "-A -t 5 -s 1.1.1.1 -d 2.2.2.2 -p udp --sport 1 --dport 2 -m %.*s -u ASSURED",
			    1 + shift, "11111111");
		for (; at < end; at += sizeof(word) - 1)
			memcpy(at, word, sizeof(word) - 1);
		memcpy(at, rest, sizeof(rest) - 1);
		file = file_of(&text);
		assert_int_equal(read_file(file, THREADS, &plan, said), CLI_USAGE);
		assert_non_null(strstr(said, "longer than"));
		load_plan_clear(&plan);
		close(file);
		free(text.bytes);
	}
}

/* A file of holes, by far larger than could be read. */
static void a_wrong_line_is_told_before_all_is_read(void **state)
{
	static const off_t sizes[] = {(off_t)1 << 42, INT64_MAX};

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct text text = make_text(1, 30000, 0);
		struct load_plan plan = {0};
		char said[LINE];
		int file = file_of(&text);

		assert_int_equal(ftruncate(file, sizes[i]), 0);
		assert_int_equal(read_file(file, THREADS, &plan, said), CLI_USAGE);
		assert_non_null(strstr(said, "input:30001: longer than"));
		load_plan_clear(&plan);
		close(file);
		free(text.bytes);
	}
}

static void a_file_that_cannot_be_read_is_told(void **state)
{
	struct load_plan plan = {0};
	char said[LINE];
	int pipes[2];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(read_file(pipes[1], THREADS, &plan, said), CLI_FAILED); /* its writing end */
	assert_non_null(strstr(said, "reading input failed"));
	assert_int_equal(plan.count, 0);
	close(pipes[0]);
	close(pipes[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(threads_read_what_one_reads),
	    cmocka_unit_test(the_first_wrong_line_is_named_whoever_reads_it),
	    cmocka_unit_test(what_changed_since_it_was_checked_is_not_carried_out),
	    cmocka_unit_test(a_line_without_an_end_is_refused_in_any_portion),
	    cmocka_unit_test(a_line_that_is_cut_off_is_not_taken_for_a_whole_one),
	    cmocka_unit_test(a_wrong_line_is_told_before_all_is_read),
	    cmocka_unit_test(a_file_that_cannot_be_read_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
