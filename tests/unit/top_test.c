/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The live view's lines, without a terminal. */
#include "syncd/cli/top_draw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char proven[] = "{\"in_sync\":true,\"version\":7,\"age_ms\":20,\"reason\":\"\"}";
static const char unproven[] =
    "{\"in_sync\":false,\"version\":5,\"age_ms\":90000,\"reason\":\"12 versions behind\"}";

/* A backup after `step` seconds: 100 events, 10 changes, 40 datagrams and the loss of one a second. */
static json_t *status_at(int step, int peers, const char *holds)
{
	json_error_t error;
	json_t *status = json_pack_ex(
	    &error, 0,
	    "{s:i,s:s,s:i,s:s,s:s,s:s,s:{s:i,s:i,s:i},s:[],s:[],s:{s:i,s:i,s:b,s:b},s:{s:b,s:s},s:{s:i,s:i}}",
	    "node", 1, "role", "backup", "term", 3, "mode", "active-standby", "software", "0.1.0", "session",
	    "a", "internal", "flows", 1234, "max_flows", 1048576, "version", 10 * step, "peers", "links",
	    "kernel", "events", 100 * step, "overruns", 0, "suspect", 0, "complete", 1, "fence", "armed", 1,
	    "state", "armed", "network", "sent_datagrams", 40 * step, "received_datagrams", 39 * step);

	assert_non_null(status);
	for (int i = 0; i < peers; i++)
		json_array_append_new(json_object_get(status, "peers"),
				      json_pack("{s:i,s:s,s:i,s:b,s:i,s:i,s:i,s:o,s:o,s:[{s:s,s:i,s:i}]}",
						"node", i + 2, "role", i ? "backup" : "primary", "term", 3,
						"alive", 1, "flows", i ? 0 : 5000, "lag_us", 310, "rtt_us",
						150, "holds", json_loads(holds, 0, &error), "held",
						json_loads(proven, 0, &error), "links", "interface", "sync0",
						"received", 39 * step, "lost", i ? 0 : step));
	json_array_append_new(json_object_get(status, "links"),
			      json_pack("{s:s,s:i,s:b,s:s,s:i,s:i,s:i,s:i}", "interface", "sync0", "port",
					3780, "up", 1, "problem", "", "sent", 40 * step, "received",
					39 * step, "send_failed", 0, "receive_dropped", 0));
	return status;
}

struct fixture {
	struct history history;
	struct top_view view;
	json_t *before, *status;
};

static void set_up(struct fixture *f, int peers, const char *holds)
{
	memset(f, 0, sizeof(*f));
	f->before = status_at(10, peers, holds);
	f->status = status_at(12, peers, holds);
	history_note(&f->history, f->before, 5000);
	history_note(&f->history, f->status, 7000);
	f->view = (struct top_view){.status = f->status,
				    .before = f->before,
				    .elapsed_ms = 2000,
				    .why = "",
				    .history = &f->history,
				    .socket = "/run/control.sock",
				    .interval_ms = 2000,
				    .has_keys = true};
}

static void tear_down(struct fixture *f)
{
	json_decref(f->before);
	json_decref(f->status);
}

/* The lines as text, which the caller frees. */
static char *drawn(struct fixture *f, int rows, int columns)
{
	struct top_screen *screen = top_screen_create(rows, columns);
	char *text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);

	assert_non_null(screen);
	assert_non_null(to);
	assert_in_range(top_draw(screen, &f->view), 0, screen->rows);
	top_print(screen, screen->rows, to);
	fclose(to);
	free(screen);
	return text;
}

static void assert_shows(struct fixture *f, int rows, int columns, const char *words, bool shows)
{
	char *text = drawn(f, rows, columns);

	if (!strstr(text, words) == shows)
		fail_msg("`%s' %s in:\n%s", words, shows ? "is not" : "is", text);
	free(text);
}

