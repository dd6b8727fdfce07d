/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/report.h"

#include "syncd/cli/json.h"
#include "syncd/cli/page.h"

#include <stdio.h>
#include <string.h>

enum { LINE_SIZE = 1024 };

/* Appends ", 5,000 created": counts that aren't zero, but for those that the sentence has said already. */
static void add_counts(const json_t *report, char line[LINE_SIZE])
{
	static const char *const said[] = {"flows", "duration_us", "term"};
	const char *name;
	json_t *value;

	json_object_foreach((json_t *)report, name, value)
	{
		size_t used = strlen(line);
		bool is_said = false;
		char number[PAGE_NUMBER_SIZE];

		for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++)
			is_said = is_said || !strcmp(said[i], name);
		if (!is_said && json_integer_value(value) != 0)
			snprintf(line + used, LINE_SIZE - used, "%s%s %s", used ? ", " : "",
				 page_number(number, json_integer_value(value)), name);
	}
}

/* What became of flows, and why, by the names of commit_result_name(). */
static const char *cause_in_words(const char *cause)
{
	static const struct {
		const char *cause, *words;
	} table[] = {
	    {"clash", "left out: a flow that is in use here has one of their tuples, with another NAT"},
	    {"expired", "left out: their time had run out"},
	    {"table-full",
	     "left out: the kernel's table is full (nf_conntrack_max), or its chains are too long"
	     " (nf_conntrack_buckets)"},
	    {"no-master", "brought without their master, which is not here: they are no longer `related'"},
	    {"no-helper", "brought without their helper, which this kernel does not have"},
	    {"no-labels", "brought without their labels, for which no rule here makes room"},
	    {"refused", "left out: the kernel refused them"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (!strcmp(table[i].cause, cause))
			return table[i].words;
	return cause; /* of a newer daemon */
}

/* The first few flows are named; the daemon says which. */
static void print_cause(const struct page *page, const char *cause, int64_t count, const json_t *flows)
{
	int64_t more = count - (int64_t)json_array_size(flows);
	char number[PAGE_NUMBER_SIZE];
	json_t *flow;
	size_t i;

	page_line(page, PAGE_DOUBTFUL, 2, "", "%s %s:", page_number(number, count), cause_in_words(cause));
	json_array_foreach((json_t *)flows, i, flow) page_line(
	    page, PAGE_DOUBTFUL, 4, "", "%s", json_string_value(flow) ? json_string_value(flow) : "?");
	if (more > 0)
		page_line(page, PAGE_DOUBTFUL, 4, "", "and %s more", page_number(number, more));
}

static void print_commit(const struct page *page, const json_t *commit)
{
	char counts[LINE_SIZE] = "", number[PAGE_NUMBER_SIZE], duration[PAGE_NUMBER_SIZE];
	const json_t *failures = json_object_get(commit, "failures"), *flows;
	const char *cause;

	add_counts(commit, counts);
	page_line(page, PAGE_PLAIN, 0, "", "committed %s flows in %s%s%s",
		  page_number(number, json_number(commit, "flows", 0)),
		  page_duration(duration, json_number(commit, "duration_us", -1)), *counts ? ": " : "",
		  counts);
	json_object_foreach((json_t *)failures, cause, flows)
	    print_cause(page, cause, json_number(commit, cause, 0), flows);
	*counts = '\0';
	add_counts(json_object_get(commit, "expectations"), counts);
	if (*counts)
		page_line(page, PAGE_PLAIN, 0, "", "expectations: %s", counts);
}

static void print_role(const struct page *page, const json_t *report)
{
	const char *was = json_words(report, "was"), *fence = json_words(report, "fence");
	bool changed = json_flag(report, "changed", true) && *was;

	page_line(page, PAGE_PLAIN, 0, "", "this node is %s%s%s, term %" JSON_INTEGER_FORMAT "%s%s",
		  json_words(report, "role"), changed ? ", was " : "", changed ? was : "",
		  json_number(report, "term", 0), *fence ? ", fence " : "", fence);
}

void report_print(const json_t *report, const char *message)
{
	const json_t *commit = json_object_get(report, "commit");
	struct page page = page_on(stdout);
	char counts[LINE_SIZE] = "";

	if (*message)
		page_line(&page, PAGE_PLAIN, 0, "", "%s", message);
	if (*json_words(report, "role"))
		print_role(&page, report);
	else
		add_counts(report, counts);
	if (*counts)
		page_line(&page, PAGE_PLAIN, 0, "", "%s", counts);
	if (json_is_object(commit))
		print_commit(&page, commit);
}
