/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "conf/parser.h"

#include <stdarg.h>
#include <string.h>

void config_errors_init(struct config_errors *errors, const char *file)
{
	errors->count = 0;
	errors->dropped = 0;
	snprintf(errors->file, sizeof(errors->file), "%s", file);
}

void config_errors_add(struct config_errors *errors, int line, const char *format, ...)
{
	struct config_error *error;
	va_list arguments;

	if (errors->count == CONFIG_ERRORS_MAX) {
		errors->dropped++;
		return;
	}
	error = &errors->list[errors->count++];
	error->line = line;
	va_start(arguments, format);
	vsnprintf(error->text, sizeof(error->text), format, arguments);
	va_end(arguments);
	for (char *at = error->text; *at != '\0'; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = '?';
}

void config_errors_sort(struct config_errors *errors)
{
	for (size_t i = 1; i < errors->count; i++) {
		struct config_error moving = errors->list[i];
		size_t at = i;

		for (; at > 0 && errors->list[at - 1].line > moving.line; at--)
			errors->list[at] = errors->list[at - 1];
		errors->list[at] = moving;
	}
}

void config_errors_format(const struct config_errors *errors, size_t index, char *out, size_t size)
{
	snprintf(out, size, "%s:%d: %s", errors->file, errors->list[index].line, errors->list[index].text);
}

void config_errors_print(const struct config_errors *errors, FILE *to)
{
	for (size_t i = 0; i < errors->count; i++)
		fprintf(to, "%s:%d: %s\n", errors->file, errors->list[i].line, errors->list[i].text);
	if (errors->dropped > 0)
		fprintf(to, "%s:%d: and %zu more mistakes\n", errors->file,
			errors->list[errors->count - 1].line, errors->dropped);
}
