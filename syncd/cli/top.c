/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verb top: looks at the status again and again, and paints what top_draw.c drew.  One thread; keys and
 * signals are heeded even while the daemon is silent.
 */
#include "syncd/cli/json.h"
#include "syncd/cli/top_draw.h"

#include <curses.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

enum { INTERVAL_MS = 2000, INTERVAL_LEAST_MS = 100, INTERVAL_MOST_MS = 60 * 60 * 1000, PATIENCE_S = 3 };
enum { ESCAPE_MS = 50 }; /* how long an escape may be the start of an arrow key */

struct top {
	const struct cli *cli;
	struct history history;
	struct top_view view;
	struct client_answer answer; /* the latest */
	json_t *status, *before;
	int64_t looked_ms; /* when `status` came */
	int signal_fd;
	int wake_fd; /* can be read when a key or a signal is there; 0: nothing wakes */
	bool is_over;
};

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* False: a key or a signal came before the daemon's answer did. */
static bool look(struct top *top)
{
	struct client_reply reply = {0};
	json_t *status;
	int64_t now;

	json_fetch_status(top->cli, PATIENCE_S, top->wake_fd, &reply, &top->answer, &status);
	client_reply_free(&reply);
	if (top->answer.outcome == CLIENT_STOPPED)
		return false;
	now = now_ms();
	json_decref(top->before);
	top->before = top->status;
	top->status = status;
	top->view.status = status;
	top->view.before = top->before;
	top->view.elapsed_ms = now - top->looked_ms;
	top->view.why = top->answer.message;
	top->looked_ms = now;
	history_note(&top->history, status, now);
	return true;
}

/* ---- the terminal ---- */

static void use_colours(void)
{
	static const short colours[] = {
	    [PAGE_GOOD] = COLOR_GREEN, [PAGE_DOUBTFUL] = COLOR_YELLOW, [PAGE_BAD] = COLOR_RED};
	const char *no_color = getenv("NO_COLOR");

	if ((no_color && *no_color) || !has_colors() || start_color() == ERR || use_default_colors() == ERR)
		return;
	for (short colour = PAGE_GOOD; colour <= PAGE_BAD; colour++)
		init_pair(colour, colours[colour], -1);
}

/* A glyph that the terminal gives exactly one column, in the user's character set. */
static wchar_t shown(const struct top *top, uint32_t glyph)
{
	return glyph < 0x80 || (top->view.has_blocks && wcwidth((wchar_t)glyph) == 1) ? (wchar_t)glyph : L'?';
}

static void paint(struct top *top)
{
	static const attr_t styles[] = {
	    [TOP_NORMAL] = A_NORMAL, [TOP_BAR] = A_REVERSE, [TOP_HEAD] = A_BOLD | A_UNDERLINE};
	struct top_screen *screen = top_screen_create(LINES, COLS);

	if (!screen) /* what stands there stays */
		return;
	top_draw(screen, &top->view);
	for (int row = 0; row < screen->rows; row++) {
		for (int column = 0; column < screen->columns; column++) {
			const struct top_cell *cell = top_cell_at(screen, row, column);
			attr_t how = styles[cell->style] | (cell->colour != PAGE_PLAIN ? (attr_t)A_BOLD : 0);
			cchar_t painted;

			setcchar(&painted, (wchar_t[]){shown(top, cell->glyph), 0}, how, cell->colour, NULL);
			mvadd_wch(row, column, &painted);
		}
	}
	free(screen);
	refresh();
}

static void resize(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col)
		resizeterm(size.ws_row, size.ws_col);
}

static void close_terminal(SCREEN *terminal)
{
	endwin();
	delscreen(terminal);
}

/* NULL after having said why not. */
static SCREEN *open_terminal(const struct cli *cli)
{
	SCREEN *terminal = newterm(NULL, stdout, stdin);
	const char *name = getenv("TERM"), *place = terminal ? tigetstr("cup") : NULL;

	/* a terminal that cannot place the cursor shows no page; terminfo(3) has -1 for what is no string */
	if (!place || place == (const char *)-1) {
		if (terminal)
			close_terminal(terminal);
		cli_say(cli, "a terminal of type `%s' cannot show it; `%s top --once' prints it as text",
			name ? name : "", cli->program);
		return NULL;
	}
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(ESCAPE_MS);
	curs_set(0);
	use_colours();
	return terminal;
}

/* ---- keys and signals ---- */

static void set_interval(struct top *top, uint32_t interval_ms)
{
	top->view.interval_ms = interval_ms < INTERVAL_LEAST_MS  ? INTERVAL_LEAST_MS
				: interval_ms > INTERVAL_MOST_MS ? INTERVAL_MOST_MS
								 : interval_ms;
}

/* True: it wants to see the state of now. */
static bool heed_key(struct top *top, int key)
{
	switch (key) {
	case 'q':
	case 'Q':
		top->is_over = true;
		return false;
	case 'p':
	case 'P':
		top->view.is_paused = !top->view.is_paused;
		return !top->view.is_paused;
	case '+':
	case '=': /* the same key on many keyboards */
		set_interval(top, top->view.interval_ms * 2);
		return false;
	case '-':
		set_interval(top, top->view.interval_ms / 2);
		return false;
	case ' ':
		return true;
	case KEY_UP:
	case 'k':
		top->view.first_peer -= top->view.first_peer > 0;
		return false;
	case KEY_DOWN:
	case 'j':
		top->view.first_peer++; /* top_draw() keeps it in its bounds */
		return false;
	case 'L' - '@':
		clearok(stdscr, TRUE); /* something else wrote on the terminal */
		return false;
	default:
		return false;
	}
}

