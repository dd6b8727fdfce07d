/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/daemon.h"

#include "syncd/daemon/clock.h"
#include "syncd/daemon/keys.h"
#include "syncd/daemon/persist.h"
#include "syncd/daemon/preflight.h"
#include "syncd/daemon/problems.h"
#include "syncd/daemon/reload.h"
#include "syncd/daemon/requests.h"
#include "syncd/daemon/sandbox.h"
#include "syncd/daemon/successor.h"
#include "syncd/daemon/supervise.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

enum {
	MAX_FLOWS_FALLBACK = 262144,
	TOMBSTONES_MIN = 65536,
	LINKS_US = 10000000,  /* between two looks at links that work */
	PATIENCE_US = 250000, /* of what is done each second: it waits for a heartbeat that comes or goes */
};

/* ---- the node's configuration ---- */

static void read_limits(struct daemon *daemon)
{
	long max = limits_read(&daemon->limits, LIMIT_MAX);
	long buckets = limits_read(&daemon->limits, LIMIT_BUCKETS);
	daemon->conntrack_max = max > 0 ? (uint32_t)max : 0;
	daemon->conntrack_buckets = buckets > 0 ? (uint32_t)buckets : 0;
	daemon->conntrack_events = limits_read(&daemon->limits, LIMIT_EVENTS);
}

static uint32_t receive_window(const struct daemon *daemon)
{
	size_t smallest = SIZE_MAX;
	for (unsigned i = 0; i < link_count(daemon->links); i++) {
		struct link_statistics statistics;
		link_statistics(daemon->links, i, &statistics);
		if (statistics.is_open && statistics.receive_buffer < smallest)
			smallest = statistics.receive_buffer;
	}
	if (smallest == SIZE_MAX)
		return daemon->node_config.receive_window;
	/* the kernel charges a datagram of 1,400 bytes with 2,304 and its own head; small ones cost
	 * relatively more */
	return (uint32_t)(smallest / 4);
}

void daemon_fill_node_config(struct daemon *daemon, struct node_config *config)
{
	const struct config *from = &daemon->config;
	uint32_t automatic = daemon->conntrack_max > 0 ? daemon->conntrack_max : MAX_FLOWS_FALLBACK;
	config->id = from->node.id;
	config->active_active = from->node.mode == CONFIG_MODE_ACTIVE_ACTIVE;
	config->heartbeat = monotime_from_us(from->sync.heartbeat_us);
	config->peer_timeout = monotime_from_us(from->sync.peer_timeout_us);
	config->answers_heartbeats = true;
	config->max_flows = from->table.max_flows != 0 ? from->table.max_flows : automatic;
	config->max_tombstones = config->max_flows > TOMBSTONES_MIN ? config->max_flows : TOMBSTONES_MIN;
	config->links = link_count(daemon->links);
	config->payload_max = link_payload_max(daemon->links);
	config->receive_window = receive_window(daemon);
	config->cipher =
	    from->sync.cipher == CONFIG_CIPHER_AES_256_GCM ? SEAL_AES_256_GCM : SEAL_CHACHA20_POLY1305;
	config->warm = from->commit.mode == CONFIG_COMMIT_WARM;
	config->filters = filter_hash(&daemon->filter);
	snprintf(config->software, sizeof(config->software), "%s", TWINTRACK_VERSION);
	config->first_term = daemon->term_before;
}

void daemon_configure_node(struct daemon *daemon)
{
	struct node_config config = daemon->node_config;
	daemon_fill_node_config(daemon, &config);
	if (memcmp(&config, &daemon->node_config, sizeof(config)) == 0)
		return;
	daemon->node_config = config;
	struct node_event event = {.type = NODE_CONFIGURE, .config = &daemon->node_config};
	drive_step(daemon->drive, &event);
}

static void tell_limits(struct daemon *daemon)
{
	struct node_event event = {.type = NODE_KERNEL_LIMITS,
				   .conntrack_max = daemon->conntrack_max,
				   .conntrack_buckets = daemon->conntrack_buckets};
	drive_step(daemon->drive, &event);
}

