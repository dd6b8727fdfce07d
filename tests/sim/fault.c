/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/sim/fault.h"

#include "tests/sim/invariant.h"
#include "tests/sim/wide.h"

static const int64_t ms_us = 1000, second_us = 1000000;

const char *fault_name(enum action_kind kind)
{
	static const char *const names[] = {
	    [ACTION_KILL] = "kill",
	    [ACTION_POWER_CUT] = "power cut",
	    [ACTION_SWITCH_OVER] = "switch-over",
	    [ACTION_PAUSE] = "pause",
	    [ACTION_PARTITION] = "partition",
	    [ACTION_ONE_WAY] = "one-way partition",
	    [ACTION_LINK_DOWN] = "link down",
	    [ACTION_LOSS] = "loss",
	    [ACTION_NOISE] = "noise",
	    [ACTION_ROLL_OVER] = "key roll-over",
	    [ACTION_OVERRUN] = "overrun",
	    [ACTION_REQUEST] = "request",
	    [ACTION_FLAP] = "roles flap",
	    [ACTION_SMALL_TABLE] = "small table",
	    [ACTION_SMALL_KERNEL] = "small kernel table",
	    [ACTION_ATTACK] = "attack",
	    [ACTION_ALL_DIE] = "all die",
	    [ACTION_UPHEAVAL] = "upheaval",
	    [ACTION_RESYNC_KILL] = "kill in a resync",
	    [ACTION_START] = "start",
	    [ACTION_POWER_ON] = "power on",
	    [ACTION_ROLE] = "role",
	    [ACTION_TAKE_OVER] = "take over",
	    [ACTION_UNBLOCK] = "unblock",
	    [ACTION_LINK_UP] = "link up",
	    [ACTION_LINK_GOOD] = "link good",
	    [ACTION_CONFIGURE] = "configure",
	    [ACTION_GROW_TABLE] = "table grows",
	    [ACTION_GROW_KERNEL] = "kernel table grows",
	    [ACTION_ATTACK_MORE] = "attack goes on",
	    [ACTION_KILL_ONE] = "kill once",
	    [ACTION_BURST] = "burst",
	    [ACTION_LINK_FATE] = "fate of a link",
	    [ACTION_NARROW] = "narrow path",
	    [ACTION_WIDEN] = "wide path",
	    [ACTION_CHANGE_MODE] = "change of mode",
	};

	return names[kind];
}

int fault_other_host(struct schedule *schedule, const struct world *world, unsigned host)
{
	unsigned first = random_below(&schedule->random, world->hosts_count);

	for (unsigned i = 0; i < world->hosts_count; i++) {
		unsigned other = (first + i) % world->hosts_count;

		if (other != host && world->hosts[other].powered)
			return (int)other;
	}
	return -1;
}

static void plan(struct schedule *schedule, const struct world *world, int64_t in_us, enum action_kind kind,
		 unsigned host, int64_t value)
{
	schedule_plan(schedule, world, in_us, (struct action){.kind = kind, .host = host, .value = value});
}

/* ---- daemons and machines ---- */

static void note_restart(struct world *world, const struct host *host)
{
	struct node_peer_view view;

	for (unsigned i = 0; i < world->hosts_count; i++) {
		struct host *other = &world->hosts[i];

		if (other == host || !other->node || !host->node)
			continue;
		if ((host_view_of(other, host, &view) && view.full_running) ||
		    (host_view_of(host, other, &view) && view.full_running))
			world_meets(world, SITUATION_RESTART_IN_SYNC);
	}
}

static void kill_once(struct world *world, unsigned index)
{
	note_restart(world, &world->hosts[index]);
	host_kill(&world->hosts[index]);
}

static void kill_daemon(struct schedule *schedule, struct world *world, unsigned index)
{
	struct sim_random *r = &schedule->random;
	int64_t at =
	    random_chance(r, 500) ? random_between(r, 0, 300 * ms_us) : random_between(r, 0, 10 * second_us);

	kill_once(world, index);
	plan(schedule, world, at, ACTION_START, index, 0);
	while (random_chance(r, 350)) { /* once more, soon after */
		at += random_between(r, ms_us, 700 * ms_us);
		plan(schedule, world, at, ACTION_KILL_ONE, index, 0);
		at += random_between(r, ms_us, 300 * ms_us);
		plan(schedule, world, at, ACTION_START, index, 0);
	}
}

