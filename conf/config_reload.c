/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What changed between two configurations, and taking over what may change in a running daemon. */
#include "conf/schema.h"

#include <string.h>

/* How many bytes of a key's array hold values. */
static size_t list_size(const char *base, const struct config_key *key)
{
	size_t count;

	memcpy(&count, base + key->count_offset, sizeof(count));
	return count * key->size;
}

static bool value_differs(const void *before, const void *after, const struct config_key *key)
{
	const char *old = before, *new = after;
	size_t size = key->size;

	if (key->capacity != 0) {
		size = list_size(old, key);
		if (size != list_size(new, key))
			return true;
	}
	return memcmp(old + key->offset, new + key->offset, size) != 0;
}

struct diff {
	config_change_fn *report;
	void *context;
	size_t count;
};

static void report_change(struct diff *diff, const struct config_link *link, enum config_section section,
			  const struct config_key *key)
{
	struct config_change change = {
	    .key = key != NULL ? key->name : NULL,
	    .is_reloadable = key != NULL && key->is_reloadable,
	};

	if (link != NULL)
		snprintf(change.section, sizeof(change.section), "link %s", link->interface);
	else
		snprintf(change.section, sizeof(change.section), "%s", config_section_name(section));
	diff->count++;
	diff->report(diff->context, &change);
}

static const struct config_link *find_link(const struct config *config, const char *interface)
{
	for (size_t i = 0; i < config->link_count; i++)
		if (strcmp(config->links[i].interface, interface) == 0)
			return &config->links[i];
	return NULL;
}

static void diff_links(struct diff *diff, const struct config *before, const struct config *after)
{
	for (size_t i = 0; i < before->link_count; i++) {
		const struct config_link *link = &before->links[i],
					 *other = find_link(after, link->interface);

		if (other == NULL)
			report_change(diff, link, SECTION_LINK, NULL);
		for (size_t k = 0; other != NULL && k < config_key_count; k++)
			if (config_keys[k].section == SECTION_LINK &&
			    value_differs(link, other, &config_keys[k]))
				report_change(diff, link, SECTION_LINK, &config_keys[k]);
	}
	for (size_t i = 0; i < after->link_count; i++)
		if (find_link(before, after->links[i].interface) == NULL)
			report_change(diff, &after->links[i], SECTION_LINK, NULL);
}

size_t config_diff(const struct config *before, const struct config *after, config_change_fn *report,
		   void *context)
{
	struct diff diff = {.report = report, .context = context};

	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];

		/* the links' keys as one, where the first of them stands in the table */
		if (key->section == SECTION_LINK) {
			if (config_keys[i - 1].section != SECTION_LINK)
				diff_links(&diff, before, after);
		} else if (key->size != 0 && value_differs(before, after, key)) {
			report_change(&diff, NULL, key->section, key);
		}
	}
	return diff.count;
}

void config_merge_reload(struct config *running, const struct config *fresh)
{
	for (size_t i = 0; i < config_key_count; i++) {
		const struct config_key *key = &config_keys[i];
		size_t size = key->capacity != 0 ? key->capacity * key->size : key->size;

		if (!key->is_reloadable || key->section == SECTION_LINK)
			continue;
		memcpy((char *)running + key->offset, (const char *)fresh + key->offset, size);
		if (key->capacity != 0)
			memcpy((char *)running + key->count_offset, (const char *)fresh + key->count_offset,
			       sizeof(size_t));
	}
}