/* ---- what happens now and then ---- */

static void role_changed(void *context)
{
	struct daemon *daemon = context;
	persist_save(daemon);
	daemon->guard_timer.deadline = guard_deadline(&daemon->guard);
}

static void stepped(void *context)
{
	persist_look(context);
}

static bool fence_is_closed(void *context)
{
	const struct daemon *daemon = context;
	return guard_is_armed(&daemon->guard);
}

static void links_changed(void *context)
{
	daemon_configure_node(context);
}

static void guard_expired(void *context, struct monotime now)
{
	struct daemon *daemon = context;
	guard_time(&daemon->guard, now);
	daemon->guard_timer.deadline = guard_deadline(&daemon->guard);
}

static void log_expired(void *context, struct monotime now)
{
	struct daemon *daemon = context;
	daemon->log_timer.deadline =
	    monotime_min(log_tick(daemon->log, now), monotime_add(now, monotime_from_ms(500)));
}

static void address_changed(void *context, enum address_change change, const struct address *address)
{
	struct daemon *daemon = context;
	guard_address_changed(&daemon->guard, change, address, clock_now());
	daemon->guard_timer.deadline = guard_deadline(&daemon->guard);
}

static void addresses_readable(void *context, uint32_t events)
{
	struct daemon *daemon = context;
	(void)events;
	int changes = address_watch_read(daemon->addresses);
	if (changes < 0)
		log_write(daemon->log, LOG_ERR, "addresses-failed",
			  "following the host's addresses failed: %s", strerror(-changes));
}

static void tell_supervisor(struct daemon *daemon, struct monotime now)
{
	struct node_view view;
	char text[128];
	node_view(drive_node(daemon->drive), now, &view);
	snprintf(text, sizeof(text), "%s, term %" PRIu32 ", %zu flows, %u peers", frame_role_name(view.role),
		 view.term, table_count(node_internal(drive_node(daemon->drive))), view.peers);
	supervise_alive(text);
}

/* The log tells once of a link that has no address to send from, and once when it has. */
static void tell_of_sources(struct daemon *daemon)
{
	for (unsigned i = 0; i < link_count(daemon->links); i++) {
		const char *interface = daemon->config.links[i].interface;
		struct link_statistics statistics;
		struct log_subject subject = {0};
		char text[160], id[16 + CONFIG_INTERFACE_SIZE];
		link_statistics(daemon->links, i, &statistics);
		problems_of_link(daemon, i, text, sizeof(text));
		bool lacks = statistics.problem == LINK_GOOD && text[0] != '\0';
		if (lacks == daemon->link_lacks_source[i])
			continue;
		daemon->link_lacks_source[i] = lacks;
		snprintf(id, sizeof(id), "link-address-%s", interface);
		snprintf(subject.link, sizeof(subject.link), "%s", interface);
		log_write_about(daemon->log, lacks ? LOG_WARNING : LOG_NOTICE, id, &subject, "link %s: %s",
				interface, lacks ? text : "its address is there");
	}
}

/* Changes of interfaces are told (drive.c): this is for what no message tells, as that a port is free again.
 */
static void follow_links_if_due(struct daemon *daemon, struct monotime now)
{
	bool all_work = true;
	for (unsigned i = 0; i < link_count(daemon->links); i++) {
		struct link_statistics statistics;
		link_statistics(daemon->links, i, &statistics);
		all_work &= statistics.problem == LINK_GOOD;
	}
	if (all_work && monotime_is_before(now, daemon->links_due))
		return;
	daemon->links_due = monotime_add(now, monotime_from_us(LINKS_US));
	drive_follow_links(daemon->drive);
}

