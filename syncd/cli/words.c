/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/words.h"

#include "syncd/cli/json.h"

#include <string.h>

/* The words for each state that the daemon names; armed or not is what counts when it names another. */
const char *words_fence(const json_t *status, enum page_colour *colour)
{
	static const struct {
		const char *state;
		enum page_colour colour;
		const char *words;
	} states[] = {
	    {"disabled", PAGE_DOUBTFUL, "off ([fence] enable = no): a takeover may reset connections"},
	    {"open", PAGE_PLAIN, "open, as the role wants it"},
	    {"armed", PAGE_GOOD, "armed: no packet gets in before its flow is known"},
	    {"gave-up", PAGE_BAD,
	     "opened, for no `primary' followed a virtual address: a takeover may reset connections"},
	    {"failed", PAGE_BAD, "the kernel refuses to close it: a takeover may reset connections"},
	};
	const json_t *fence = json_object_get(status, "fence");
	const char *state = json_words(fence, "state");
	bool is_armed = json_flag(fence, "armed", false);

	if (!fence)
		return NULL;
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		if (strcmp(state, states[i].state) || is_armed != !strcmp(state, "armed"))
			continue;
		*colour = states[i].colour;
		return states[i].words;
	}
	*colour = is_armed ? PAGE_GOOD : PAGE_DOUBTFUL;
	return is_armed ? states[2].words : "not armed: a takeover may reset connections";
}
