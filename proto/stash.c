/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/stash.h"

#include <stdlib.h>
#include <string.h>

void stash_remove(struct stash *stash, size_t i)
{
	stash->bytes -= stash->frames[i].length;
	free(stash->frames[i].bytes);
	stash->count--;
	memmove(&stash->frames[i], &stash->frames[i + 1], (stash->count - i) * sizeof(stash->frames[0]));
}

void stash_clear(struct stash *stash)
{
	while (stash->count)
		stash_remove(stash, stash->count - 1);
}

void stash_add(struct stash *stash, const struct frame_data *data, struct monotime sent_after)
{
	size_t length = reader_left(&data->entries), i = stash->count;
	struct stashed frame = {.from = data->from,
				.to = data->to,
				.asof = data->asof,
				.length = length,
				.tail = data->flags & FRAME_DATA_TAIL,
				.count = data->count,
				.digest = data->digest,
				.sent_after = sent_after};

	while (i && stash->frames[i - 1].from > data->from)
		i--;
	if (i && stash->frames[i - 1].from == data->from && stash->frames[i - 1].to >= data->to)
		return;
	while (stash->count && (stash->count == STASH_FRAMES || stash->bytes + length > STASH_BYTES)) {
		if (i == stash->count)
			return;
		stash_remove(stash, stash->count - 1);
	}
	frame.bytes = malloc(length ? length : 1);
	if (!frame.bytes)
		return; /* as good as lost on the way */
	memcpy(frame.bytes, data->entries.at, length);
	memmove(&stash->frames[i + 1], &stash->frames[i], (stash->count - i) * sizeof(stash->frames[0]));
	stash->frames[i] = frame;
	stash->count++;
	stash->bytes += length;
}

unsigned stash_holes(const struct stash *stash, uint64_t at, struct frame_hole *holes, unsigned max)
{
	unsigned count = 0;

	for (size_t i = 0; i < stash->count && count < max; i++) {
		if (stash->frames[i].from > at)
			holes[count++] = (struct frame_hole){at, stash->frames[i].from};
		if (stash->frames[i].to > at)
			at = stash->frames[i].to;
	}
	return count;
}
