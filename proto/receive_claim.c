/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What of a copy lies beyond a claim, and what is later than an end that its owner knew. */
#include "proto/receive_state.h"

#include <string.h>

void receive_claim(struct receive *receive, uint64_t after)
{
	receive->claim_generation++;
	receive->beyond_from = receive->claim_generation;
	receive->followed_after = after;
	receive->news = RECEIVE_NEWS_ALL;
	receive->news_were_unsure = false;
}

void receive_claim_again(struct receive *receive, uint64_t after)
{
	enum receive_news news = receive->news;

	receive_claim(receive, after);
	receive->news = news;
	receive->news_were_unsure = news == RECEIVE_NEWS_UNSURE;
}

void receive_claim_nothing(struct receive *receive)
{
	receive_claim(receive, 0);
	receive->beyond_from = 0;
}

bool receive_is_beyond_claim(const struct receive *receive, const struct table_entry *entry)
{
	return entry->tag >= receive->beyond_from;
}

void receive_follow(struct receive *receive, receive_followed *followed, void *context, uint16_t id,
		    uint64_t after)
{
	receive->followed = followed;
	receive->followed_context = context;
	receive->followed_id = id;
	receive->followed_after = after;
	receive->follow_sweep =
	    followed && (receive->full.running || receive->full.sweep_waits || receive->full.sweeping);
}

void receive_note_before_primary(struct receive *receive, uint64_t ours, uint64_t newest)
{
	receive->before_primary.claimed = 0;
	if (receive_has_stale(receive) || receive->applied < newest)
		return;
	receive->before_primary.ours = ours;
	receive->before_primary.its = table_newest(receive->table);
	receive->before_primary.is_known = true;
}

void receive_note_claim(struct receive *receive, uint64_t claimed)
{
	if (!receive->before_primary.claimed)
		receive->before_primary.claimed = claimed;
}

bool receive_is_later(const struct receive *receive, const struct table_entry *entry, uint64_t ours)
{
	/* of one whose table was not here to its end before it took over, its first claim alone tells */
	bool knew = ours <= receive->before_primary.claimed ||
		    (receive->before_primary.is_known && ours <= receive->before_primary.ours);

	return knew && table_version(receive->table, entry) > receive->before_primary.its;
}

void receive_forget_before_primary(struct receive *receive)
{
	memset(&receive->before_primary, 0, sizeof(receive->before_primary));
}
