/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/guard.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static const struct monotime CHECK_INTERVAL = {1000000};

const char *guard_state_name(enum guard_state state)
{
	static const char *const names[] = {"disabled", "open", "armed", "gave-up", "failed"};
	return names[state];
}

static void take_settings(struct guard *guard, const struct config *config)
{
	guard->timeout = monotime_from_us(config->fence.timeout_us);
	guard->max_wait = monotime_from_us(config->fence.max_wait_us);
	guard->configured_count = config->fence.address_count;
	for (size_t i = 0; i < config->fence.address_count; i++) {
		const struct config_prefix *prefix = &config->fence.address[i];
		struct address_prefix *to = &guard->configured[i];
		memset(to, 0, sizeof(*to));
		to->family = (uint8_t)prefix->address.family;
		to->length = (uint8_t)prefix->length;
		memcpy(to->bytes, &prefix->address.v6, prefix->address.family == AF_INET ? 4 : 16);
	}
}

void guard_start(struct guard *guard, const struct config *config, const struct address_set *addresses,
		 const struct guard_driver *driver, struct log *log)
{
	memset(guard, 0, sizeof(*guard));
	guard->driver = *driver;
	guard->log = log;
	guard->addresses = addresses;
	guard->enabled = config->fence.enable && config->node.mode == CONFIG_MODE_ACTIVE_BACKUP;
	guard->state = guard->enabled ? GUARD_OPEN : GUARD_DISABLED;
	guard->role = FRAME_ROLE_INIT;
	guard->arrived = MONOTIME_NEVER;
	take_settings(guard, config);
}

static bool role_wants_fence(enum frame_role role)
{
	return role == FRAME_ROLE_BACKUP || role == FRAME_ROLE_FAULT;
}

static bool prefix_contains(const struct address_prefix *prefix, uint8_t family, const uint8_t *bytes)
{
	unsigned whole = prefix->length / 8, rest = prefix->length % 8;
	if (prefix->family != family || memcmp(prefix->bytes, bytes, whole) != 0)
		return false;
	return rest == 0 || ((prefix->bytes[whole] ^ bytes[whole]) >> (8 - rest)) == 0;
}

static size_t find_learnt(const struct guard *guard, uint8_t family, const uint8_t *bytes)
{
	size_t i = 0;
	while (i < guard->learnt_count &&
	       (guard->learnt[i].family != family ||
		memcmp(guard->learnt[i].bytes, bytes, family == AF_INET ? 4 : 16) != 0))
		i++;
	return i;
}

bool guard_is_virtual(const struct guard *guard, uint8_t family, const uint8_t *bytes)
{
	for (size_t i = 0; i < guard->configured_count; i++)
		if (prefix_contains(&guard->configured[i], family, bytes))
			return true;
	return find_learnt(guard, family, bytes) < guard->learnt_count;
}

static void learn(struct guard *guard, const struct address_prefix *prefix)
{
	if (guard->learnt_count == GUARD_LEARNT_MAX) {
		log_write(
		    guard->log, LOG_WARNING, "fence-learn",
		    "more than %d virtual addresses have appeared; the rest is treated as the host's own: name them with "
		    "[fence] address",
		    GUARD_LEARNT_MAX);
		return;
	}
	guard->learnt[guard->learnt_count].family = prefix->family;
	memcpy(guard->learnt[guard->learnt_count].bytes, prefix->bytes, 16);
	guard->learnt_count++;
}

/* Who else is here beside a new address. */
struct company {
	const struct address *address;
	bool is_elsewhere; /* the same on another interface */
	bool has_another;  /* another one of its family on its interface, link-local ones aside */
};

static bool is_link_local(const struct address_prefix *prefix)
{
	return prefix->family == AF_INET6 && prefix->bytes[0] == 0xfe && (prefix->bytes[1] & 0xc0) == 0x80;
}

static void look_around(void *context, const struct address *other)
{
	struct company *company = context;
	const struct address *address = company->address;
	bool is_same = other->prefix.family == address->prefix.family &&
		       memcmp(other->prefix.bytes, address->prefix.bytes, 16) == 0;
	if (is_same && other->ifindex != address->ifindex)
		company->is_elsewhere = true;
	if (!is_same && other->ifindex == address->ifindex &&
	    other->prefix.family == address->prefix.family && !is_link_local(&other->prefix))
		company->has_another = true;
}

/* Has this address come as a virtual one does?  VRRP adds it to an interface that has one of its own. */
static bool may_be_learnt(const struct guard *guard, const struct address *address)
{
	struct company company = {.address = address};
	if (!address_may_be_virtual(address))
		return false;
	address_set_walk(guard->addresses, look_around, &company);
	if (company.is_elsewhere)
		return false;
	return company.has_another || !guard->driver.passes(guard->driver.context, address->ifindex);
}

struct search {
	const struct guard *guard;
	const struct address *found; /* NULL: none is here */
};

