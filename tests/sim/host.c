/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/sim/host.h"

#include "tests/sim/daemon.h"
#include "tests/sim/inside.h"
#include "tests/sim/invariant.h"
#include "tests/sim/warm.h"
#include "tests/sim/world.h"

#include <stdlib.h>
#include <string.h>

enum {
	EVENTS_A_TURN = 128,
	DATAGRAMS_A_TURN = 32,
	IDLE_STEPS_MAX = 1000,
	/* what work costs on a good machine, nanoseconds */
	COST_TURN_NS = 1000,
	COST_DATAGRAM_NS = 2000,
};

/* ---- its clock ---- */

int64_t host_clock_us(const struct host *host)
{
	int64_t now = host->world->now_us;

	return host->clock_offset_us + now + now * host->clock_ppm / 1000000;
}

struct monotime host_clock(const struct host *host)
{
	return monotime_from_us(host_clock_us(host));
}

/* The first moment of the world at which its clock shows that, or later. */
int64_t host_world_us(const struct host *host, struct monotime at)
{
	int64_t now = host->world->now_us, away;

	if (at.us == INT64_MAX)
		return INT64_MAX;
	away = at.us - host_clock_us(host);
	if (away <= 0)
		return now;
	away -= away * host->clock_ppm / 1000000;
	return now + (away > 1 ? away - 1 : 1);
}

/* ---- life ---- */

int host_init(struct host *host, struct world *world, unsigned index)
{
	host->world = world;
	host->index = index;
	host->id = (uint16_t)(index + 1);
	host->random = random_stream(world->seed, 100 + index);
	host->powered = true;
	host->boots = 1;
	host->slowness = 1;
	return 0;
}

static void empty_inbox(struct host *host)
{
	while (host->inbox_count) {
		net_release(&host->world->net, host->inbox[host->inbox_first].datagram);
		host->inbox_first = (host->inbox_first + 1) % HOST_INBOX;
		host->inbox_count--;
	}
	host->inbox_bytes = 0;
}

void host_finish(struct host *host)
{
	node_destroy(host->node);
	empty_inbox(host);
	free(host->follows);
	free(host->warm.acts);
	kernel_finish(&host->kernel);
}

void host_kill(struct host *host)
{
	if (!host->node)
		return;
	world_trace(host->world, host, "daemon ends");
	invariant_before_end(host);
	daemon_keep_state(host);
	node_destroy(host->node);
	host->node = NULL;
	empty_inbox(host);
	kernel_listen(&host->kernel, false);
	host->paused_until_us = 0;
	memset(&host->takeover, 0, sizeof(host->takeover));
	memset(&host->gets, 0, sizeof(host->gets));
	warm_end(host);
	host->follows_count = 0;
	host->withdraws = false;
}

void host_power_off(struct host *host)
{
	if (!host->powered)
		return;
	world_trace(host->world, host, "power off");
	invariant_before_power_off(host);
	host_kill(host);
	host->powered = false;
}

void host_power_on(struct host *host)
{
	if (host->powered)
		return;
	invariant_before_power_on(host);
	host->powered = true;
	host->boots++;
	host->role_kept = host->role_reached = FRAME_ROLE_INIT; /* of another boot */
	host->own_term_kept = 0;
	host->leftovers_kept = false;
	host->config.instance.boot_id[0] = (uint8_t)host->boots;
	kernel_reset(&host->kernel);
	world_trace(host->world, host, "power on");
}

/* The role of the state file; one that was not reached is asked for again. */
static void resume_role(struct host *host)
{
	bool takes_over = host->role_kept == FRAME_ROLE_PRIMARY && host->role_reached != FRAME_ROLE_PRIMARY;
	enum frame_role role = host->role_kept;

	if (takes_over)
		role = host->role_reached == FRAME_ROLE_FAULT ? FRAME_ROLE_FAULT : FRAME_ROLE_BACKUP;
	if (role != FRAME_ROLE_INIT)
		daemon_step(host, &(struct node_event){.type = NODE_ROLE, .role = role});
	if (takes_over)
		daemon_change_role(host, FRAME_ROLE_PRIMARY);
}

void host_start(struct host *host)
{
	if (!host->powered || host->node)
		return;
	host->starts++;
	host->role = FRAME_ROLE_INIT;
	kernel_listen(&host->kernel, true);
	host->is_lossy = false;
	host->audit = (struct host_audit){.wanted = true,
					  .at_us = host->world->now_us,
					  .interval_us = host->audit.interval_us,
					  .rows = host->audit.rows,
					  .fast_us = host->audit.fast_us};
	host->config.first_term = host->term_kept;
	host->config.own_term = host->own_term_kept;
	host->config.leftovers = host->leftovers_kept || (host->role_reached == FRAME_ROLE_PRIMARY &&
							  host->role_kept != FRAME_ROLE_PRIMARY);
	world_trace(host->world, host, "daemon starts");
	if (daemon_create(host))
		world_fail(host->world, "host %u: node_create() failed", host->id);
	warm_begin(host);
	invariant_after_start(host);
	resume_role(host);
}

void host_pause(struct host *host, int64_t us)
{
	if (!host->node)
		return;
	world_trace(host->world, host, "stopped for %lld us", (long long)us);
	invariant_before_pause(host);
	host->paused_us = host->world->now_us;
	host->paused_until_us = host->world->now_us + us;
}