static void keep_house(void *context, struct monotime now)
{
	struct daemon *daemon = context;
	uint32_t max = daemon->conntrack_max, buckets = daemon->conntrack_buckets;
	uint64_t generation = address_watch_generation(daemon->addresses);
	read_limits(daemon);
	ageing_refresh_if_old(&daemon->ageing);
	daemon_configure_node(daemon);
	if (max != daemon->conntrack_max || buckets != daemon->conntrack_buckets)
		tell_limits(daemon);
	/* with max-flows = auto there is room now for what was refused */
	if (daemon->conntrack_max > max && daemon->config.table.max_flows == 0 &&
	    !transition_is_running(daemon->transition))
		drive_audit_soon(daemon->drive);
	/* not during a takeover, which needs the kernel's table for itself */
	if (generation != daemon->address_generation && !transition_is_running(daemon->transition)) {
		daemon->address_generation = generation;
		if (daemon->filter.ignore_local)
			drive_audit_soon(daemon->drive);
	}
	follow_links_if_due(daemon, now);
	tell_of_sources(daemon);
	transition_retake_if_needed(daemon->transition);
	persist_save(daemon);
	tell_supervisor(daemon, now);
	int64_t period_us = daemon->watchdog_us > 0 && daemon->watchdog_us < 3000000
				? (int64_t)daemon->watchdog_us / 3
				: 1000000;
	daemon->housekeeping.deadline = monotime_add(now, monotime_from_us(period_us));
}

static void signal_caught(void *context, int signal)
{
	struct daemon *daemon = context;
	char report[RELOAD_REPORT_SIZE];
	if (signal == SIGHUP) {
		log_write(daemon->log, LOG_NOTICE, "reload", "SIGHUP: reading %s again", daemon->config_path);
		reload_run(daemon, report, sizeof(report));
		return;
	}
	log_write(daemon->log, LOG_NOTICE, "stop", "signal %d: stopping", signal);
	loop_stop(daemon->loop);
}

/* ---- start ---- */

static int open_control(struct daemon *daemon, bool bind, char *why, size_t size)
{
	const char *path = daemon->config.control.socket;
	gid_t group, readers;
	int error = preflight_find_group(&daemon->config, &group, why, size);
	if (error == 0)
		error = preflight_find_reader_group(&daemon->config, &readers, why, size);
	if (error < 0)
		return error;
	error = bind ? control_open(&daemon->control, path, group) : control_probe(path);
	if (error == -EADDRINUSE)
		snprintf(
		    why, size,
		    "control socket %s: a daemon is running there already; stop it, or set another [control] socket",
		    path);
	else if (error == -EEXIST)
		snprintf(
		    why, size,
		    "control socket %s: there is a file that is no socket; remove it, or set another [control] socket",
		    path);
	else if (error < 0)
		snprintf(why, size, "control socket %s: %s", path, strerror(-error));
	if (error == 0 && bind && readers != (gid_t)-1)
		control_restrict_readers(daemon->control, readers);
	return error;
}

static int failed(int error, const char *what, char *why, size_t size)
{
	if (error < 0)
		snprintf(why, size, "%s: %s%s", what, strerror(-error),
			 error == -EPERM
			     ? " (CAP_NET_ADMIN is needed in this network namespace's user namespace)"
			     : "");
	return error;
}

/*
 * Before system calls are filtered, for a thread can't be started then.  With a real-time policy there is
 * none: it would not inherit that (SCHED_RESET_ON_FORK), and heartbeats would wait for an ordinary thread.
 */
static void start_commit_thread(struct daemon *daemon)
{
	if (daemon->config.process.scheduler.policy != CONFIG_SCHEDULER_OTHER)
		return;
	int error = commit_start_thread(daemon->commit);
	if (error < 0 && error != -EOPNOTSUPP)
		log_write(daemon->log, LOG_NOTICE, "no-commit-thread",
			  "there is no thread for commits: %s; they take a little longer", strerror(-error));
}

static int open_watch(struct daemon *daemon, char *why, size_t size)
{
	struct watch_options options = {.buffer = daemon->config.kernel.event_buffer_bytes,
					.buffer_max = daemon->config.kernel.event_buffer_max_bytes};
	int error = failed(commit_open(&daemon->commit), "netlink socket for commits", why, size);
	if (error < 0)
		return error;
	start_commit_thread(daemon);
	error = failed(expectations_open(&daemon->expectations, &daemon->config.expect, daemon->log),
		       "netlink socket for expectations", why, size);
	if (error < 0)
		return error;
	options.own_ports_count = commit_ports(daemon->commit, options.own_ports, WATCH_OWN_PORTS_MAX - 1);
	options.expect = drive_take_expect;
	if (expectations_are_wanted(&daemon->expectations))
		options.own_ports[options.own_ports_count++] = expectations_port(&daemon->expectations);
	error = failed(watch_open(&daemon->watch, &options), "subscribing to the kernel's conntrack events",
		       why, size);
	if (error < 0)
		return error;
	return failed(audit_open(&daemon->audit), "netlink sockets for dumps", why, size);
}

