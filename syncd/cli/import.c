/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verb import-config: our configuration on standard output, the remarks on standard error. */
#include "conf/config.h"
#include "syncd/cli/cli.h"
#include "syncd/cli/import_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *const sections[] = {"node",   "sync",   "link",   "kernel",  "table",
				       "filter", "expect", "commit", "process", "log"};

struct page {
	char *text;
	size_t size;
	FILE *to;
	int line;                      /* the next that is written, from 1 */
	int key_line[IMPORT_KEYS_MAX]; /* where each key stands */
};

static void write_key(struct page *page, const struct import_result *result, size_t index)
{
	const struct import_key *key = &result->key[index];

	page->key_line[index] = page->line++;
	fprintf(page->to, "%s%s = %s\n", key->is_left ? "; " : "", key->key, key->value);
}

static void write_section(struct page *page, const struct import_result *result, const char *section,
			  unsigned link)
{
	bool is_link = !strcmp(section, "link"), begun = false;

	for (size_t i = 0; i < result->keys; i++) {
		const struct import_key *key = &result->key[i];

		if (strcmp(key->section, section) || (is_link && key->link != link))
			continue;
		if (!begun) {
			page->line += 2;
			fprintf(page->to, is_link ? "\n[%s %s]\n" : "\n[%s]\n", section,
				is_link ? result->link_name[link] : "");
			begun = true;
		}
		write_key(page, result, i);
	}
}

/* 0, or -ENOMEM. */
static int write_page(struct page *page, const struct import_result *result, const char *source)
{
	page->to = open_memstream(&page->text, &page->size);
	if (!page->to)
		return -ENOMEM;
	fprintf(page->to, "; made by `twintrack import-config %s'\n", source);
	page->line = 2;
	for (size_t s = 0; s < sizeof(sections) / sizeof(sections[0]); s++)
		for (unsigned link = 0; link < (strcmp(sections[s], "link") ? 1 : result->links); link++)
			write_section(page, result, sections[s], link);
	return fclose(page->to) ? -ENOMEM : 0;
}

/* What our own parser does not take is written as a comment, with its reason as a remark.  True: something
 * was. */
static bool leave_out_what_is_wrong(const struct page *page, struct import_result *result,
				    const struct config_errors *errors)
{
	bool changed = false;

	for (size_t e = 0; e < errors->count; e++)
		for (size_t i = 0; i < result->keys; i++) {
			struct import_key *key = &result->key[i];

			if (page->key_line[i] != errors->list[e].line || key->is_left)
				continue;
			key->is_left = changed = true;
			import_remark(result, key->line, "%s", errors->list[e].text);
		}
	return changed;
}

static int compare_remarks(const void *a, const void *b)
{
	const struct import_remark *one = a, *other = b;

	return (one->line > other->line) - (one->line < other->line);
}

static void print_remarks(const char *source, struct import_result *result)
{
	qsort(result->remark, result->remarks, sizeof(result->remark[0]), compare_remarks);
	for (size_t i = 0; i < result->remarks; i++) {
		if (result->remark[i].line)
			fprintf(stderr, "%s:%d: %s\n", source, result->remark[i].line,
				result->remark[i].text);
		else
			fprintf(stderr, "%s: %s\n", source, result->remark[i].text);
	}
}

static void remark_on_the_whole(struct import_result *result, bool id_is_given)
{
	if (!id_is_given)
		import_remark(result, 0,
			      "conntrackd has no node ids: this is written for id 1; give each node its own "
			      "(--id)");
	import_remark(
	    result, 0,
	    "conntrackd has no authentication: make a key with `twintrack genkey /etc/twintrack/key', and copy "
	    "it to every node");
	import_remark(
	    result, 0,
	    "conntrackd has no fence: see [fence] enable in the example, it keeps connections from being reset "
	    "while a takeover runs");
	if (!result->links)
		import_remark(result, 0,
			      "no Multicast, UDP or TCP section: [link INTERFACE] is to be written by hand");
	for (unsigned i = 0; i < result->links; i++)
		if (!strcmp(result->link_name[i], "INTERFACE"))
			import_remark(result, 0,
				      "a link without Interface: put its name in place of INTERFACE");
}

/* Writes, lets our own parser judge, and writes again until it has nothing against a key.  0 or -ENOMEM. */
static int make_page(struct page *page, struct import_result *result, const char *source)
{
	struct config *config = malloc(sizeof(*config));
	struct config_errors *errors = malloc(sizeof(*errors));
	int error = config && errors ? 0 : -ENOMEM;
	bool again = true;

	while (!error && again) {
		free(page->text);
		page->text = NULL;
		error = write_page(page, result, source);
		if (!error) {
			memset(errors, 0, sizeof(*errors));
			again = config_load_memory(page->text, page->size, source, config, errors) < 0 &&
				leave_out_what_is_wrong(page, result, errors);
		}
	}
	free(config);
	free(errors);
	return error;
}

static int run(const struct cli *cli, const char *source, FILE *file, uint32_t id, bool id_is_given)
{
	struct import_tree *tree = calloc(1, sizeof(*tree));
	struct import_result *result = calloc(1, sizeof(*result));
	struct page *page = calloc(1, sizeof(*page));
	int code = CLI_DONE, line = 0, error = tree && result && page ? 0 : -ENOMEM;
	char wrong[128];

	if (!error && import_parse(file, tree, &line, wrong, sizeof(wrong)) < 0) {
		fprintf(stderr, "%s:%d: %s\n", source, line, wrong);
		code = CLI_USAGE;
	} else if (!error) {
		import_translate(tree, id, result);
		remark_on_the_whole(result, id_is_given);
		error = make_page(page, result, source);
	}
	if (error) {
		cli_say(cli, "out of memory");
		code = CLI_FAILED;
	} else if (code == CLI_DONE) {
		fwrite(page->text, 1, page->size, stdout);
		fflush(stdout);
		print_remarks(source, result);
	}
	if (tree)
		import_free(tree);
	if (page)
		free(page->text);
	free(page);
	free(result);
	free(tree);
	return code;
}

int import_run(const struct cli *cli, const struct cli_verb *verb, const struct cli_arguments *arguments)
{
	const char *source = arguments->operand;
	uint32_t id = 1;
	FILE *file;
	int code;

	if (arguments->option[0] &&
	    !cli_read_number(cli, verb, "--id", arguments->option[0], 1, UINT16_MAX, &id))
		return CLI_USAGE;
	file = fopen(source, "re");
	if (!file) {
		cli_say(cli, "cannot read %s: %s", source, strerror(errno));
		return CLI_USAGE;
	}
	code = run(cli, source, file, id, arguments->option[0] != NULL);
	fclose(file);
	return code;
}
