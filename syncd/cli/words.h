/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the pages for people say alike of a status.
 */
#ifndef CLI_WORDS_H
#define CLI_WORDS_H

#include "syncd/cli/page.h"

#include <jansson.h>

/* What the fence's state means, and how good that is; NULL: the status says nothing of it. */
const char *words_fence(const json_t *status, enum page_colour *colour);

#endif
