/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/metrics_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void label_values_are_escaped(void **state)
{
	(void)state;
	assert_string_equal(metrics_label("link", "a\"b\\c\nd").text, "{link=\"a\\\"b\\\\c\\nd\"}");
	assert_string_equal(metrics_labels("peer", "2", "link", "sync0").text, "{peer=\"2\",link=\"sync0\"}");
}

static void a_label_that_is_too_long_is_cut_or_left_out_whole(void **state)
{
	(void)state;
	char value[300];
	for (size_t length = 0; length < sizeof(value); length++) {
		memset(value, '"', length);
		value[length] = '\0';
		struct metrics_labels labels = metrics_labels("peer", value, "link", value);
		size_t end = strlen(labels.text);
		assert_true(end < METRICS_LABELS_SIZE);
		assert_memory_equal(labels.text, "{peer=\"", 7);
		assert_string_equal(labels.text + end - 2, "\"}");
		size_t quotes = 0, pairs = 0;
		for (size_t i = 0; i < end; i++) {
			if (labels.text[i] == '\\') {
				i++;
				pairs++;
			} else {
				quotes += labels.text[i] == '"';
			}
		}
		assert_true(quotes == 2 || quotes == 4);
		assert_true(pairs <= 2 * length);
	}
}

static void an_unknown_time_has_no_sample(void **state)
{
	(void)state;
	static const struct metrics_field fields[] = {
	    {{"age_seconds", METRICS_GAUGE, "seconds", "Age."}, METRICS_US, 0}};
	int64_t ages[2] = {-1, 1500000};
	struct metrics_labels labels[2] = {metrics_label("peer", "1"), metrics_label("peer", "2")};
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	assert_non_null(out);
	metrics_fields(out, fields, 1, ages, 2, sizeof(ages[0]), labels);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(text, "# TYPE age_seconds gauge\n# UNIT age_seconds seconds\n"
				  "# HELP age_seconds Age.\nage_seconds{peer=\"2\"} 1.500000\n");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(label_values_are_escaped),
	    cmocka_unit_test(a_label_that_is_too_long_is_cut_or_left_out_whole),
	    cmocka_unit_test(an_unknown_time_has_no_sample),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
