/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "conf/config.h"

#include <errno.h>
#include <ini.h>
#include <string.h>

#include "conf/parser.h"

/* struct config, or the link that the parser is in. */
static void *current_base(struct config_parser *parser)
{
	if (parser->section == SECTION_LINK)
		return &parser->config.links[parser->link];
	return &parser->config;
}

/* "sync", or "link eth1": the section that the parser is in, for messages. */
static void current_section_name(const struct config_parser *parser, char *out, size_t size)
{
	if (parser->section == SECTION_LINK)
		snprintf(out, size, "link %s", parser->config.links[parser->link].interface);
	else
		snprintf(out, size, "%s", config_section_name(parser->section));
}

/* Defaults are values of the table, read like those of a file; the unit test reads every one. */
static void set_section_defaults(void *base, bool is_link)
{
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];
		if (key->fallback != NULL && (key->section == SECTION_LINK) == is_link)
			config_key_parse(key, key->fallback, (char *)base + key->offset);
	}
}

void config_set_defaults(struct config *config)
{
	memset(config, 0, sizeof(*config));
	set_section_defaults(config, false);
}

static void report_value(struct config_parser *parser, const struct config_key *key, const char *text,
			 const char *problem)
{
	char section[64], allowed[CONFIG_ALLOWED_SIZE];
	const char *hint = "";

	/* inih doesn't take '#' for a comment behind a value */
	if (strstr(text, " #") != NULL || strstr(text, "\t#") != NULL)
		hint = "; a comment behind a value starts with ';'";
	current_section_name(parser, section, sizeof(section));
	config_key_allowed(key, allowed, sizeof(allowed));
	config_errors_add(parser->errors, parser->lines.number, "[%s] %s = %s: %s; allowed: %s%s", section,
			  key->name, text, problem, allowed, hint);
}

/* Where the next value of the key goes; NULL when its list is full. */
static void *value_slot(void *base, const struct config_key *key)
{
	char *at = (char *)base + key->offset;
	size_t count;

	if (key->capacity == 0)
		return at;
	memcpy(&count, (char *)base + key->count_offset, sizeof(count));
	return count < key->capacity ? at + count * key->size : NULL;
}

/* Counts the value just stored behind a list.  False when the list holds it already. */
static bool list_extend(void *base, const struct config_key *key)
{
	char *list = (char *)base + key->offset;
	size_t *count = (size_t *)(void *)((char *)base + key->count_offset);

	for (size_t i = 0; i < *count; i++)
		if (memcmp(list + i * key->size, list + *count * key->size, key->size) == 0)
			return false;
	++*count;
	return true;
}

/* A word, or the like, that nobody keeps still has to be parsed somewhere. */
static enum parse_result parse_into(const struct config_key *key, const char *text, void *slot)
{
	_Alignas(max_align_t) char value[CONFIG_VALUE_SIZE_MAX] = {0};
	enum parse_result result = config_key_parse(key, text, value);

	if (result == PARSE_OK && key->size != 0)
		memcpy(slot, value, key->size);
	return result;
}

static bool store_value(struct config_parser *parser, const struct config_key *key, const char *text)
{
	void *base = current_base(parser), *slot = value_slot(base, key);
	char problem[64];
	enum parse_result result;

	if (slot == NULL) {
		snprintf(problem, sizeof(problem), "more than %zu of them", key->capacity);
		report_value(parser, key, text, problem);
		return false;
	}
	result = parse_into(key, text, slot);
	if (result != PARSE_OK) {
		report_value(parser, key, text, parse_result_text(result));
		return false;
	}
	if (key->capacity != 0 && !list_extend(base, key)) {
		memset(slot, 0, key->size);
		report_value(parser, key, text, "given twice");
		return false;
	}
	return true;
}

