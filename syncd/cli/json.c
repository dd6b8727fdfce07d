/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/json.h"

#include <stdio.h>

json_int_t json_number(const json_t *object, const char *name, json_int_t otherwise)
{
	const json_t *value = json_object_get(object, name);

	if (json_is_integer(value))
		return json_integer_value(value);
	return json_is_real(value) ? (json_int_t)json_real_value(value) : otherwise;
}

bool json_flag(const json_t *object, const char *name, bool otherwise)
{
	const json_t *value = json_object_get(object, name);

	return json_is_boolean(value) ? json_is_true(value) : otherwise;
}

const char *json_words(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? text : "";
}

void json_fetch_status(const struct cli *cli, unsigned patience_s, int stop_fd, struct client_reply *reply,
		       struct client_answer *answer, json_t **root)
{
	struct client_question question = {.verb = "status",
					   .patience_s = patience_s,
					   .stop_fd = stop_fd,
					   .receive = client_keep,
					   .context = reply};
	json_error_t error;

	*root = NULL;
	client_ask(cli, &question, answer);
	if (answer->outcome != CLIENT_ANSWERED || answer->code)
		return;
	*root = json_loadb(reply->json.text ? reply->json.text : "", reply->json.length, 0, &error);
	if (json_is_object(*root))
		return;
	json_decref(*root);
	*root = NULL;
	answer->outcome = CLIENT_BROKEN;
	snprintf(answer->message, sizeof(answer->message), "the daemon's status cannot be read as JSON (%s)",
		 error.text);
}

void json_print_raw(const struct client_text *json)
{
	fwrite(json->text, 1, json->length, stdout);
	if (json->length && json->text[json->length - 1] != '\n')
		putchar('\n');
}
