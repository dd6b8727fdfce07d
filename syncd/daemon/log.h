/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The log: levels, a target, and a limit.  Each message has a stable id; of one id at most one line a second
 * is written. What is held back is counted, and the newest of it is written when the second is over, with
 * that count.
 *
 * To the journal a message goes with fields that can be looked for (journal.h); also when the target is
 * stderr and stderr is the journal's stream, as under systemd.
 */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include "conf/config.h"
#include "proto/monotime.h"
#include "syncd/daemon/journal.h"

#include <stdint.h>
#include <syslog.h>

struct log;

enum { LOG_TEXT_SIZE = 512, LOG_IDS_MAX = 128 };

typedef struct monotime log_clock(void);
/* Where lines go instead of a target (tests). */
typedef void log_output(void *context, int level, const char *id, const char *text);

/* Levels are syslog's (LOG_ERR .. LOG_DEBUG).  Returns NULL when out of memory. */
struct log *log_open(int level, struct config_log_target target, log_clock *clock);
void log_close(struct log *log); /* writes what is held back first; NULL is fine */

/* Our node's id, for the journal. */
void log_set_node(struct log *log, unsigned node);
/* Where the journal listens, instead of JOURNAL_SOCKET (tests); the string stays the caller's. */
void log_set_journal(struct log *log, const char *path);

/* Changes level and target (reload). */
void log_configure(struct log *log, int level, struct config_log_target target);
void log_set_output(struct log *log, log_output *output, void *context);

/* `id`: short, lower case, stable ("peer-silent").  A message longer than LOG_TEXT_SIZE is cut. */
__attribute__((format(printf, 4, 5))) void log_write(struct log *log, int level, const char *id,
						     const char *format, ...);
/* The same, and what it is about. */
__attribute__((format(printf, 5, 6))) void log_write_about(struct log *log, int level, const char *id,
							   const struct log_subject *subject,
							   const char *format, ...);

/* Writes what was held back and whose second is over; when to call it next (MONOTIME_NEVER: nothing is held
 * back). */
struct monotime log_tick(struct log *log, struct monotime now);

/* Lines that were never written because newer ones of the same id took their place. */
uint64_t log_suppressed(const struct log *log);

#endif