void daemon_filter_events(struct daemon *daemon)
{
	struct event_filter events;
	filter_for_events(&daemon->filter, &events);
	int error = watch_set_filter(daemon->watch, &events);
	if (error < 0)
		log_write(
		    daemon->log, LOG_NOTICE, "event-filter",
		    "the kernel takes no filter for its events: %s; all of them are read, and filtered here",
		    strerror(-error));
}

static int open_kernel(struct daemon *daemon, char *why, size_t size)
{
	int error = failed(interface_watch_open(&daemon->interfaces), "following the interfaces", why, size);
	if (error == 0)
		error = link_set_open(&daemon->links, &daemon->config, daemon->interfaces, daemon->log, why,
				      size);
	if (error == 0)
		error = failed(address_watch_open(&daemon->addresses, address_changed, daemon),
			       "following the host's addresses", why, size);
	if (error < 0)
		return error;
	filter_configure(&daemon->filter, &daemon->config, address_watch_set(daemon->addresses));
	error = open_watch(daemon, why, size);
	if (error == 0)
		daemon_filter_events(daemon);
	if (error == 0)
		error = guard_fence_open(&daemon->guard_fence, &daemon->config, &daemon->guard, daemon->log,
					 why, size);
	return error;
}

static int open_loop(struct daemon *daemon)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, 0};
	signal(SIGPIPE, SIG_IGN);
	int error = loop_open(&daemon->loop);
	if (error == 0)
		error = loop_add_signals(daemon->loop, signals, signal_caught, daemon);
	if (error == 0)
		error = loop_add(daemon->loop, address_watch_fd(daemon->addresses), EPOLLIN,
				 addresses_readable, daemon, &daemon->address_source);
	if (error < 0)
		return error;
	daemon->housekeeping = (struct loop_timer){
	    .deadline = clock_now(), .expired = keep_house, .context = daemon, .patience_us = PATIENCE_US};
	daemon->guard_timer =
	    (struct loop_timer){.deadline = MONOTIME_NEVER, .expired = guard_expired, .context = daemon};
	daemon->log_timer = (struct loop_timer){
	    .deadline = clock_now(), .expired = log_expired, .context = daemon, .patience_us = PATIENCE_US};
	loop_add_timer(daemon->loop, &daemon->housekeeping);
	loop_add_timer(daemon->loop, &daemon->guard_timer);
	loop_add_timer(daemon->loop, &daemon->log_timer);
	return 0;
}

static int open_node(struct daemon *daemon)
{
	struct drive_parts parts = {.loop = daemon->loop,
				    .log = daemon->log,
				    .links = daemon->links,
				    .interfaces = daemon->interfaces,
				    .watch = daemon->watch,
				    .audit = daemon->audit,
				    .commit = daemon->commit,
				    .filter = &daemon->filter,
				    .ageing = &daemon->ageing,
				    .expectations = &daemon->expectations,
				    .fence_is_closed = fence_is_closed,
				    .stepped = stepped,
				    .links_changed = links_changed,
				    .context = daemon};
	struct transition_parts transition = {.loop = daemon->loop,
					      .log = daemon->log,
					      .config = &daemon->config,
					      .guard = &daemon->guard,
					      .commit = daemon->commit,
					      .filter = &daemon->filter,
					      .expectations = &daemon->expectations,
					      .role_changed = role_changed,
					      .context = daemon};
	read_limits(daemon);
	daemon_fill_node_config(daemon, &daemon->node_config);
	int error = drive_open(&daemon->drive, &parts, &daemon->node_config,
			       monotime_from_us(daemon->config.kernel.audit_interval_us));
	if (error < 0)
		return error;
	tell_limits(daemon);
	transition.drive = daemon->drive;
	return transition_open(&daemon->transition, &transition);
}

