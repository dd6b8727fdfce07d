/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/loop.h"

#include "syncd/daemon/clock.h"

#include <errno.h>
#include <linux/time_types.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
	EVENTS_MAX = 32,
	FAR_US = 10000, /* a deadline that far need not be met to the microsecond */
};

struct loop_source {
	struct loop *loop;
	int fd;
	loop_ready *ready;
	void *context;
	struct loop_source *next_dead;
	bool dead;
};

struct loop {
	int epoll_fd, timer_fd, signal_fd;
	struct loop_source *timer_source, *signal_source;
	struct loop_timer *timers;
	struct loop_slice *slices;
	struct loop_source *dead; /* removed, but perhaps still named by events that epoll_wait() returned */
	struct monotime armed;    /* what timer_fd is set to */
	bool waits_by_fd;         /* for all deadlines: the kernel has no epoll_pwait2() */
	void (*caught)(void *context, int signal);
	void *caught_context;
	struct monotime longest;
	struct monotime rest_until;
	bool stopping;
};

int loop_add(struct loop *loop, int fd, uint32_t events, loop_ready *ready, void *context,
	     struct loop_source **source)
{
	struct loop_source *new = calloc(1, sizeof(*new));
	if (new == NULL)
		return -ENOMEM;
	*new = (struct loop_source){.loop = loop, .fd = fd, .ready = ready, .context = context};
	struct epoll_event event = {.events = events, .data.ptr = new};
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0) {
		int error = -errno;
		free(new);
		return error;
	}
	*source = new;
	return 0;
}

int loop_modify(struct loop_source *source, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = source};
	return epoll_ctl(source->loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event) < 0 ? -errno : 0;
}