static void take_setting(struct config_parser *parser, const char *name, const char *text)
{
	const struct config_key *key = config_key_find(parser->section, name);
	size_t block = parser->section == SECTION_LINK ? 1 + parser->link : 0;
	struct config_position *position;
	char section[64], advice[CONFIG_ALLOWED_SIZE];

	current_section_name(parser, section, sizeof(section));
	if (key == NULL) {
		config_key_advise(parser->section, name, advice, sizeof(advice));
		config_errors_add(parser->errors, parser->lines.number, "[%s] %s: unknown key; %s", section,
				  name, advice);
		return;
	}
	position = &parser->position[block][key - config_keys];
	if (position->line != 0 && key->capacity == 0) {
		config_errors_add(parser->errors, parser->lines.number,
				  "[%s] %s: given again, first at line %d; allowed: once", section, name,
				  position->line);
		return;
	}
	if (position->line == 0)
		position->line = parser->lines.number;
	if (!store_value(parser, key, text))
		position->is_bad = true;
}

/* inih's handler.  Which section it is comes from our reader: inih's copy of the name may be cut. */
static int on_setting(void *user, const char *section, const char *name, const char *value)
{
	struct config_parser *parser = user;

	(void)section;
	if (name == NULL) /* a build of inih that announces sections */
		return 1;
	if (parser->state == PARSER_IN_SECTION)
		take_setting(parser, name, value != NULL ? value : "");
	else if (parser->state == PARSER_OUTSIDE)
		config_errors_add(parser->errors, parser->lines.number,
				  "%s: not in a section; allowed: keys after a line with their [SECTION]",
				  name);
	return 1;
}

/* Finds or adds the link named after the interface.  False when it is refused. */
static bool enter_link(struct config_parser *parser, const char *interface)
{
	struct config *config = &parser->config;
	char name[CONFIG_INTERFACE_SIZE];
	enum parse_result result = parse_interface(interface, name);

	if (result != PARSE_OK) {
		config_errors_add(
		    parser->errors, parser->lines.number,
		    "[link %s]: %s; allowed: [link INTERFACE], with an interface's name of at most %d bytes",
		    interface, result == PARSE_EMPTY ? "no interface" : parse_result_text(result),
		    CONFIG_INTERFACE_SIZE - 1);
		return false;
	}
	for (parser->link = 0; parser->link < config->link_count; parser->link++)
		if (strcmp(config->links[parser->link].interface, name) == 0)
			return true;
	if (config->link_count == CONFIG_LINKS_MAX) {
		config_errors_add(parser->errors, parser->lines.number,
				  "[link %s]: one link too many; allowed: 1 to %d link sections", name,
				  CONFIG_LINKS_MAX);
		return false;
	}
	memcpy(config->links[config->link_count].interface, name, sizeof(name));
	set_section_defaults(&config->links[config->link_count++], true);
	return true;
}

/* Reports a section that stood before; its keys then count as if they stood there. */
static void note_section_line(struct config_parser *parser)
{
	bool is_link = parser->section == SECTION_LINK;
	int *first = is_link ? &parser->link_line[parser->link] : &parser->section_line[parser->section];
	char section[64];

	if (*first == 0) {
		*first = parser->lines.number;
		return;
	}
	current_section_name(parser, section, sizeof(section));
	config_errors_add(parser->errors, parser->lines.number,
			  "[%s]: given again, first at line %d; allowed: once", section, *first);
}

/* Splits "[link eth1]" into its word and its argument, which may be empty. */
static void split_section_name(const char *line, char *word, char *argument)
{
	char name[CONFIG_SECTION_NAME_MAX + 1];
	size_t length = strcspn(line + 1, "]");
	size_t start, word_length;

	memcpy(name, line + 1, length);
	while (length > 0 && (name[length - 1] == ' ' || name[length - 1] == '\t'))
		length--;
	name[length] = '\0';
	start = strspn(name, " \t");
	word_length = strcspn(name + start, " \t");
	memcpy(word, name + start, word_length);
	word[word_length] = '\0';
	start += word_length;
	start += strspn(name + start, " \t");
	memcpy(argument, name + start, strlen(name + start) + 1);
}

static void enter_section(struct config_parser *parser)
{
	char word[CONFIG_SECTION_NAME_MAX + 1], argument[CONFIG_SECTION_NAME_MAX + 1];
	char advice[CONFIG_ALLOWED_SIZE];

	split_section_name(parser->lines.text, word, argument);
	parser->state = PARSER_SKIPPING;
	if (!config_section_find(word, &parser->section)) {
		config_section_advise(word, advice, sizeof(advice));
		config_errors_add(parser->errors, parser->lines.number, "[%s]: unknown section; %s", word,
				  advice);
		return;
	}
	if (parser->section == SECTION_LINK && !enter_link(parser, argument)) {
		parser->link_was_refused = true;
		return;
	}
	if (parser->section != SECTION_LINK && argument[0] != '\0')
		config_errors_add(parser->errors, parser->lines.number,
				  "[%s %s]: only link sections have a name; allowed: [%s]", word, argument,
				  word);
	parser->state = PARSER_IN_SECTION;
	note_section_line(parser);
}

