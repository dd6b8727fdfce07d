/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/subscribe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { EVENT_HEADER = 7, PIECE = 64 << 10 };

struct subscriber {
	struct subscribers *all;
	struct subscriber *next;
	struct control_client *client;
	enum dump_table table;
	uint16_t peer;
	uint32_t lost; /* since the last that was queued */
	size_t start, end;
	uint8_t queue[SUBSCRIBER_QUEUE]; /* whole entries, start .. end */
};

struct subscribers {
	struct drive *drive;
	unsigned count;
	struct subscriber *first;
};

int subscribers_open(struct subscribers **result, struct drive *drive)
{
	*result = calloc(1, sizeof(**result));
	if (*result == NULL)
		return -ENOMEM;
	(*result)->drive = drive;
	return 0;
}

void subscribers_close(struct subscribers *subscribers)
{
	free(subscribers);
}

/* Writes one entry if it fits. */
static bool append(struct subscriber *subscriber, enum message_event kind, uint16_t node, uint32_t id,
		   const uint8_t *record, size_t length)
{
	if (sizeof(subscriber->queue) - subscriber->end < EVENT_HEADER + length && subscriber->start > 0) {
		subscriber->end -= subscriber->start;
		memmove(subscriber->queue, subscriber->queue + subscriber->start, subscriber->end);
		subscriber->start = 0;
	}
	struct writer w =
	    writer_over(subscriber->queue + subscriber->end, sizeof(subscriber->queue) - subscriber->end);
	writer_u8(&w, (uint8_t)kind);
	writer_u16(&w, node);
	writer_u32(&w, id);
	if (length > 0)
		writer_bytes(&w, record, length);
	if (w.failed)
		return false;
	subscriber->end += writer_length(&w);
	return true;
}

/* Once something is lost, nothing is queued before that can be told: the listener knows where the hole is. */
static bool tell_lost(struct subscriber *subscriber)
{
	if (subscriber->lost > 0 && append(subscriber, MESSAGE_EVENT_LOST, 0, subscriber->lost, NULL, 0))
		subscriber->lost = 0;
	return subscriber->lost == 0;
}

static void give(struct subscriber *subscriber, enum message_event kind, uint16_t node, uint32_t id,
		 const uint8_t *record, size_t length)
{
	bool was_empty = subscriber->start == subscriber->end;
	if (!tell_lost(subscriber) || !append(subscriber, kind, node, id, record, length))
		subscriber->lost += subscriber->lost < UINT32_MAX;
	else if (was_empty)
		control_wake(subscriber->client);
}

static void observe(void *context, uint16_t id, enum table_event event, const struct table_entry *entry)
{
	static const enum message_event kinds[] = {[TABLE_CAME] = MESSAGE_EVENT_NEW,
						   [TABLE_CHANGED] = MESSAGE_EVENT_UPDATE,
						   [TABLE_GONE] = MESSAGE_EVENT_DESTROY,
						   [TABLE_EMPTIED] = MESSAGE_EVENT_EMPTIED};
	const struct subscribers *subscribers = context;
	for (struct subscriber *one = subscribers->first; one != NULL; one = one->next) {
		if (dump_is_external(one->table) != (id != 0) || (one->peer != 0 && one->peer != id))
			continue;
		if (entry != NULL && record_is_expect(entry->bytes) != dump_is_of_expects(one->table))
			continue;
		if (entry == NULL)
			give(one, kinds[event], id, 0, NULL, 0);
		else
			give(one, kinds[event], id, id == 0 ? entry->tag : 0, entry->bytes,
			     record_length(entry->bytes));
	}
}

/* The length of the entry at `at`; entries in the queue are our own, and whole. */
static size_t entry_length(const uint8_t *at)
{
	return *at == MESSAGE_EVENT_EMPTIED || *at == MESSAGE_EVENT_LOST
		   ? EVENT_HEADER
		   : EVENT_HEADER + record_length(at + EVENT_HEADER);
}

static void more(void *context, struct control_client *client)
{
	struct subscriber *subscriber = context;
	size_t length = 0;
	while (subscriber->start + length < subscriber->end) {
		size_t step = entry_length(subscriber->queue + subscriber->start + length);
		if (length + step > PIECE)
			break;
		length += step;
	}
	if (length > 0)
		control_send(client, MESSAGE_EVENTS, subscriber->queue + subscriber->start, length);
	subscriber->start += length;
	if (subscriber->start < subscriber->end)
		return;
	subscriber->start = subscriber->end = 0;
	if (subscriber->lost > 0) {
		tell_lost(subscriber);
		return;
	}
	control_wait(client, MONOTIME_NEVER); /* give() wakes it */
}

static void gone(void *context, struct control_client *client)
{
	struct subscriber *subscriber = context;
	struct subscribers *all = subscriber->all;
	struct subscriber **at = &all->first;
	(void)client;
	while (*at != subscriber)
		at = &(*at)->next;
	*at = subscriber->next;
	free(subscriber);
	all->count--;
	if (all->count == 0)
		drive_observe(all->drive, NULL, NULL);
}

void subscribe_start(struct control_client *client, struct subscribers *subscribers, enum dump_table table,
		     uint16_t peer)
{
	struct subscriber *subscriber =
	    subscribers->count < SUBSCRIBERS_MAX ? malloc(sizeof(*subscriber)) : NULL;
	if (subscriber == NULL) {
		control_finish(client, 1, "too many listen for events already (%u), or memory is short",
			       subscribers->count);
		return;
	}
	subscriber->all = subscribers;
	subscriber->client = client;
	subscriber->table = table;
	subscriber->peer = peer;
	subscriber->lost = 0;
	subscriber->start = subscriber->end = 0;
	subscriber->next = subscribers->first;
	subscribers->first = subscriber;
	if (subscribers->count++ == 0)
		drive_observe(subscribers->drive, observe, subscribers);
	control_set_stream(client, more, gone, subscriber);
}