static int filter_calls(struct daemon *daemon, char *why, size_t size)
{
	if (!daemon->config.process.sandbox)
		return 0;
	int error = sandbox_filter_calls(why, size);
	if (error != -EOPNOTSUPP)
		return error;
	log_write(daemon->log, LOG_NOTICE, "no-filter",
		  "built with a sanitizer: system calls are not filtered");
	return 0;
}

int daemon_open(struct daemon *daemon, char *why, size_t size)
{
	daemon->guard_fence.fence = NULL;
	daemon->started = clock_now();
	daemon->watchdog_us = supervise_watchdog_us();
	limits_open(&daemon->limits);
	int error = preflight_check_capability(why, size);
	if (error == 0)
		error = preflight_set_scheduler(&daemon->config, why, size);
	if (error == 0)
		error = sandbox_drop_rights(&daemon->config, why, size);
	if (error == 0)
		error = open_control(daemon, false, why, size);
	if (error == 0)
		error = keys_read(&daemon->config, &daemon->node_config.ring, why, size);
	if (error == 0)
		error = preflight_read_instance(&daemon->node_config.instance, why, size);
	if (error == 0)
		error = open_kernel(daemon, why, size);
	if (error == 0)
		error = failed(ageing_open(&daemon->ageing, &daemon->config), "timeouts", why, size);
	if (error == 0)
		error = failed(open_loop(daemon), "event loop", why, size);
	if (error == 0) {
		persist_read(daemon);
		error = failed(open_node(daemon), "node", why, size);
	}
	if (error == 0)
		error = failed(subscribers_open(&daemon->subscribers, daemon->drive), "listeners", why, size);
	if (error == 0)
		error = open_control(daemon, true, why, size);
	if (error == 0)
		error =
		    failed(control_serve(daemon->control, daemon->loop, daemon->log, requests_handle, daemon),
			   "control socket", why, size);
	/* what was left is taken once: not before all is there that can fail for a reason that passes */
	if (error == 0)
		successor_take(daemon);
	if (error == 0)
		error = filter_calls(daemon, why, size);
	if (error < 0) {
		daemon_close(daemon);
		return error;
	}
	persist_resume(daemon);
	return 0;
}

int daemon_run(struct daemon *daemon)
{
	log_write(daemon->log, LOG_NOTICE, "start", "twintrackd %s: node %u, %u links, %s", TWINTRACK_VERSION,
		  daemon->config.node.id, link_count(daemon->links), daemon->config.control.socket);
	supervise_ready("started");
	int error = loop_run(daemon->loop);
	if (error < 0)
		log_write(daemon->log, LOG_ERR, "loop-failed", "the event loop failed: %s", strerror(-error));
	supervise_stopping();
	struct node_event event = {.type = NODE_LEAVE};
	drive_step(daemon->drive, &event);
	persist_save(daemon);
	successor_leave(daemon);
	return error < 0 ? 1 : 0;
}

void daemon_close(struct daemon *daemon)
{
	control_close(daemon->control);
	subscribers_close(daemon->subscribers);
	transition_close(daemon->transition);
	drive_close(daemon->drive);
	guard_fence_close(&daemon->guard_fence);
	if (daemon->audit != NULL)
		audit_close(daemon->audit);
	expectations_close(&daemon->expectations);
	if (daemon->watch != NULL)
		watch_close(daemon->watch);
	if (daemon->commit != NULL)
		commit_close(daemon->commit);
	if (daemon->loop != NULL)
		loop_remove(daemon->address_source);
	if (daemon->addresses != NULL)
		address_watch_close(daemon->addresses);
	link_set_close(daemon->links);
	interface_watch_close(daemon->interfaces);
	loop_close(daemon->loop);
	ageing_close(&daemon->ageing);
	limits_close(&daemon->limits);
	seal_ring_wipe(&daemon->node_config.ring);
}