/* Deals with a line that inih must not see.  False: stop reading. */
static bool refuse_line(struct config_parser *parser, enum line_kind kind)
{
	if (kind == LINE_END)
		return false;
	if (kind == LINE_READ_FAILED) {
		parser->error = parser->lines.error;
		config_errors_add(parser->errors, 0, "cannot read: %s; allowed: a readable file",
				  strerror(-parser->error));
		return false;
	}
	config_errors_add(parser->errors, parser->lines.number, "%s", line_kind_text(kind));
	if (kind == LINE_BAD_SECTION || kind == LINE_SECTION_TOO_LONG)
		parser->state = PARSER_SKIPPING;
	return kind != LINE_FILE_TOO_LARGE;
}

/* inih's reader: like fgets(), but hands on only lines that inih reads as we do, and blank ones for the
 * others. */
static char *read_line_for_inih(char *text, int size, void *stream)
{
	struct config_parser *parser = stream;
	/* inih adds a newline and a NUL to what it counts; a build with short lines has its limit here */
	size_t room = size > 2 ? (size_t)size - 2 : 0;
	enum line_kind kind =
	    line_reader_next(&parser->lines, room < CONFIG_LINE_MAX ? room : CONFIG_LINE_MAX);

	if (room == 0)
		return NULL;
	if (kind != LINE_IGNORED && kind != LINE_SECTION && kind != LINE_SETTING &&
	    !refuse_line(parser, kind))
		return NULL;
	if (kind == LINE_SECTION)
		enter_section(parser);
	if (kind == LINE_SECTION || kind == LINE_SETTING)
		snprintf(text, (size_t)size, "%s\n", parser->lines.text);
	else
		snprintf(text, (size_t)size, "\n");
	return text;
}

/* The parser's reader, errors and defaults are set. */
static int parse(struct config_parser *parser, struct config *config)
{
	struct config_errors *errors = parser->errors;
	const struct config_key *group = config_key_find(SECTION_CONTROL, "group");
	int result = ini_parse_stream(read_line_for_inih, parser, on_setting, parser);

	if (parser->error != 0)
		return parser->error;
	if (result == -2) {
		config_errors_add(errors, 0, "cannot read: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	if (result != 0 && errors->count == 0)
		config_errors_add(errors, result, "not understood; allowed: [SECTION], KEY = VALUE");
	config_check(parser);
	config_errors_sort(errors);
	if (errors->count > 0)
		return -EINVAL;
	parser->config.control.group_is_given = parser->position[0][group - config_keys].line != 0;
	*config = parser->config;
	return 0;
}

static void parser_init(struct config_parser *parser, const char *name, struct config_errors *errors)
{
	memset(parser, 0, sizeof(*parser));
	config_set_defaults(&parser->config);
	config_errors_init(errors, name);
	parser->errors = errors;
}

int config_load_file(FILE *file, const char *name, struct config *config, struct config_errors *errors)
{
	struct config_parser parser;

	parser_init(&parser, name, errors);
	line_reader_init_file(&parser.lines, file);
	return parse(&parser, config);
}

int config_load_memory(const void *data, size_t size, const char *name, struct config *config,
		       struct config_errors *errors)
{
	struct config_parser parser;

	parser_init(&parser, name, errors);
	line_reader_init_memory(&parser.lines, data, size);
	return parse(&parser, config);
}

int config_load(const char *path, struct config *config, struct config_errors *errors)
{
	FILE *file = fopen(path, "re");
	int result;

	if (file == NULL) {
		result = -errno;
		config_errors_init(errors, path);
		config_errors_add(errors, 0, "cannot open: %s; allowed: a readable file", strerror(-result));
		return result;
	}
	result = config_load_file(file, path, config, errors);
	fclose(file);
	return result;
}