static void look_for_virtual(void *context, const struct address *address)
{
	struct search *search = context;
	if (guard_is_virtual(search->guard, address->prefix.family, address->prefix.bytes))
		search->found = address;
}

/* Starts or ends the wait for a `primary`, by whether a virtual address is here. */
static void judge_arrival(struct guard *guard, struct monotime now)
{
	struct search search = {.guard = guard};
	address_set_walk(guard->addresses, look_for_virtual, &search);
	if (search.found == NULL)
		guard->arrived = MONOTIME_NEVER;
	else if (guard->arrived.us == MONOTIME_NEVER.us)
		guard->arrived = now;
}

static void close_fence(struct guard *guard, struct monotime now)
{
	int error = guard->driver.close(guard->driver.context);
	guard->next_check = monotime_add(now, CHECK_INTERVAL);
	guard->passes_known = false;
	if (error < 0) {
		guard->state = GUARD_FAILED;
		guard->error = error;
		log_write(guard->log, LOG_ERR, "fence-failed",
			  "the fence can't be closed: %s; a takeover may reset connections until it can",
			  strerror(-error));
		return;
	}
	guard->state = GUARD_CLOSED;
	guard->closed_count++;
	guard->next_refresh = monotime_add(now, monotime_from_us(guard->timeout.us / 3));
}

static void open_fence(struct guard *guard, enum guard_state state)
{
	int error = guard->driver.open(guard->driver.context);
	if (error < 0)
		log_write(guard->log, LOG_ERR, "fence-stuck",
			  "the fence can't be opened: %s; it opens by itself within [fence] timeout",
			  strerror(-error));
	guard->state = state;
	guard->passes_known = false;
}

static void give_up(struct guard *guard)
{
	char text[INET6_ADDRSTRLEN] = "?";
	struct search search = {.guard = guard};
	address_set_walk(guard->addresses, look_for_virtual, &search);
	if (search.found != NULL)
		inet_ntop(search.found->prefix.family, search.found->prefix.bytes, text, sizeof(text));
	log_write(
	    guard->log, LOG_ERR, "fence-gave-up",
	    "a virtual address has been here for %lld s and no `primary` followed: the fence opens, connections may be "
	    "reset; check the notify script, or, if %s is none, name the virtual ones with [fence] address",
	    (long long)(guard->max_wait.us / 1000000), text);
	guard->gave_up_count++;
	open_fence(guard, GUARD_GAVE_UP);
}

/* Takes the state that role and arrivals ask for. */
static void settle(struct guard *guard, struct monotime now)
{
	if (!guard->enabled)
		return;
	if (!role_wants_fence(guard->role)) {
		guard->arrived = MONOTIME_NEVER;
		if (guard->state != GUARD_OPEN)
			open_fence(guard, GUARD_OPEN);
		return;
	}
	judge_arrival(guard, now);
	if (guard->state == GUARD_OPEN ||
	    (guard->state == GUARD_GAVE_UP && guard->arrived.us == MONOTIME_NEVER.us)) {
		if (guard->state == GUARD_GAVE_UP)
			log_write(guard->log, LOG_NOTICE, "fence-again",
				  "the virtual address has left: the fence is closed again");
		close_fence(guard, now);
	}
}

void guard_set_role(struct guard *guard, enum frame_role role, struct monotime now)
{
	if (role != guard->role)
		guard->arrived = MONOTIME_NEVER; /* a new role, a new wait */
	guard->role = role;
	settle(guard, now);
}

void guard_set_taking_over(struct guard *guard, bool is_taking_over, struct monotime now)
{
	guard->is_taking_over = is_taking_over;
	if (!is_taking_over) {
		guard->arrived = MONOTIME_NEVER;
		if (guard->passes_known)
			close_fence(guard, now); /* it ended without success */
		settle(guard, now);
	}
}

void guard_pass_known(struct guard *guard)
{
	if (guard->state != GUARD_CLOSED || !guard->is_taking_over)
		return;
	/* whatever the answer is: to be closed to all again, unless it opens */
	guard->passes_known = true;
	int error = guard->driver.pass_known(guard->driver.context);
	if (error < 0)
		log_write(
		    guard->log, LOG_WARNING, "fence-strict",
		    "the fence can't let pass what is committed already: %s; all waits for the whole table",
		    strerror(-error));
}

void guard_take_waiting(struct guard *guard, fence_waits *told, void *context)
{
	/* on an error, which the driver logs, nobody goes before his turn */
	if (guard->state == GUARD_CLOSED && guard->passes_known)
		guard->driver.take_waiting(guard->driver.context, told, context);
}

void guard_configure(struct guard *guard, const struct config *config, struct monotime now)
{
	take_settings(guard, config);
	if (guard->state == GUARD_CLOSED)
		close_fence(guard, now); /* with the new timeout, addresses and interfaces */
	settle(guard, now);
}

