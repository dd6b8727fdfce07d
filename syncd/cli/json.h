/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Looking things up in the daemon's JSON.  A field that is missing or of another type reads as its default:
 * the command and the daemon may differ in version.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include "syncd/cli/client.h"

#include <jansson.h>

/* `object` may be NULL or anything else. */
json_int_t json_number(const json_t *object, const char *name, json_int_t otherwise);
bool json_flag(const json_t *object, const char *name, bool otherwise);
const char *json_words(const json_t *object, const char *name); /* never NULL: "" */

/*
 * Asks for the status, waiting for the daemon as long as client_question.patience_s says or until stop_fd (0:
 * none) can be read, and parses it.
 * *root is the caller's (json_decref()), NULL unless the answer is good; then the bytes as they came are in
 * *reply, which is the caller's in any case (client_reply_free()).
 */
void json_fetch_status(const struct cli *cli, unsigned patience_s, int stop_fd, struct client_reply *reply,
		       struct client_answer *answer, json_t **root);

/* The daemon's JSON on standard output, as one line. */
void json_print_raw(const struct client_text *json);

#endif