static void heed_signals(struct top *top)
{
	struct signalfd_siginfo signal;

	while (read(top->signal_fd, &signal, sizeof(signal)) == (ssize_t)sizeof(signal)) {
		if (signal.ssi_signo == SIGWINCH)
			resize();
		else
			top->is_over = true;
	}
}

/* Waits up to `wait_ms` (negative: as long as it takes).  True: a key wants to see the state of now. */
static bool wait_and_heed(struct top *top, int wait_ms)
{
	struct epoll_event events[2];
	int count = epoll_wait(top->wake_fd, events, 2, wait_ms), key;
	bool wants_look = false;

	heed_signals(top);
	for (int i = 0; i < count; i++)
		if (events[i].events & (EPOLLHUP | EPOLLERR))
			top->is_over = true; /* the terminal is gone */
	while (!top->is_over && (key = getch()) != ERR)
		wants_look = heed_key(top, key) || wants_look;
	return wants_look;
}

/* False after having said why not. */
static bool listen_for_keys(struct top *top, const sigset_t *signals)
{
	struct epoll_event key = {.events = EPOLLIN}, signal = {.events = EPOLLIN};

	top->wake_fd = epoll_create1(EPOLL_CLOEXEC);
	top->signal_fd = signalfd(-1, signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (top->wake_fd >= 0 && top->signal_fd >= 0 &&
	    epoll_ctl(top->wake_fd, EPOLL_CTL_ADD, STDIN_FILENO, &key) == 0 &&
	    epoll_ctl(top->wake_fd, EPOLL_CTL_ADD, top->signal_fd, &signal) == 0)
		return true;
	cli_say(top->cli, "cannot wait for keys: %s", strerror(errno));
	return false;
}

static void watch(struct top *top)
{
	bool wants_look = true;

	while (!top->is_over) {
		int64_t left_ms = top->looked_ms + top->view.interval_ms - now_ms();

		/* a look that a key breaks off is made up for after the key */
		if (wants_look || (!top->view.is_paused && left_ms <= 0)) {
			wants_look = !look(top);
			left_ms = top->view.interval_ms;
		}
		paint(top);
		wants_look = wait_and_heed(top, top->view.is_paused ? -1
						: left_ms > 0       ? (int)left_ms
								    : 0) ||
			     wants_look;
	}
}

static int run_live(struct top *top)
{
	static const int heeded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH};
	SCREEN *terminal;
	sigset_t signals, mask;
	int code = CLI_FAILED;

	sigemptyset(&signals);
	for (size_t i = 0; i < sizeof(heeded) / sizeof(heeded[0]); i++)
		sigaddset(&signals, heeded[i]);
	sigprocmask(SIG_BLOCK, &signals, &mask);
	if (listen_for_keys(top, &signals)) {
		code = CLI_USAGE;
		terminal = open_terminal(top->cli);
		if (terminal) {
			top->view.has_keys = true;
			watch(top);
			close_terminal(terminal);
			code = CLI_DONE;
		}
	}
	if (top->signal_fd >= 0)
		close(top->signal_fd);
	if (top->wake_fd >= 0)
		close(top->wake_fd);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return code;
}

/* ---- as text ---- */

static int run_once(struct top *top)
{
	struct winsize size = {0};
	struct top_screen *screen;
	int rows;

	look(top);
	if (top->status) {
		poll(NULL, 0, (int)top->view.interval_ms);
		look(top);
	}
	if (!top->status)
		return client_exit(top->cli, &top->answer);
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_row || !size.ws_col)
		size = (struct winsize){.ws_row = TOP_ROWS, .ws_col = TOP_COLUMNS};
	screen = top_screen_create(size.ws_row, size.ws_col);
	if (!screen) {
		cli_say(top->cli, "out of memory");
		return CLI_FAILED;
	}
	rows = top_draw(screen, &top->view);
	top_print(screen, rows, stdout);
	free(screen);
	return CLI_DONE;
}

int top_run(const struct cli *cli, const struct cli_verb *verb, const struct cli_arguments *arguments)
{
	const char *interval = arguments->option[0], *once = arguments->option[1];
	uint32_t interval_ms = INTERVAL_MS;
	struct top *top;
	int code;

	if (interval && !cli_read_duration(cli, verb, "--interval", interval, &interval_ms))
		return CLI_USAGE;
	if (interval_ms < INTERVAL_LEAST_MS || interval_ms > INTERVAL_MOST_MS)
		return cli_usage(cli, verb, "--interval `%s': a time from 100ms to 60m is needed", interval);
	if (!once && (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)))
		return cli_usage(cli, verb,
				 "a live view needs a terminal; `%s top --once' prints it as text, `%s "
				 "status' the state in words",
				 cli->program, cli->program);
	setlocale(LC_CTYPE, "");
	top = calloc(1, sizeof(*top));
	if (!top) {
		cli_say(cli, "out of memory");
		return CLI_FAILED;
	}
	top->cli = cli;
	top->view = (struct top_view){.why = "",
				      .history = &top->history,
				      .socket = cli->socket,
				      .interval_ms = interval_ms,
				      .has_blocks = !strcmp(nl_langinfo(CODESET), "UTF-8")};
	code = once ? run_once(top) : run_live(top);
	json_decref(top->before);
	json_decref(top->status);
	free(top);
	return code;
}
