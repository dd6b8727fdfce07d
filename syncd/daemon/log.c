/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/log.h"

#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { ID_SIZE = 40 };

/* The limiter of one id. */
struct limit {
	char id[ID_SIZE];
	struct monotime next; /* when the next line may be written */
	uint64_t held;        /* lines held back since the last one that was written */
	int held_level;
	struct monotime held_at;
	char held_text[LOG_TEXT_SIZE]; /* the newest of them */
	struct log_subject held_subject;
};

struct log {
	int level;
	struct config_log_target target;
	bool stderr_is_journal;
	int journal; /* socket; negative: not open */
	const char *journal_path;
	unsigned node;
	log_clock *clock;
	log_output *output;
	void *output_context;
	uint64_t suppressed;
	struct monotime tick;
	size_t count;
	struct limit limits[LOG_IDS_MAX];
};

static bool goes_to_journal(const struct log *log)
{
	return log->target.destination == CONFIG_LOG_JOURNAL ||
	       (log->target.destination == CONFIG_LOG_STDERR && log->stderr_is_journal);
}

static void apply_target(struct log *log)
{
	if (log->target.destination == CONFIG_LOG_SYSLOG)
		openlog("twintrackd", LOG_PID | LOG_NDELAY, log->target.facility);
	else
		closelog();
	if (goes_to_journal(log) && log->journal < 0)
		log->journal = journal_open();
}

struct log *log_open(int level, struct config_log_target target, log_clock *clock)
{
	struct log *log = calloc(1, sizeof(*log));
	if (log == NULL)
		return NULL;
	log->level = level;
	log->target = target;
	log->clock = clock;
	log->tick = MONOTIME_NEVER;
	log->stderr_is_journal = journal_is_stream(STDERR_FILENO);
	log->journal = -1;
	log->journal_path = JOURNAL_SOCKET;
	apply_target(log);
	return log;
}

void log_configure(struct log *log, int level, struct config_log_target target)
{
	log->level = level;
	if (log->target.destination == target.destination && log->target.facility == target.facility)
		return;
	log->target = target;
	apply_target(log);
}

void log_set_output(struct log *log, log_output *output, void *context)
{
	log->output = output;
	log->output_context = context;
}

void log_set_node(struct log *log, unsigned node)
{
	log->node = node;
}

void log_set_journal(struct log *log, const char *path)
{
	log->journal_path = path;
}

static const char *level_name(int level)
{
	static const char *const names[] = {"error",   "error",  "error", "error",
					    "warning", "notice", "info",  "debug"};
	return names[level & 7];
}

/* A pipe that nobody reads must not stop the daemon: writes only when at least PIPE_BUF bytes go in at once
 * (pipe(7)). */
static void write_stderr(int level, const char *id, const char *text)
{
	struct pollfd ready = {.fd = STDERR_FILENO, .events = POLLOUT};
	if (poll(&ready, 1, 0) != 1 || !(ready.revents & POLLOUT))
		return;
	char line[LOG_TEXT_SIZE + 128], stamp[32] = "";
	if (getenv("JOURNAL_STREAM") == NULL) {
		struct timespec now;
		struct tm parts;
		clock_gettime(CLOCK_REALTIME, &now);
		localtime_r(&now.tv_sec, &parts);
		size_t at = strftime(stamp, sizeof(stamp), "%Y-%m-%d %H:%M:%S", &parts);
		snprintf(stamp + at, sizeof(stamp) - at, ".%03ld ", now.tv_nsec / 1000000);
	}
	int length = snprintf(line, sizeof(line), "%s%s: %s [%s]\n", stamp, level_name(level), text, id);
	if (length > 0 && write(STDERR_FILENO, line, (size_t)length) < 0)
		return; /* there is nobody left to tell */
}

/* A journal that is not there, or takes nothing, leaves stderr. */
static void emit(struct log *log, const struct journal_entry *entry)
{
	if (log->output != NULL)
		log->output(log->output_context, entry->level, entry->id, entry->text);
	else if (log->target.destination == CONFIG_LOG_SYSLOG)
		syslog(entry->level, "%s: %s [%s]", level_name(entry->level), entry->text, entry->id);
	else if (!goes_to_journal(log) || journal_send(log->journal, log->journal_path, entry) < 0)
		write_stderr(entry->level, entry->id, entry->text);
}

/* The limiter of an id.  When there are too many ids the one that rested longest, with nothing held, makes
 * room. */