bool guard_learns(const struct guard *guard)
{
	return guard->enabled && guard->configured_count == 0;
}

struct resume {
	struct guard *guard;
	const struct state *state;
};

static void resume_address(void *context, const struct address *address)
{
	struct resume *resume = context;
	const struct address_prefix *prefix = &address->prefix;
	for (size_t i = 0; i < resume->state->address_count; i++) {
		const struct state_address *own = &resume->state->addresses[i];
		if (own->family == prefix->family && memcmp(own->bytes, prefix->bytes, 16) == 0)
			return;
	}
	if (may_be_learnt(resume->guard, address) &&
	    find_learnt(resume->guard, prefix->family, prefix->bytes) == resume->guard->learnt_count)
		learn(resume->guard, prefix);
}

void guard_resume(struct guard *guard, const struct state *state, enum frame_role role)
{
	struct resume resume = {.guard = guard, .state = state};
	if (guard_learns(guard) && state->has_addresses && role_wants_fence(role))
		address_set_walk(guard->addresses, resume_address, &resume);
}

void guard_address_changed(struct guard *guard, enum address_change change, const struct address *address,
			   struct monotime now)
{
	const struct address_prefix *prefix = &address->prefix;
	if (!guard->enabled || change == ADDRESS_ALTERED)
		return;
	size_t at = find_learnt(guard, prefix->family, prefix->bytes);
	bool still_here = address_set_contains(guard->addresses, prefix->family, prefix->bytes);
	if (change == ADDRESS_REMOVED && !still_here && at < guard->learnt_count)
		guard->learnt[at] = guard->learnt[--guard->learnt_count];
	else if (change == ADDRESS_ADDED && at == guard->learnt_count && guard_learns(guard) &&
		 role_wants_fence(guard->role) && may_be_learnt(guard, address))
		learn(guard, prefix);
	if (guard->state == GUARD_CLOSED) {
		int error = guard->driver.set_own(guard->driver.context);
		if (error < 0)
			log_write(guard->log, LOG_ERR, "fence-addresses",
				  "the fence's addresses can't be changed: %s", strerror(-error));
	}
	settle(guard, now);
}

static void refresh(struct guard *guard, struct monotime now)
{
	int error = guard->driver.refresh(guard->driver.context);
	guard->next_refresh = monotime_add(now, monotime_from_us(guard->timeout.us / 3));
	if (error < 0)
		guard->next_check = now; /* something is wrong with it: have it looked at now */
}

/* What repaired it has said so in the log. */
static void check(struct guard *guard, struct monotime now)
{
	int result = guard->driver.check(guard->driver.context);
	guard->next_check = monotime_add(now, CHECK_INTERVAL);
	if (result > 0)
		guard->repaired_count++;
	if (result < 0)
		close_fence(guard, now);
}

void guard_time(struct guard *guard, struct monotime now)
{
	if (!guard->enabled || !role_wants_fence(guard->role))
		return;
	if (guard->state == GUARD_FAILED && !monotime_is_before(now, guard->next_check))
		close_fence(guard, now);
	if (guard->state != GUARD_CLOSED)
		return;
	if (!guard->is_taking_over &&
	    !monotime_is_before(now, monotime_add(guard->arrived, guard->max_wait))) {
		give_up(guard);
		return;
	}
	if (!monotime_is_before(now, guard->next_refresh))
		refresh(guard, now);
	if (!monotime_is_before(now, guard->next_check))
		check(guard, now);
}

struct monotime guard_deadline(const struct guard *guard)
{
	if (!guard->enabled || !role_wants_fence(guard->role))
		return MONOTIME_NEVER;
	if (guard->state == GUARD_FAILED)
		return guard->next_check;
	if (guard->state != GUARD_CLOSED)
		return MONOTIME_NEVER;
	struct monotime next = monotime_min(guard->next_refresh, guard->next_check);
	if (!guard->is_taking_over)
		next = monotime_min(next, monotime_add(guard->arrived, guard->max_wait));
	return next;
}

bool guard_is_armed(const struct guard *guard)
{
	return guard->state == GUARD_CLOSED;
}

struct collect {
	const struct guard *guard;
	struct address_prefix *own;
	size_t max, count;
};

static void collect_own(void *context, const struct address *address)
{
	struct collect *collect = context;
	if (guard_is_virtual(collect->guard, address->prefix.family, address->prefix.bytes))
		return;
	if (collect->count < collect->max) {
		struct address_prefix *own = &collect->own[collect->count];
		*own = address->prefix;
		own->length = address->prefix.family == AF_INET ? 32 : 128;
	}
	collect->count++;
}

size_t guard_own(const struct guard *guard, struct address_prefix *own, size_t max)
{
	struct collect collect = {.guard = guard, .own = own, .max = max};
	address_set_walk(guard->addresses, collect_own, &collect);
	return collect.count;
}