static void all_of_a_pair_has_room_at_80x24(void **state)
{
	struct fixture f;
	char *text;

	(void)state;
	set_up(&f, 1, proven);
	text = drawn(&f, TOP_ROWS, TOP_COLUMNS);
	assert_string_equal(
	    text, "Twintrack  node 1, backup, term 3, active-standby, twintrackd 0.1.0  every 2.0 s\n"
		  "SAFE: this node can take over from node 2\n"
		  "flows    1,234 of at most 1,048,576 flows of its own\n"
		  "fence    armed: no packet gets in before its flow is known\n"
		  "kernel   1,200 events, 0 overruns\n"
		  "\n"
		  " PEER STATE  ROLE           FLOWS  ITS FLOWS HERE    OUR FLOWS THERE         LAG\n"
		  "    2 alive  primary        5,000  equal 20.0 ms ago equal 20.0 ms ago    310 us\n"
		  "\n"
		  "LINK            STATE      SENT/s  RECEIVED/s    LOST/s     LOSS  UNSENT DROPPED\n"
		  "sync0           up             40          39       1.0   2.50 %       0       0\n"
		  "\n"
		  "RATES              NOW        MOST  OVER TIME\n"
		  "own flows         1,234       1,234                                           ##\n"
		  "held flows        5,000       5,000                                           ##\n"
		  "events/s            100         100                                            #\n"
		  "changes/s            10          10                                            #\n"
		  "lag             0.31 ms     0.31 ms                                           ##\n"
		  "loss              2.5 %       2.5 %                                            #\n"
		  "sent/s               40          40                                            #\n"
		  "received/s           39          39                                            #\n"
		  "\n\n"
		  "q quit   p pause   + - interval   space look now\n");
	free(text);
	tear_down(&f);
}

static void what_is_wrong_is_said_with_its_reason(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, 1, unproven);
	json_array_append_new(
	    json_object_get(f.status, "links"),
	    json_pack("{s:s,s:b,s:s}", "interface", "sync1", "up", 0, "problem", "no carrier"));
	json_object_set_new(f.status, "problems", json_pack("[s]", "the disk is full"));
	assert_shows(&f, 24, 80, "\nNOT SAFE: our copy of the flows of node 2", true);
	assert_shows(&f, 24, 80, "5,000  NOT in sync       equal 20.0 ms ago", true);
	assert_shows(&f, 24, 80, "\n      its flows here: 12 versions behind (last proven 90.0 s ago)\n",
		     true);
	assert_shows(&f, 24, 80, "\nsync1           DOWN  no carrier\n", true);
	assert_shows(&f, 24, 80, "\nproblem  the disk is full\n", true);
	tear_down(&f);
}

static void without_a_daemon_it_says_so_and_shows_no_old_state(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, 1, proven);
	history_note(&f.history, NULL, 9000);
	f.view.status = NULL;
	f.view.why = "no daemon answers on /run/control.sock";
	assert_shows(&f, 24, 80, "\nno daemon answers on /run/control.sock\n", true);
	assert_shows(&f, 24, 80, "The daemon is asked again every 2.0 s.", true);
	assert_shows(&f, 24, 80, "SAFE", false);
	assert_shows(&f, 24, 80, "own flows             -       1,234", true);
	tear_down(&f);
}

static void a_daemon_started_anew_has_no_rates_yet(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, 1, proven);
	json_object_set_new(f.status, "session", json_string("b"));
	assert_shows(&f, 24, 80,
		     "sync0           up              -           -         -        -       0       0\n",
		     true);
	tear_down(&f);
}

static void peers_beyond_the_room_are_reached_by_scrolling(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, 31, proven);
	assert_shows(&f, 24, 80, "\n    2 alive", true);
	assert_shows(&f, 24, 80, "\n   32 alive", false);
	assert_shows(&f, 24, 80, "up down peers", true);
	f.view.first_peer = 1;
	assert_shows(&f, 24, 80, "\n    2 alive", false);
	assert_shows(&f, 24, 80, "\n    3 alive", true);
	f.view.first_peer = 1000;
	assert_shows(&f, 24, 80, "\n   32 alive", true);
	assert_in_range(f.view.first_peer, 1, 30);
	assert_shows(&f, 70, 80, "\n    2 alive", true); /* all have room */
	assert_int_equal(f.view.first_peer, 0);
	assert_shows(&f, 70, 80, "up down peers", false);
	tear_down(&f);
}

