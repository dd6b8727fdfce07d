/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/reload.h"

#include "syncd/daemon/clock.h"
#include "syncd/daemon/keys.h"
#include "syncd/daemon/supervise.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

struct report {
	struct daemon *daemon;
	char *text;
	size_t size, length;
};

__attribute__((format(printf, 2, 3))) static void add(struct report *report, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int length =
	    vsnprintf(report->text + report->length, report->size - report->length, format, arguments);
	va_end(arguments);
	size_t room = report->size - report->length;
	if (length < 0)
		return;
	report->length += (size_t)length < room ? (size_t)length : room - 1;
	if (report->length + 1 < report->size) {
		report->text[report->length++] = '\n';
		report->text[report->length] = '\0';
	}
}

static void name_change(void *context, const struct config_change *change)
{
	struct report *report = context;
	if (change->key == NULL)
		add(report, "[%s]: links are added and removed by a restart", change->section);
	else
		add(report, "[%s] %s: %s", change->section, change->key,
		    change->is_reloadable ? "applied" : "needs a restart");
}

static void apply(struct daemon *daemon, const struct config *before)
{
	struct config *config = &daemon->config;
	log_configure(daemon->log, config->log.level, config->log.target);
	filter_configure(&daemon->filter, config, address_watch_set(daemon->addresses));
	ageing_refresh(&daemon->ageing);
	daemon_configure_node(daemon);
	drive_set_audit_interval(daemon->drive, monotime_from_us(config->kernel.audit_interval_us));
	bool filter_changed = memcmp(&before->filter, &config->filter, sizeof(before->filter)) != 0;
	if (filter_changed) {
		daemon_filter_events(daemon);
		drive_filter_changed(daemon->drive);
	}
	/* an audit brings in what was left out till now */
	if (filter_changed || before->table.max_flows != config->table.max_flows)
		drive_audit_now(daemon->drive);
	if (before->fence.timeout_us != config->fence.timeout_us && daemon->guard_fence.fence != NULL)
		guard_fence_renew(&daemon->guard_fence);
	guard_configure(&daemon->guard, config, clock_now());
	daemon->guard_timer.deadline = guard_deadline(&daemon->guard);
}

/* Reads file and keys; nothing is changed unless all of it is good. */
static int load(struct daemon *daemon, struct config *fresh, struct seal_ring *ring, struct report *report)
{
	struct config_errors *errors = calloc(1, sizeof(*errors));
	char why[512];
	if (errors == NULL)
		return -ENOMEM;
	int error = config_load(daemon->config_path, fresh, errors);
	for (size_t i = 0; error < 0 && i < errors->count; i++) {
		char line[CONFIG_FILE_NAME_SIZE + CONFIG_ERROR_SIZE];
		config_errors_format(errors, i, line, sizeof(line));
		add(report, "%s", line);
	}
	free(errors);
	if (error == 0 && (error = keys_read(fresh, ring, why, sizeof(why))) < 0)
		add(report, "%s", why);
	return error;
}

static void log_report(const struct report *report, int error)
{
	char line[LOG_TEXT_SIZE];
	snprintf(line, sizeof(line), "%.*s", (int)(report->length > 0 ? report->length - 1 : 0),
		 report->text); /* without the last newline */
	for (char *at = line; (at = strchr(at, '\n')) != NULL;)
		*at = ';';
	if (error < 0)
		log_write(report->daemon->log, LOG_ERR, "reload-failed",
			  "the configuration is not reloaded, the running one stays: %s", line);
	else
		log_write(report->daemon->log, LOG_NOTICE, "reload-done", "reloaded: %s", line);
}

int reload_run(struct daemon *daemon, char *text, size_t size)
{
	struct report report = {.daemon = daemon, .text = text, .size = size};
	struct config *fresh = calloc(2, sizeof(*fresh)), *before = fresh + 1;
	struct seal_ring ring;
	text[0] = '\0';
	if (fresh == NULL)
		return -ENOMEM;
	supervise_reloading();
	int error = load(daemon, fresh, &ring, &report);
	if (error == 0) {
		*before = daemon->config;
		config_diff(before, fresh, name_change, &report);
		config_merge_reload(&daemon->config, fresh);
		if (ring.count != daemon->node_config.ring.count ||
		    memcmp(ring.keys, daemon->node_config.ring.keys, ring.count * sizeof(ring.keys[0])) !=
			0) {
			struct node_config with_keys = daemon->node_config;
			with_keys.ring = ring;
			daemon->node_config = with_keys;
			struct node_event event = {.type = NODE_CONFIGURE, .config = &daemon->node_config};
			drive_step(daemon->drive, &event);
			seal_ring_wipe(&with_keys.ring);
			add(&report, "keys: %zu read, the first one is sent with", ring.count);
		}
		seal_ring_wipe(&ring);
		apply(daemon, before);
	}
	if (error == 0 && report.length == 0)
		add(&report, "nothing has changed");
	log_report(&report, error);
	supervise_ready("reloaded");
	free(fresh);
	return error;
}