/* The address moves: packets first, then the script that asks for the role. */
static void take_over(struct schedule *schedule, struct world *world, unsigned index)
{
	struct sim_random *r = &schedule->random;

	if (!world->hosts[index].powered)
		return;
	world->traffic.active = (int)index;
	host_ask_role(&world->hosts[index], FRAME_ROLE_PRIMARY);
	for (unsigned i = 0; i < world->hosts_count; i++)
		if (i != index && world->hosts[i].role_kept == FRAME_ROLE_PRIMARY)
			plan(schedule, world, random_between(r, 0, 2 * second_us), ACTION_ROLE, i,
			     FRAME_ROLE_BACKUP);
}

static void note_orphan(struct world *world, const struct host *host)
{
	for (unsigned i = 0; i < world->hosts_count; i++) {
		const struct table *held;

		if (&world->hosts[i] == host || !world->hosts[i].node)
			continue;
		held = node_external(world->hosts[i].node, host->id);
		if (held && table_count(held))
			world_meets(world, SITUATION_ORPHAN);
	}
}

static void power_cut(struct schedule *schedule, struct world *world, unsigned index)
{
	struct sim_random *r = &schedule->random;
	int64_t off_us = random_between(r, 300 * ms_us, 12 * second_us);
	int other = fault_other_host(schedule, world, index);

	note_orphan(world, &world->hosts[index]);
	note_restart(world, &world->hosts[index]);
	host_power_off(&world->hosts[index]);
	plan(schedule, world, off_us, ACTION_POWER_ON, index, 0);
	plan(schedule, world, off_us + random_between(r, 0, second_us), ACTION_START, index, 0);
	if ((int)index != world->traffic.active || schedule->active_active)
		return;
	world->traffic.active = -1;
	if (other < 0 || random_chance(r, 120)) { /* nobody takes over: it comes back, and does */
		plan(schedule, world, off_us + second_us, ACTION_TAKE_OVER, index, 0);
		return;
	}
	plan(schedule, world, random_between(r, 100 * ms_us, 3 * second_us), ACTION_TAKE_OVER,
	     (unsigned)other, 0);
	if (random_chance(r, 300)) /* it has the higher priority */
		plan(schedule, world, off_us + random_between(r, second_us, 4 * second_us), ACTION_TAKE_OVER,
		     index, 0);
	else
		plan(schedule, world, off_us + random_between(r, 0, 2 * second_us), ACTION_ROLE, index,
		     FRAME_ROLE_BACKUP);
}

/* False: nobody has the address, or nobody could take it. */
static bool switch_over(struct schedule *schedule, struct world *world)
{
	struct sim_random *r = &schedule->random;
	int from = world->traffic.active, to;

	if (from < 0 || schedule->active_active)
		return false;
	to = fault_other_host(schedule, world, (unsigned)from);
	if (to < 0 || !world->hosts[to].node)
		return false;
	if (world->hosts[from].node)
		world_meets(world, SITUATION_HANDOVER);
	plan(schedule, world, random_between(r, 0, random_chance(r, 500) ? 50 * ms_us : 2 * second_us),
	     ACTION_TAKE_OVER, (unsigned)to, 0);
	plan(schedule, world, random_between(r, 0, random_chance(r, 500) ? 50 * ms_us : 2 * second_us),
	     ACTION_ROLE, (unsigned)from, FRAME_ROLE_BACKUP);
	return true;
}

static void flap(struct schedule *schedule, struct world *world)
{
	struct sim_random *r = &schedule->random;
	unsigned count = 2 + random_below(r, 9);
	int active = world->traffic.active;

	while (count--)
		plan(schedule, world, random_between(r, 0, 5 * second_us), ACTION_ROLE,
		     random_below(r, world->hosts_count), 1 + random_below(r, 3));
	if (active >= 0)
		plan(schedule, world, 6 * second_us, ACTION_TAKE_OVER, (unsigned)active, 0);
}