static void a_larger_terminal_shows_more(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, 1, proven);
	assert_shows(&f, 24, 80, "DIVERGENCES", false);
	assert_shows(&f, 24, 130, "DIVERGENCES", true);
	assert_shows(&f, 24, 130, "RECEIVED B/s", true);
	assert_shows(&f, 40, 80,
		     "#\n"
		     "                                                                               #\n",
		     true);
	tear_down(&f);
}

static void every_size_is_drawn_within_its_bounds(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f, 5, unproven);
	json_object_set_new(
	    f.status, "problems",
	    json_pack("[s,s,s]", "a b c d e f g h i j k l m n", "", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"));
	for (int rows = 0; rows < 60; rows++) {
		for (int columns = 0; columns < 140; columns += 1 + columns / 8) {
			f.view.first_peer = (size_t)(rows % 7);
			f.view.has_blocks = rows % 2;
			free(drawn(&f, rows, columns));
		}
	}
	tear_down(&f);
}

static void words_of_others_cannot_move_the_cursor(void **state)
{
	struct fixture f;
	char *text;

	(void)state;
	set_up(&f, 1, proven);
	json_object_set_new(f.status, "problems",
			    json_pack("[s]", "x\033[2Jy\nz\xc2\x9b"
					     "31m \xc3\xa4"));
	text = drawn(&f, 24, 80);
	assert_non_null(strstr(text, "\nproblem  x?[2Jy?z?31m \xc3\xa4\n"));
	assert_null(strchr(text, '\033'));
	free(text);
	tear_down(&f);
}

static void a_broken_character_takes_one_column_a_byte(void **state)
{
	struct top_screen *screen = top_screen_create(2, 10);

	(void)state;
	top_put(screen, 0, 0, -1, PAGE_PLAIN, "%s", "\xe2\x82\xac\xe2\x82|\xff\xc3");
	assert_int_equal(top_cell_at(screen, 0, 0)->glyph, 0x20ac);
	for (int column = 1; column < 3; column++)
		assert_int_equal(top_cell_at(screen, 0, column)->glyph, '?');
	assert_int_equal(top_cell_at(screen, 0, 3)->glyph, '|');
	assert_int_equal(top_cell_at(screen, 0, 5)->glyph, '?');
	assert_int_equal(top_cell_at(screen, 0, 6)->glyph, ' ');
	free(screen);
}

static void the_oldest_samples_leave_the_history(void **state)
{
	static struct history history;
	json_t *status = status_at(1, 1, proven);

	(void)state;
	for (int i = 0; i < HISTORY_SAMPLES + 5; i++)
		history_note(&history, i == HISTORY_SAMPLES + 3 ? NULL : status, i * 1000);
	assert_int_equal(history.count, HISTORY_SAMPLES);
	assert_int_equal(history.sample[0].at_ms, 5000);
	assert_true(history.sample[HISTORY_SAMPLES - 2].flows < 0);
	assert_true(history.sample[HISTORY_SAMPLES - 1].events < 0); /* the one before is unknown */
	assert_true(history.sample[HISTORY_SAMPLES - 3].events == 0);
	json_decref(status);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(all_of_a_pair_has_room_at_80x24),
	    cmocka_unit_test(what_is_wrong_is_said_with_its_reason),
	    cmocka_unit_test(without_a_daemon_it_says_so_and_shows_no_old_state),
	    cmocka_unit_test(a_daemon_started_anew_has_no_rates_yet),
	    cmocka_unit_test(peers_beyond_the_room_are_reached_by_scrolling),
	    cmocka_unit_test(a_larger_terminal_shows_more),
	    cmocka_unit_test(every_size_is_drawn_within_its_bounds),
	    cmocka_unit_test(words_of_others_cannot_move_the_cursor),
	    cmocka_unit_test(a_broken_character_takes_one_column_a_byte),
	    cmocka_unit_test(the_oldest_samples_leave_the_history),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
