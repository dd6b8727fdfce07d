/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/cli/words.h"

#include "syncd/cli/json.h"

#include <stdarg.h>
#include <string.h>

#define NUMBER(n) page_number((char[PAGE_NUMBER_SIZE]){0}, n)

/* Returns true, for those who say something. */
__attribute__((format(printf, 3, 4))) static bool say(struct words *words, enum page_colour colour,
						      const char *format, ...)
{
	va_list list;

	words->colour = colour;
	va_start(list, format);
	vsnprintf(words->text, sizeof(words->text), format, list);
	va_end(list);
	return true;
}

bool words_flows(const json_t *status, struct words *words)
{
	const json_t *internal = json_object_get(status, "internal");
	json_int_t limit = json_number(internal, "max_flows", 0);

	return say(words, PAGE_PLAIN, "%s%s%s flows of its own%s", NUMBER(json_number(internal, "flows", 0)),
		   limit ? " of at most " : "", limit ? NUMBER(limit) : "",
		   json_flag(json_object_get(status, "kernel"), "complete", true)
		       ? ""
		       : "; the first dump is not complete yet");
}

bool words_wanted(const json_t *status, struct words *words)
{
	const char *wanted = json_words(status, "wanted_role");

	if (!*wanted || !strcmp(wanted, "init") || !strcmp(json_words(status, "role"), wanted))
		return false;
	return say(words, PAGE_DOUBTFUL, "%s is wanted, and not reached yet", wanted);
}

bool words_handover(const json_t *status, struct words *words)
{
	const json_t *handover = json_object_get(status, "handover");
	const char *state = json_words(handover, "state");

	if (!strcmp(state, "frozen"))
		return say(words, PAGE_PLAIN,
			   "our stream ends at version %" JSON_INTEGER_FORMAT
			   "; what our kernel has left stays until a new primary holds all of it",
			   json_number(handover, "v_end", 0));
	if (!strcmp(state, "withdrawing"))
		return say(words, PAGE_PLAIN,
			   "the new primary holds all: our kernel's leftovers are being deleted");
	return false;
}

bool words_warm(const json_t *status, struct words *words)
{
	const json_t *warm = json_object_get(status, "warm");
	json_int_t flows = json_number(warm, "flows", 0), waiting = json_number(warm, "waiting", 0),
		   missing = json_number(warm, "missing", 0);

	if (json_flag(warm, "adopting", false))
		return say(
		    words, PAGE_DOUBTFUL,
		    "%s flows that were taken over are still to come into our table; they pass already",
		    NUMBER(flows));
	if (json_flag(warm, "active", false))
		return say(words, missing ? PAGE_DOUBTFUL : PAGE_PLAIN,
			   "%s flows of the peers are in this kernel; %s wait, %s could not be put there",
			   NUMBER(flows), NUMBER(waiting), NUMBER(missing));
	if (flows > 0)
		return say(words, PAGE_PLAIN, "%s copies are being removed from this kernel", NUMBER(flows));
	return false;
}

bool words_kernel(const json_t *status, struct words *words)
{
	const json_t *kernel = json_object_get(status, "kernel"), *audit = json_object_get(kernel, "audit");
	json_int_t overruns = json_number(kernel, "overruns", 0);
	json_int_t passes = json_number(audit, "passes", 0),
		   corrections = json_number(audit, "corrections", 0);
	bool suspect = json_flag(kernel, "suspect", false);

	if (!kernel)
		return false;
	return say(words,
		   suspect    ? PAGE_BAD
		   : overruns ? PAGE_DOUBTFUL
			      : PAGE_PLAIN,
		   "%s events, %s overrun%s%s%s%s%s%s", NUMBER(json_number(kernel, "events", 0)),
		   NUMBER(overruns), overruns == 1 ? "" : "s", audit ? "; audits: " : "",
		   audit ? NUMBER(passes) : "", audit ? ", corrections: " : "",
		   audit ? NUMBER(corrections) : "",
		   suspect ? "; SUSPECT: events were lost, and no audit has been clean since" : "");
}

/* The words for each state that the daemon names; armed or not is what counts when it names another. */
bool words_fence(const json_t *status, struct words *words)
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
		return false;
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (!strcmp(state, states[i].state) && is_armed == !strcmp(state, "armed"))
			return say(words, states[i].colour, "%s", states[i].words);
	return say(words, is_armed ? PAGE_GOOD : PAGE_DOUBTFUL, "%s",
		   is_armed ? states[2].words : "not armed: a takeover may reset connections");
}