void loop_remove(struct loop_source *source)
{
	if (source == NULL)
		return;
	epoll_ctl(source->loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
	source->dead = true;
	source->next_dead = source->loop->dead;
	source->loop->dead = source;
}

static void free_dead(struct loop *loop)
{
	while (loop->dead != NULL) {
		struct loop_source *source = loop->dead;
		loop->dead = source->next_dead;
		free(source);
	}
}

void loop_add_timer(struct loop *loop, struct loop_timer *timer)
{
	timer->next = loop->timers;
	loop->timers = timer;
}

void loop_add_slice(struct loop *loop, struct loop_slice *slice)
{
	slice->next = loop->slices;
	loop->slices = slice;
}

static void read_signals(void *context, uint32_t events)
{
	struct loop *loop = context;
	struct signalfd_siginfo info;
	(void)events;
	while (read(loop->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		loop->caught(loop->caught_context, (int)info.ssi_signo);
}

int loop_add_signals(struct loop *loop, const int *signals, void (*caught)(void *context, int signal),
		     void *context)
{
	sigset_t set;
	sigemptyset(&set);
	for (; *signals != 0; signals++)
		sigaddset(&set, *signals);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	loop->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (loop->signal_fd < 0)
		return -errno;
	loop->caught = caught;
	loop->caught_context = context;
	return loop_add(loop, loop->signal_fd, EPOLLIN, read_signals, loop, &loop->signal_source);
}

static void read_timer(void *context, uint32_t events)
{
	struct loop *loop = context;
	uint64_t expirations;
	(void)events;
	if (read(loop->timer_fd, &expirations, sizeof(expirations)) < 0)
		return; /* it was set anew since epoll saw it */
	loop->armed = MONOTIME_NEVER;
}

int loop_open(struct loop **result)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	if (loop == NULL)
		return -ENOMEM;
	loop->armed = MONOTIME_NEVER;
	loop->signal_fd = -1;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->timer_fd = timerfd_create(CLOCK_DAEMON, TFD_NONBLOCK | TFD_CLOEXEC);
	int error = loop->epoll_fd < 0 || loop->timer_fd < 0 ? -errno : 0;
	if (error == 0)
		error = loop_add(loop, loop->timer_fd, EPOLLIN, read_timer, loop, &loop->timer_source);
	if (error < 0) {
		loop_close(loop);
		return error;
	}
	*result = loop;
	return 0;
}

void loop_close(struct loop *loop)
{
	if (loop == NULL)
		return;
	loop_remove(loop->timer_source);
	loop_remove(loop->signal_source);
	free_dead(loop);
	if (loop->signal_fd >= 0)
		close(loop->signal_fd);
	if (loop->timer_fd >= 0)
		close(loop->timer_fd);
	if (loop->epoll_fd >= 0)
		close(loop->epoll_fd);
	free(loop);
}

/* Nothing but `except` may run before. */
static void settle(const struct loop *loop, const struct loop_slice *except)
{
	for (const struct loop_slice *slice = loop->slices; slice != NULL; slice = slice->next)
		if (slice->settle != NULL && slice != except)
			slice->settle(slice->context);
}

/* Calls what has expired; returns when the next one will. */
static struct monotime run_timers(struct loop *loop)
{
	struct monotime now = clock_now(), next = MONOTIME_NEVER;
	for (struct loop_timer *timer = loop->timers; timer != NULL; timer = timer->next) {
		if (!monotime_is_before(now, timer->deadline)) {
			timer->deadline = MONOTIME_NEVER;
			if (!timer->unsettled)
				settle(loop, NULL);
			timer->expired(timer->context, now);
			now = clock_now();
		}
	}
	for (struct loop_timer *timer = loop->timers; timer != NULL; timer = timer->next)
		next =
		    monotime_min(next, monotime_add(timer->deadline, monotime_from_us(timer->patience_us)));
	return next;
}

static void run_slices(struct loop *loop)
{
	for (struct loop_slice *slice = loop->slices; slice != NULL; slice = slice->next) {
		if (!slice->active)
			continue;
		settle(loop, slice);
		slice->run(slice->context, monotime_add(clock_now(), monotime_from_us(LOOP_SLICE_US)));
	}
}

static bool has_active_slice(const struct loop *loop)
{
	for (const struct loop_slice *slice = loop->slices; slice != NULL; slice = slice->next)
		if (slice->active)
			return true;
	return false;
}

static void set_timer(struct loop *loop, struct monotime deadline)
{
	if (deadline.us == loop->armed.us)
		return;
	struct itimerspec spec = {0};
	if (deadline.us != MONOTIME_NEVER.us) {
		spec.it_value.tv_sec = deadline.us / 1000000;
		spec.it_value.tv_nsec = deadline.us % 1000000 * 1000;
	}
	timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
	loop->armed = deadline;
}

/* epoll_pwait2(2), since Linux 5.11; by its number, for C libraries that are older than it. */
static int wait_at_most(const struct loop *loop, struct epoll_event *events, int64_t us)
{
#ifdef SYS_epoll_pwait2
	struct __kernel_timespec span = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
	return (int)syscall(SYS_epoll_pwait2, loop->epoll_fd, events, EVENTS_MAX, &span, NULL, 0);
#else
	(void)loop, (void)events, (void)us;
	errno = ENOSYS;
	return -1;
#endif
}

/*
 * A deadline that is far is told to the wait itself, which may end later by a thousandth of its span
 * (fs/select.c, select_estimate_accuracy()).  To set the descriptor and to read it are two calls more for
 * each heartbeat, most of what an idle daemon does.
 */
static int wait_until(struct loop *loop, struct epoll_event *events, struct monotime now,
		      struct monotime next)
{
	int64_t us = monotime_sub(next, now).us;
	bool is_far = next.us != MONOTIME_NEVER.us && us >= FAR_US;
	if (is_far && !loop->waits_by_fd && !monotime_is_before(loop->armed, next)) {
		int count = wait_at_most(loop, events, us);
		/* EPERM: a container's filter of system calls that does not know it */
		if (count >= 0 || (errno != ENOSYS && errno != EPERM))
			return count;
		loop->waits_by_fd = true;
	}
	set_timer(loop, next);
	return epoll_wait(loop->epoll_fd, events, EVENTS_MAX, -1);
}

/* Not on the timer's descriptor: this wait is short, and setting it costs as much as the wait saves. */
static void rest(const struct loop *loop, struct monotime next)
{
	struct monotime until = monotime_min(loop->rest_until, next);
	struct timespec at = {.tv_sec = until.us / 1000000, .tv_nsec = until.us % 1000000 * 1000};
	clock_nanosleep(CLOCK_DAEMON, TIMER_ABSTIME, &at, NULL);
}

/* Waits for events, at most until `next`, and not at all when there is other work; returns when they came in
 * *since. */
static int wait_for_events(struct loop *loop, struct monotime next, struct monotime *since)
{
	struct epoll_event events[EVENTS_MAX];
	struct monotime now = clock_now();
	bool busy = has_active_slice(loop) || !monotime_is_before(now, next);
	if (!busy && monotime_is_before(now, loop->rest_until)) {
		rest(loop, next);
		*since = clock_now();
		busy = true; /* most likely there are events; if not, the next turn waits for them */
	}
	int count =
	    busy ? epoll_wait(loop->epoll_fd, events, EVENTS_MAX, 0) : wait_until(loop, events, now, next);
	if (!busy)
		*since = clock_now();
	if (count < 0)
		return errno == EINTR ? 0 : -errno;
	for (int i = 0; i < count; i++) {
		struct loop_source *source = events[i].data.ptr;
		if (source != loop->timer_source && !source->dead)
			settle(loop, NULL);
		if (source->dead) /* or made so by what was settled */
			continue;
		source->ready(source->context, events[i].events);
	}
	free_dead(loop);
	return 0;
}

static void note_turn(struct loop *loop, struct monotime *since)
{
	struct monotime now = clock_now();
	loop->longest = monotime_max(loop->longest, monotime_sub(now, *since));
	*since = now;
}

static int run(struct loop *loop)
{
	struct monotime since = clock_now();
	while (!loop->stopping) {
		struct monotime next = run_timers(loop);
		if (loop->stopping)
			break;
		int error = wait_for_events(loop, next, &since);
		if (error < 0)
			return error;
		if (!loop->stopping)
			run_slices(loop);
		note_turn(loop, &since);
	}
	return 0;
}

int loop_run(struct loop *loop)
{
	int error = run(loop);
	settle(loop, NULL);
	return error;
}

void loop_stop(struct loop *loop)
{
	loop->stopping = true;
}

void loop_rest(struct loop *loop, struct monotime until)
{
	loop->rest_until = until;
}

struct monotime loop_longest_turn(const struct loop *loop)
{
	return loop->longest;
}
