/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One line for each peer, and further ones for what is wrong with it. */
#include "syncd/cli/json.h"
#include "syncd/cli/top_parts.h"

#define NUMBER(n)    page_number((char[PAGE_NUMBER_SIZE]){0}, n)
#define DURATION(us) page_duration((char[PAGE_NUMBER_SIZE]){0}, us)

enum { NOTES_MAX = 6, NOTE_INDENT = 6 };

struct notes {
	int count;
	struct {
		enum page_colour colour;
		char text[200];
	} note[NOTES_MAX];
};

#define NOTE(notes, shade, ...)                                                                              \
	do {                                                                                                 \
		(notes)->note[(notes)->count].colour = (shade);                                              \
		snprintf((notes)->note[(notes)->count++].text, sizeof((notes)->note[0].text), __VA_ARGS__);  \
	} while (0)

static void note_proof(struct notes *notes, const char *what, const json_t *proof)
{
	const char *reason = json_words(proof, "reason");
	json_int_t age_ms = json_number(proof, "age_ms", -1);

	if (json_flag(proof, "in_sync", false))
		return;
	NOTE(notes, PAGE_BAD, "%s: %s (%s%s%s)", what, *reason ? reason : "the daemon gives no reason",
	     age_ms < 0 ? "never proven" : "last proven ", age_ms < 0 ? "" : DURATION(age_ms * 1000),
	     age_ms < 0 ? "" : " ago");
}

/* At most NOTES_MAX: one of each kind. */
static void find_notes(const json_t *peer, struct notes *notes)
{
	const json_t *orphan = json_array_get(json_object_get(peer, "orphans"), 0);
	json_int_t silent_ms = json_number(peer, "silent_ms", -1);

	notes->count = 0;
	if (!json_flag(peer, "alive", false) && silent_ms >= 0)
		NOTE(notes, PAGE_BAD, "silent for %s", DURATION(silent_ms * 1000));
	note_proof(notes, "its flows here", json_object_get(peer, "holds"));
	note_proof(notes, "our flows there", json_object_get(peer, "held"));
	if (json_flag(peer, "suspect", false))
		NOTE(notes, PAGE_BAD, "it has lost events");
	if (!json_flag(peer, "complete", true))
		NOTE(notes, PAGE_DOUBTFUL, "its first dump is not complete");
	if (orphan)
		NOTE(notes, PAGE_DOUBTFUL, "%s flows from before it rebooted are kept for a takeover",
		     NUMBER(json_number(orphan, "flows", 0)));
}

static int rows_of(const json_t *peer)
{
	struct notes notes;

	find_notes(peer, &notes);
	return 1 + notes.count;
}

int top_peers_rows(const json_t *status)
{
	const json_t *peer;
	int rows = 1;
	size_t i;

	json_array_foreach(json_object_get(status, "peers"), i, peer) rows += rows_of(peer);
	return rows == 1 ? 2 : rows; /* that there is none is said, too */
}

static void draw_head(struct top_screen *screen, int row)
{
	top_put(screen, row, 0, -1, PAGE_PLAIN,
		" PEER STATE  ROLE           FLOWS  ITS FLOWS HERE    OUR FLOWS THERE");
	top_put_right(screen, row, 70, 10, PAGE_PLAIN, "LAG");
	top_put_right(screen, row, 82, 10, PAGE_PLAIN, "TRIP");
	top_put_right(screen, row, 94, 6, PAGE_PLAIN, "TERM");
	top_put_right(screen, row, 102, 10, PAGE_PLAIN, "RESYNCS");
	top_put_right(screen, row, 114, 12, PAGE_PLAIN, "DIVERGENCES");
	top_set_style(screen, row, TOP_HEAD);
}

static void draw_proof(struct top_screen *screen, int row, int column, const json_t *proof)
{
	json_int_t age_ms = json_number(proof, "age_ms", -1);

	if (!json_flag(proof, "in_sync", false))
		top_put(screen, row, column, 17, PAGE_BAD, "NOT in sync");
	else if (age_ms > 0)
		top_put(screen, row, column, 17, PAGE_GOOD, "equal %s ago", DURATION(age_ms * 1000));
	else
		top_put(screen, row, column, 17, PAGE_GOOD, "equal just now");
}

/* Columns that do not fit are cut off at the right: those that matter less. */
static void draw_peer(struct top_screen *screen, int row, const json_t *peer)
{
	bool alive = json_flag(peer, "alive", false);
	const json_t *resyncs = json_object_get(peer, "resyncs");
	json_int_t divergences = json_number(peer, "divergences", 0);

	top_put_right(screen, row, 0, 5, PAGE_PLAIN, "%" JSON_INTEGER_FORMAT, json_number(peer, "node", 0));
	top_put(screen, row, 6, 6, alive ? PAGE_GOOD : PAGE_BAD, "%s", alive ? "alive" : "SILENT");
	top_put(screen, row, 13, 8, PAGE_PLAIN, "%s", json_words(peer, "role"));
	top_put_right(screen, row, 22, 11, PAGE_PLAIN, "%s", NUMBER(json_number(peer, "flows", 0)));
	draw_proof(screen, row, 35, json_object_get(peer, "holds"));
	draw_proof(screen, row, 53, json_object_get(peer, "held"));
	top_put_right(screen, row, 70, 10, PAGE_PLAIN, "%s", DURATION(json_number(peer, "lag_us", -1)));
	top_put_right(screen, row, 82, 10, PAGE_PLAIN, "%s", DURATION(json_number(peer, "rtt_us", -1)));
	top_put_right(screen, row, 94, 6, PAGE_PLAIN, "%" JSON_INTEGER_FORMAT, json_number(peer, "term", 0));
	top_put_right(screen, row, 102, 10, PAGE_PLAIN, "%s",
		      NUMBER(json_number(resyncs, "partial", 0) + json_number(resyncs, "full", 0)));
	top_put_right(screen, row, 114, 12, divergences ? PAGE_DOUBTFUL : PAGE_PLAIN, "%s",
		      NUMBER(divergences));
}

static int draw_peer_and_notes(struct top_screen *screen, int row, int rows, const json_t *peer)
{
	struct notes notes;
	int used = 1;

	draw_peer(screen, row, peer);
	find_notes(peer, &notes);
	for (int i = 0; i < notes.count && used < rows; i++, used++)
		top_put(screen, row + used, NOTE_INDENT, -1, notes.note[i].colour, "%s", notes.note[i].text);
	return used;
}

/* The last peer to start with: from it on, all have room. */
static size_t last_start(const json_t *peers, int rows)
{
	size_t start = json_array_size(peers);

	while (start > 0 && (rows -= rows_of(json_array_get(peers, start - 1))) >= 0)
		start--;
	return start < json_array_size(peers) || start == 0 ? start : start - 1;
}

bool top_draw_peers(struct top_screen *screen, int row, int rows, struct top_view *view)
{
	const json_t *peers = json_object_get(view->status, "peers");
	size_t count = json_array_size(peers), last = last_start(peers, rows - 1), i;
	int end = row + rows;

	if (view->first_peer > last)
		view->first_peer = last;
	if (rows < 1)
		return last > 0;
	draw_head(screen, row++);
	if (count == 0 && row < end)
		top_put(screen, row, NOTE_INDENT, -1, PAGE_BAD, "none has been heard");
	for (i = view->first_peer; i < count && row < end; i++)
		row += draw_peer_and_notes(screen, row, end - row, json_array_get(peers, i));
	return last > 0;
}