static void all_die(struct schedule *schedule, struct world *world)
{
	for (unsigned i = 0; i < world->hosts_count; i++) {
		kill_once(world, i);
		plan(schedule, world, random_between(&schedule->random, 0, 4 * second_us), ACTION_START, i,
		     0);
	}
	world_meets(world, SITUATION_ALONE);
}

/* Makes it ask all for a full catch-up, and dies, or its peer does, before that can be over. */
static void kill_in_resync(struct schedule *schedule, struct world *world, unsigned index)
{
	struct sim_random *r = &schedule->random;
	int other = fault_other_host(schedule, world, index);
	unsigned victim = other >= 0 && random_chance(r, 500) ? (unsigned)other : index;
	int64_t in_us = random_between(r, 200, world->net.links[0].delay_us * 4 + 3 * ms_us);

	host_ask(&world->hosts[index], (struct node_event){.type = NODE_RESYNC});
	plan(schedule, world, in_us, ACTION_KILL_ONE, victim, 0);
	plan(schedule, world, in_us + random_between(r, ms_us, 2 * second_us), ACTION_START, victim, 0);
}

/* ---- the network ---- */

static void partition(struct schedule *schedule, struct world *world, unsigned index, bool one_way)
{
	struct sim_random *r = &schedule->random;
	int64_t in_us =
	    random_between(r, 100 * ms_us, random_chance(r, 700) ? 4 * second_us : 20 * second_us);

	for (unsigned i = 0; i < world->hosts_count; i++) {
		if (i == index)
			continue;
		world->net.blocked[index][i] = true;
		if (!one_way)
			world->net.blocked[i][index] = true;
		schedule_plan(schedule, world, in_us,
			      (struct action){.kind = ACTION_UNBLOCK, .host = index, .other = i});
	}
	world_meets(world, SITUATION_PARTITION);
}

static void loss(struct schedule *schedule, struct world *world, int64_t lasting)
{
	struct sim_random *r = &schedule->random;
	struct net_link *link = &world->net.links[random_below(r, WIDE_LINKS_BEFORE)];

	if (lasting)
		link = &world->net.links[0];
	if (random_chance(r, 600)) {
		link->loss = 10 + random_below(r, 250);
	} else {
		link->burst_starts = 1 + random_below(r, 30);
		link->burst_ends = 30 + random_below(r, 200);
		link->burst_loss = 700 + random_below(r, 301);
	}
	if (!lasting)
		plan(schedule, world, random_between(r, second_us, 20 * second_us), ACTION_LINK_GOOD,
		     (unsigned)(link - world->net.links), 0);
}

static void noise(struct schedule *schedule, struct world *world)
{
	struct sim_random *r = &schedule->random;

	for (unsigned i = 0; i < WIDE_LINKS_BEFORE; i++) {
		struct net_link *link = &world->net.links[i];

		link->jitter_us = random_between(r, 0, 20 * ms_us);
		link->duplication = random_below(r, 100);
		link->corruption = random_below(r, 40);
		plan(schedule, world, random_between(r, second_us, 15 * second_us), ACTION_LINK_GOOD, i, 0);
	}
}

/* The whole link, or one host's cable. */
static void link_down(struct schedule *schedule, struct world *world, unsigned index)
{
	struct sim_random *r = &schedule->random;
	struct net_link *link = &world->net.links[index];
	unsigned host = random_below(r, 2 * world->hosts_count); /* above: all */

	if (host < world->hosts_count)
		link->cut[host] = true;
	else
		link->down = true;
	plan(schedule, world, random_between(r, 200 * ms_us, 20 * second_us), ACTION_LINK_UP, index, host);
}

static void link_up(struct world *world, unsigned index, int64_t host)
{
	if (host < (int64_t)world->hosts_count)
		world->net.links[index].cut[host] = false;
	else
		world->net.links[index].down = false;
}

static void make_good(struct net_link *link)
{
	link->loss = link->duplication = link->corruption = link->burst_starts = 0;
	link->jitter_us = 50;
}