static struct limit *find_limit(struct log *log, const char *id)
{
	struct limit *oldest = NULL;
	for (size_t i = 0; i < log->count; i++) {
		struct limit *limit = &log->limits[i];
		if (strncmp(limit->id, id, ID_SIZE - 1) == 0)
			return limit;
		if (limit->held == 0 && (oldest == NULL || monotime_is_before(limit->next, oldest->next)))
			oldest = limit;
	}
	if (log->count < LOG_IDS_MAX)
		oldest = &log->limits[log->count++];
	if (oldest != NULL) {
		memset(oldest, 0, sizeof(*oldest));
		snprintf(oldest->id, ID_SIZE, "%s", id);
	}
	return oldest;
}

/* Writes the newest line that was held back, with how long it was if that may mislead, and how many it stands
 * for. */
static void release(struct log *log, struct limit *limit, struct monotime now)
{
	char text[LOG_TEXT_SIZE + 112], age[32] = "", more[64] = "";
	int64_t age_ms = monotime_sub(now, limit->held_at).us / 1000;
	if (age_ms >= 10)
		snprintf(age, sizeof(age), " (%" PRId64 " ms ago)", age_ms);
	if (limit->held > 1)
		snprintf(more, sizeof(more), " (and %" PRIu64 " more like this before it)", limit->held - 1);
	snprintf(text, sizeof(text), "%s%s%s", limit->held_text, age, more);
	struct journal_entry entry = {.level = limit->held_level,
				      .id = limit->id,
				      .text = text,
				      .node = log->node,
				      .subject = limit->held_subject,
				      .held = limit->held - 1};
	log->suppressed += limit->held - 1;
	limit->held = 0;
	limit->next = monotime_add(now, monotime_from_s(1));
	emit(log, &entry);
}

/* One message, one line, and nothing that a terminal obeys: parts of it may come from a client. */
static void clean(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = ' ';
}

static void write_about(struct log *log, int level, const char *id, const struct log_subject *subject,
			const char *format, va_list arguments)
{
	char text[LOG_TEXT_SIZE];
	vsnprintf(text, sizeof(text), format, arguments);
	clean(text);

	struct limit *limit = find_limit(log, id);
	struct monotime now = log->clock();
	if (limit == NULL) {
		log->suppressed++;
		return;
	}
	if (limit->held == 0 && !monotime_is_before(now, limit->next)) {
		struct journal_entry entry = {
		    .level = level, .id = id, .text = text, .node = log->node, .subject = *subject};
		limit->next = monotime_add(now, monotime_from_s(1));
		emit(log, &entry);
		return;
	}
	limit->held++;
	limit->held_level = level;
	limit->held_at = now;
	limit->held_subject = *subject;
	memcpy(limit->held_text, text, sizeof(text));
	if (!monotime_is_before(now, limit->next))
		release(log, limit, now);
	else
		log->tick = monotime_min(log->tick, limit->next);
}

void log_write(struct log *log, int level, const char *id, const char *format, ...)
{
	static const struct log_subject nothing;
	va_list arguments;
	if (level > log->level)
		return;
	va_start(arguments, format);
	write_about(log, level, id, &nothing, format, arguments);
	va_end(arguments);
}

void log_write_about(struct log *log, int level, const char *id, const struct log_subject *subject,
		     const char *format, ...)
{
	va_list arguments;
	if (level > log->level)
		return;
	va_start(arguments, format);
	write_about(log, level, id, subject, format, arguments);
	va_end(arguments);
}

struct monotime log_tick(struct log *log, struct monotime now)
{
	if (monotime_is_before(now, log->tick))
		return log->tick;
	log->tick = MONOTIME_NEVER;
	for (size_t i = 0; i < log->count; i++) {
		struct limit *limit = &log->limits[i];
		if (limit->held == 0)
			continue;
		if (!monotime_is_before(now, limit->next))
			release(log, limit, now);
		else
			log->tick = monotime_min(log->tick, limit->next);
	}
	return log->tick;
}

uint64_t log_suppressed(const struct log *log)
{
	return log->suppressed;
}

void log_close(struct log *log)
{
	if (log == NULL)
		return;
	for (size_t i = 0; i < log->count; i++)
		if (log->limits[i].held > 0)
			release(log, &log->limits[i], log->clock());
	closelog();
	if (log->journal >= 0)
		close(log->journal);
	free(log);
}