bool host_passes_packets(const struct host *host)
{
	if (!host->powered || !host->node)
		return host->powered; /* without its daemon the fence is open */
	return !host->takeover.runs && (host->role == FRAME_ROLE_PRIMARY || host->role == FRAME_ROLE_INIT);
}

bool host_is_up(const struct host *host)
{
	return host->node && host->paused_until_us <= host->world->now_us;
}

/* ---- requests ---- */

void host_ask_role(struct host *host, enum frame_role role)
{
	if (!host->powered)
		return;
	world_trace(host->world, host, "asked to be %s", frame_role_name(role));
	host->role_kept = role; /* the command writes it first */
	if (host->node)
		daemon_change_role(host, role);
}

void host_ask(struct host *host, struct node_event event)
{
	if (host->node)
		daemon_step(host, &event);
}

void host_configure(struct host *host)
{
	host_ask(host, (struct node_event){.type = NODE_CONFIGURE, .config = &host->config});
}

/* ---- work ---- */

void host_deliver(struct host *host, struct packet packet)
{
	unsigned at = (host->inbox_first + host->inbox_count) % HOST_INBOX;

	if (!host->node || host->inbox_count == HOST_INBOX ||
	    host->inbox_bytes + packet.datagram->length > host->config.receive_window) {
		host->inbox_dropped += host->node != NULL;
		net_release(&host->world->net, packet.datagram);
		return;
	}
	host->inbox[at] = packet;
	host->inbox_count++;
	host->inbox_bytes += packet.datagram->length;
}

static void take_datagrams(struct host *host)
{
	for (unsigned i = 0; i < DATAGRAMS_A_TURN && host->inbox_count && host->node; i++) {
		struct packet packet = host->inbox[host->inbox_first];
		struct node_event event = {.type = NODE_DATAGRAM};

		host->inbox_first = (host->inbox_first + 1) % HOST_INBOX;
		host->inbox_count--;
		host->inbox_bytes -= packet.datagram->length;
		event.datagram.link = packet.link;
		event.datagram.from.length = 2;
		event.datagram.from.bytes[0] = packet.from;
		event.datagram.from.bytes[1] = packet.link;
		event.datagram.bytes = packet.datagram->bytes;
		event.datagram.length = packet.datagram->length;
		host->cost_ns += COST_DATAGRAM_NS;
		host->packet = &packet;
		daemon_step(host, &event);
		host->packet = NULL;
		net_release(&host->world->net, packet.datagram);
	}
}

/* Deadlines that come again and again though nothing is done would be a daemon that spins. */
static void take_time(struct host *host)
{
	struct node_event event = {.type = NODE_TIME};

	host->deadline_us = INT64_MIN;
	if (monotime_is_before(host_clock(host), node_deadline(host->node)))
		return;
	daemon_step(host, &event);
	host->idle_steps = host->step_sends || host->step_gets ? 0 : host->idle_steps + 1;
	if (host->idle_steps > IDLE_STEPS_MAX && node_deadline(host->node).us <= host_clock_us(host))
		world_fail(host->world, "host %u spins: it is due, and does nothing", host->id);
}

static bool events_wait(const struct host *host)
{
	return host->kernel.queue_count || host->kernel.overrun;
}

void host_run(struct host *host)
{
	host->cost_ns = COST_TURN_NS;
	if (host->inbox_count)
		take_datagrams(host);
	if (events_wait(host) && host->kernel.readable_us + host->event_latency_us <= host->world->now_us)
		daemon_read_events(host, EVENTS_A_TURN);
	daemon_run_gets(host);
	daemon_run_audit(host);
	daemon_run_takeover(host);
	daemon_run_retake(host);
	daemon_run_withdrawal(host);
	warm_run(host);
	take_time(host);
	daemon_run_follows(host);
	host->busy_until_us = host->world->now_us + 1 + host->cost_ns * host->slowness / 1000;
	invariant_after_turn(host);
}

static int64_t earliest(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t host_next_us(struct host *host)
{
	int64_t at = INT64_MAX, now = host->world->now_us;

	if (!host->node)
		return INT64_MAX;
	if (host->inbox_count || host->takeover.runs || host->withdraws || host->follows_count)
		at = now;
	if (events_wait(host))
		at = earliest(at, host->kernel.readable_us + host->event_latency_us);
	if (host->gets.count)
		at = earliest(at, host->gets.at_us);
	at = earliest(at, host->audit.at_us);
	at = earliest(at, warm_next_us(host));
	if (host->deadline_us == INT64_MIN)
		host->deadline_us = host_world_us(host, node_deadline(host->node));
	at = earliest(at, host->deadline_us);
	at = at < host->busy_until_us ? host->busy_until_us : at;
	at = at < host->paused_until_us ? host->paused_until_us : at;
	return at < now ? now : at;
}

/* ---- looking at it ---- */

bool host_view_of(const struct host *host, const struct host *of, struct node_peer_view *view)
{
	int index = inside_peer_index(host->node, of->id);

	if (index >= 0)
		node_peer_view(host->node, host_clock(host), (unsigned)index, view);
	return index >= 0;
}