static void attack(struct schedule *schedule, struct world *world, int64_t left)
{
	struct sim_random *r = &schedule->random;

	world->net.attacker_listens = true;
	if (left < 0)
		left = random_between(r, 20, 200);
	net_attack(&world->net, world->now_us);
	if (left)
		plan(schedule, world, random_between(r, 100, 300 * ms_us), ACTION_ATTACK_MORE, 0, left - 1);
	world_meets(world, SITUATION_ATTACK);
}

/* ---- the kernel and the tables ---- */

/* The daemon is slow for a moment, and its socket's buffer small. */
static void overrun(struct schedule *schedule, struct world *world, unsigned index)
{
	struct sim_random *r = &schedule->random;
	struct kernel *kernel = &world->hosts[index].kernel;

	kernel->queue_limit = 20 + random_below(r, 100);
	host_pause(&world->hosts[index], random_between(r, 5 * ms_us, 400 * ms_us));
	traffic_burst(&world->traffic, world, index, 2 * kernel->queue_limit + random_below(r, 300));
	if (kernel->overrun)
		world_meets(world, SITUATION_OVERRUN);
	kernel->queue_limit = kernel->queue_max;
}

static void small_table(struct schedule *schedule, struct world *world, unsigned index)
{
	struct host *host = &world->hosts[index];
	uint32_t flows = world->traffic.service / 3;

	host->config.max_flows = flows > 10 ? flows : 10;
	host_configure(host);
	plan(schedule, world, random_between(&schedule->random, 2 * second_us, 20 * second_us),
	     ACTION_GROW_TABLE, index, 0);
}

static void small_kernel(struct schedule *schedule, struct world *world, unsigned index)
{
	struct kernel *kernel = &world->hosts[index].kernel;

	kernel->max = kernel->count;
	traffic_burst(&world->traffic, world, index, 20);
	plan(schedule, world, random_between(&schedule->random, second_us, 10 * second_us),
	     ACTION_GROW_KERNEL, index, 0);
}

static void upheaval(struct schedule *schedule, struct world *world, unsigned index)
{
	int active = world->traffic.active;

	if (active < 0)
		active = (int)index;
	partition(schedule, world, (unsigned)active, false);
	plan(schedule, world, 50 * ms_us, ACTION_BURST, (unsigned)active, 0);
}

/* ---- requests ---- */

static void roll_over(struct schedule *schedule, struct world *world, int64_t step)
{
	struct sim_random *r = &schedule->random;
	uint8_t key[SEAL_KEY_SIZE] = {(uint8_t)(10 + schedule->roll_overs), 9, 9};

	for (unsigned i = 0; i < world->hosts_count; i++) {
		struct seal_ring *ring = &world->hosts[i].config.ring;

		if (step == 0) {
			seal_ring_add(ring, key);
		} else if (step == 1 && ring->count > 1) {
			ring->keys[2] = ring->keys[0];
			ring->keys[0] = ring->keys[1];
			ring->keys[1] = ring->keys[2];
		} else {
			ring->count = 1;
		}
		host_configure(&world->hosts[i]);
	}
	if (step == 2)
		schedule->roll_overs++;
	else
		plan(schedule, world, random_between(r, 500 * ms_us, 3 * second_us), ACTION_CONFIGURE, 0,
		     step + 1);
	world_meets(world, SITUATION_ROLL_OVER);
}

static void request(struct schedule *schedule, struct world *world, unsigned index)
{
	struct host *host = &world->hosts[index];

	switch (random_below(&schedule->random, 5)) {
	case 0:
		host_ask(host, (struct node_event){.type = NODE_RESYNC});
		break;
	case 1:
		invariant_on_flush(host);
		host_ask(host, (struct node_event){.type = NODE_FLUSH_EXTERNAL});
		break;
	case 2:
		host_ask(host, (struct node_event){.type = NODE_FLUSH_INTERNAL});
		break;
	case 3: /* a clean stop */
		host_ask(host, (struct node_event){.type = NODE_LEAVE});
		kill_daemon(schedule, world, index);
		break;
	default:
		host->config.payload_max = FRAME_PAYLOAD_MIN + random_below(&schedule->random, 5000);
		host_configure(host);
	}
}

/* ---- all of them: flat ---- */

void fault_run(struct schedule *schedule, struct world *world, const struct action *action)
{
	struct host *host = &world->hosts[action->host % world->hosts_count];
	struct sim_random *r = &schedule->random;
	bool rolls = host->config.ring.count > 1;

	switch (action->kind) {
	case ACTION_KILL:
		kill_daemon(schedule, world, host->index);
		break;
	case ACTION_POWER_CUT:
		if (world->traffic.active >= 0 && random_chance(r, 500))
			host = &world->hosts[world->traffic.active];
		power_cut(schedule, world, host->index);
		break;
	case ACTION_SWITCH_OVER:
		if (!switch_over(schedule, world))
			kill_daemon(schedule, world, host->index);
		break;
	case ACTION_PAUSE:
		host_pause(host,
			   random_between(r, 20 * ms_us, random_chance(r, 600) ? second_us : 7 * second_us));
		break;
	case ACTION_PARTITION:
	case ACTION_ONE_WAY:
		partition(schedule, world, host->index, action->kind == ACTION_ONE_WAY);
		break;
	case ACTION_LINK_DOWN:
		link_down(schedule, world, action->host % WIDE_LINKS_BEFORE);
		break;
	case ACTION_LOSS:
		loss(schedule, world, action->value);
		break;
	case ACTION_NOISE:
		noise(schedule, world);
		break;
	case ACTION_ROLL_OVER:
		if (!rolls)
			roll_over(schedule, world, 0);
		else
			kill_daemon(schedule, world, host->index);
		break;
	case ACTION_OVERRUN:
		overrun(schedule, world, host->index);
		break;
	case ACTION_REQUEST:
		request(schedule, world, host->index);
		break;
	case ACTION_FLAP:
		flap(schedule, world);
		break;
	case ACTION_SMALL_TABLE:
		small_table(schedule, world, host->index);
		break;
	case ACTION_SMALL_KERNEL:
		small_kernel(schedule, world, host->index);
		break;
	case ACTION_ATTACK:
		attack(schedule, world, -1);
		break;
	case ACTION_ALL_DIE:
		all_die(schedule, world);
		break;
	case ACTION_UPHEAVAL:
		upheaval(schedule, world, host->index);
		break;
	case ACTION_RESYNC_KILL:
		kill_in_resync(schedule, world, host->index);
		break;
	case ACTION_START:
		host_start(host);
		break;
	case ACTION_POWER_ON:
		host_power_on(host);
		break;
	case ACTION_ROLE:
		host_ask_role(host, (enum frame_role)action->value);
		break;
	case ACTION_TAKE_OVER:
		take_over(schedule, world, host->index);
		break;
	case ACTION_UNBLOCK:
		world->net.blocked[action->host][action->other] = false;
		world->net.blocked[action->other][action->host] = false;
		break;
	case ACTION_LINK_UP:
		link_up(world, action->host, action->value);
		break;
	case ACTION_LINK_GOOD:
		make_good(&world->net.links[action->host]);
		break;
	case ACTION_CONFIGURE:
		roll_over(schedule, world, action->value);
		break;
	case ACTION_GROW_TABLE:
		host->config.max_flows = 40000;
		host_configure(host);
		break;
	case ACTION_GROW_KERNEL:
		host->kernel.max = host->kernel.numbers;
		break;
	case ACTION_ATTACK_MORE:
		attack(schedule, world, action->value);
		break;
	case ACTION_KILL_ONE:
		kill_once(world, host->index);
		break;
	case ACTION_BURST:
		traffic_upheaval(&world->traffic, world, host->index);
		break;
	case ACTION_LINK_FATE:
		wide_link_fate(schedule, world, action->host);
		break;
	case ACTION_NARROW:
		wide_narrow(schedule, world, action->host, (unsigned)action->value);
		break;
	case ACTION_WIDEN:
		wide_widen(world);
		break;
	case ACTION_CHANGE_MODE:
		wide_change_mode(world, host->index);
		break;
	}
}
