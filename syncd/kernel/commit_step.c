/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/kernel/commit_step.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <string.h>

enum { TRANSIENT_MAX = 3 }; /* times that one flow is sent again after an error that passes */

void step_settle(struct slot *slot, enum commit_result result, int error)
{
	slot->step = STEP_SETTLED;
	slot->result = (uint8_t)result;
	slot->error = error;
}

bool step_is_query(const struct slot *slot)
{
	return slot->step == STEP_FIND || slot->step == STEP_FIND_REPLY || slot->step == STEP_CHECK ||
	       slot->step == STEP_SHOW;
}

/* The key under which the kernel would have another flow whose tuple is our reply. */
static struct flow reply_key(const struct flow *flow)
{
	struct flow key = {.family = flow->family, .protocol = flow->protocol, .orig = flow->reply};

	if (flow->present & FLOW_HAS_REPLY_ZONE)
		key.zone = flow->reply_zone;
	else if (flow->zone_scope == FLOW_ZONE_BOTH)
		key.zone = flow->zone;
	return key;
}

static bool mark_differs(const struct flow *wanted, const struct flow *found)
{
	uint32_t wanted_mark = wanted->present & FLOW_HAS_MARK ? wanted->mark : 0;
	uint32_t found_mark = found->present & FLOW_HAS_MARK ? found->mark : 0;

	return wanted_mark != found_mark;
}

static bool labels_differ(const struct flow *wanted, const struct flow *found)
{
	if (!((wanted->present | found->present) & FLOW_HAS_LABELS))
		return false;
	return memcmp(wanted->labels, found->labels, sizeof(wanted->labels));
}

/* The sequence adjustment of a flow that passes packets here is the kernel's own; it is given only where it
 * has none. */
static bool lacks(const struct flow *found, const struct flow *wanted, uint32_t part)
{
	return wanted->present & part && !(found->present & part);
}

static uint32_t update_timeout_s(const struct slot *slot, const struct flow *found)
{
	bool other_state =
	    slot->flow.tcp.state != found->tcp.state || slot->flow.sctp.state != found->sctp.state;

	if (found->status & FLOW_STATUS_FIXED_TIMEOUT)
		return 0; /* __nf_ct_change_timeout(): EPERM */
	if (flow_progress_compare(&slot->flow, found) < 0)
		return 0; /* the kernel's is farther on: its timeout is that of a later state */
	if (other_state && flow_progress_compare(&slot->flow, found) > 0)
		return slot->timeout_s;
	return slot->timeout_s > found->timeout_s ? slot->timeout_s : 0;
}

/*
 * The windows of a TCP flow that was here before are those of its last packet here: after a time at another
 * firewall every packet is out of window, and so invalid, unless the flow is liberal in both directions
 * (tcp_in_window()).
 */
static bool windows_are_stale(const struct flow *found, const struct commit_options *options)
{
	return (options->tcp_liberal || options->has_old) && found->present & FLOW_HAS_TCP &&
	       !(found->tcp.flags[0] & found->tcp.flags[1] & FLOW_TCP_FLAG_BE_LIBERAL);
}

/*
 * Windows can't be set, only be forgotten with their flow: who wants them checked gets the flow anew.  With
 * the fence open a packet could come between, so there the flow is made liberal all the same.
 */
static bool must_be_renewed(const struct flow *found, const struct commit_options *options)
{
	return windows_are_stale(found, options) && !options->tcp_liberal && options->fence_closed;
}

/* In an update only flows are made liberal whose windows are old, whatever is wanted of new ones. */
static bool update_is_liberal(const struct flow *found, const struct commit_options *options)
{
	return options->tcp_liberal || windows_are_stale(found, options);
}

/* What of the wanted flow the found one is to be given: parts, and the status with the bits that it has
 * already. */
static struct flow update_of(const struct slot *slot, const struct flow *found,
			     const struct commit_options *options)
{
	const uint32_t keep = FLOW_STATUS_EXPECTED | FLOW_STATUS_SEEN_REPLY | FLOW_STATUS_ASSURED |
			      FLOW_STATUS_FIXED_TIMEOUT | FLOW_STATUS_HELPER | FLOW_STATUS_CONFIRMED;
	struct flow update = slot->flow;
	int ahead = flow_progress_compare(&slot->flow, found);

	update.present = FLOW_HAS_STATUS;
	update.status = (found->status & keep) | (slot->flow.status & keep & ~(uint32_t)FLOW_STATUS_EXPECTED);
	if (ahead > 0)
		update.present |= slot->flow.present & (FLOW_HAS_TCP | FLOW_HAS_SCTP | FLOW_HAS_DCCP);
	else if (windows_are_stale(found, options)) {
		update.tcp = found->tcp;
		update.present |= FLOW_HAS_TCP;
	}
	if (ahead < 0)
		return update;
	if (mark_differs(&slot->flow, found))
		update.present |= FLOW_HAS_MARK;
	if (labels_differ(&slot->flow, found))
		update.present |= FLOW_HAS_LABELS;
	if (lacks(found, &slot->flow, FLOW_HAS_SEQADJ))
		update.present |= FLOW_HAS_SEQADJ;
	if (lacks(found, &slot->flow, FLOW_HAS_SYNPROXY))
		update.present |= FLOW_HAS_SYNPROXY;
	return update;
}

static int write_key(const struct flow *key, uint16_t type, uint32_t sequence, void *room, size_t size)
{
	return convert_to_message(key, CONVERT_FOR_KEY, NULL, type, 0, sequence, room, size);
}

int step_write(const struct slot *slot, const struct flow *found, const struct commit_options *options,
	       uint32_t sequence, void *room, size_t size)
{
	struct convert_options how = {.tcp_liberal = options->tcp_liberal, .timeout_s = slot->timeout_s};
	struct flow other;

	switch ((enum step)slot->step) {
	case STEP_CREATE:
		return convert_to_message(&slot->flow, CONVERT_FOR_CREATE, &how, IPCTNL_MSG_CT_NEW,
					  NLM_F_CREATE | NLM_F_EXCL, sequence, room, size);
	case STEP_UPDATE:
		other = update_of(slot, found, options);
		how.timeout_s = update_timeout_s(slot, found);
		how.tcp_liberal = update_is_liberal(found, options);
		return convert_to_message(&other, CONVERT_FOR_UPDATE, &how, IPCTNL_MSG_CT_NEW, 0, sequence,
					  room, size);
	case STEP_FIND:
	case STEP_SHOW:
	case STEP_CHECK:
		return write_key(&slot->flow, IPCTNL_MSG_CT_GET, sequence, room, size);
	case STEP_FIND_REPLY:
		other = reply_key(&slot->flow);
		return write_key(&other, IPCTNL_MSG_CT_GET, sequence, room, size);
	case STEP_REMOVE:
		return write_key(found, IPCTNL_MSG_CT_DELETE, sequence, room, size);
	case STEP_DELETE:
		return write_key(&slot->flow, IPCTNL_MSG_CT_DELETE, sequence, room, size);
	case STEP_REFRESH:
		other = slot->flow;
		other.present =
		    0; /* the state that it has here is left alone: packets may have moved it on */
		return convert_to_message(&other, CONVERT_FOR_UPDATE, &how, IPCTNL_MSG_CT_NEW, 0, sequence,
					  room, size);
	case STEP_SETTLED:
		break;
	}
	return -EINVAL;
}

static bool is_transient(int error)
{
	switch (-error) {
	case ETIMEDOUT: /* the generation of extensions changed meanwhile (nf_conntrack_hash_check_insert())
			 */
	case EAGAIN:
	case ENOSPC: /* the chain is longer than a limit that is drawn anew each time */
	case ENOBUFS:
		return true;
	}
	return false;
}

/* True while the slot may be sent again after an error that passes. */
static bool try_again(struct slot *slot)
{
	return slot->transients++ < TRANSIENT_MAX;
}

/* Its master is in this batch, before it, and not settled: it may come with the next round. */
static bool master_may_come(const struct slot *slots, const struct slot *slot)
{
	for (const struct slot *earlier = slots; earlier < slot; earlier++)
		if (earlier->step != STEP_SETTLED &&
		    !memcmp(&earlier->flow.orig, &slot->flow.master, sizeof(slot->flow.master)))
			return true;
	return false;
}

static enum commit_result created_result(const struct slot *slot)
{
	return slot->without_master   ? COMMIT_NO_MASTER
	       : slot->without_helper ? COMMIT_NO_HELPER
	       : slot->replaced       ? COMMIT_REPLACED
				      : COMMIT_CREATED;
}

static bool has_labels(const struct slot *slot)
{
	static const uint8_t none[FLOW_LABELS_SIZE];

	return slot->flow.present & FLOW_HAS_LABELS && memcmp(slot->flow.labels, none, sizeof(none)) != 0;
}

/* One before it in this batch has been asked for, or will be. */
static bool is_shown(const struct slot *slots, const struct slot *slot)
{
	for (const struct slot *earlier = slots; earlier < slot; earlier++)
		if (has_labels(earlier) &&
		    (earlier->step == STEP_SHOW ||
		     (earlier->step == STEP_SETTLED && commit_is_in_kernel(earlier->result, earlier->error))))
			return true;
	return false;
}

static void advance_create(const struct slot *slots, struct slot *slot)
{
	bool has_helper = slot->flow.present & FLOW_HAS_HELPER;
	bool has_master = slot->flow.present & FLOW_HAS_MASTER;
	int error = slot->error;

	if (!error && has_labels(slot) && !is_shown(slots, slot))
		slot->step = STEP_SHOW;
	else if (!error)
		step_settle(slot, created_result(slot), 0);
	else if (error == -EEXIST)
		slot->step = STEP_FIND;
	else if (is_transient(error) && try_again(slot))
		return;
	else if (error == -ENOMEM || error == -ENOSPC)
		step_settle(slot, COMMIT_TABLE_FULL, error);
	else if (error == -ENOENT && has_master) {
		/* better a flow without its master than none: a transfer outlives the session that began it
		 */
		if (!master_may_come(slots, slot)) {
			slot->without_master = true;
			slot->flow.present &= ~(uint32_t)FLOW_HAS_MASTER;
			slot->flow.status &= ~(uint32_t)FLOW_STATUS_EXPECTED;
		}
	} else if (error == -EOPNOTSUPP && has_helper) {
		/* better a flow whose helper is missing than none: no related ones will come, but it lives */
		slot->without_helper = true;
		slot->flow.present &= ~(uint32_t)FLOW_HAS_HELPER;
		slot->flow.status &= ~(uint32_t)FLOW_STATUS_HELPER;
	} else
		step_settle(slot, COMMIT_REFUSED, error);
}

/* Another flow has one of our tuples. */
static void give_way_or_replace(struct slot *slot, const struct flow *found,
				const struct commit_options *options)
{
	if (!options->existing_only && !options->keeps_others &&
	    (options->fence_closed || !(found->status & FLOW_STATUS_ASSURED)))
		slot->step = STEP_REMOVE;
	else
		step_settle(slot, COMMIT_CLASH, -EEXIST);
}

static void keep(struct slot *slot, const struct flow *found)
{
	uint8_t incarnation = slot->flow.incarnation;

	slot->flow = *found;
	slot->flow.incarnation = incarnation;
	step_settle(slot, COMMIT_KEPT, 0);
}

static void bring_forward(struct slot *slot, const struct flow *found, const struct commit_options *options)
{
	int ahead = flow_progress_compare(&slot->flow, found);
	bool stale = windows_are_stale(found, options);

	if (found->status & (FLOW_STATUS_OFFLOAD | FLOW_STATUS_HW_OFFLOAD) || (ahead < 0 && !stale)) {
		keep(slot, found); /* offloaded: it shows neither state nor timeout, and passes packets */
		return;
	}
	if (must_be_renewed(found, options)) {
		if (ahead < 0)
			slot->flow.tcp.state = found->tcp.state; /* never back */
		slot->step = STEP_REMOVE;
		return;
	}
	if (ahead > 0 || stale || update_timeout_s(slot, found) || mark_differs(&slot->flow, found) ||
	    labels_differ(&slot->flow, found) || lacks(found, &slot->flow, FLOW_HAS_SEQADJ) ||
	    lacks(found, &slot->flow, FLOW_HAS_SYNPROXY))
		slot->step = STEP_UPDATE;
	else
		keep(slot, found);
}

static void advance_find(struct slot *slot, const struct flow *found, const struct commit_options *options)
{
	if (slot->error == -ENOENT && options->existing_only)
		step_settle(slot, COMMIT_EXPIRED, 0);
	else if (slot->error == -ENOENT)
		slot->step = STEP_FIND_REPLY;
	else if (slot->error)
		step_settle(slot, COMMIT_REFUSED, slot->error);
	else if (flow_key_equals(&slot->flow, found) && flow_nat_equals(&slot->flow, found))
		bring_forward(slot, found, options);
	else
		give_way_or_replace(slot, found, options);
}

static void advance_find_reply(struct slot *slot, const struct flow *found,
			       const struct commit_options *options)
{
	if (slot->error == -ENOENT)
		slot->step = STEP_CREATE; /* what was in the way has gone by itself */
	else if (slot->error)
		step_settle(slot, COMMIT_REFUSED, slot->error);
	else
		give_way_or_replace(slot, found, options);
}

/* The found flow with what the update changed in it. */
static void finish_update(struct slot *slot, const struct flow *found, const struct commit_options *options)
{
	struct flow update = update_of(slot, found, options), merged = *found;
	uint32_t timeout_s = update_timeout_s(slot, found);

	flow_merge(&merged, &update);
	merged.status |= found->status; /* an update only sets bits, and names none of NAT */
	for (unsigned i = 0; update.present & FLOW_HAS_TCP && i < 2; i++) { /* an update only sets flags */
		merged.tcp.flags[i] |= found->tcp.flags[i];
		if (update_is_liberal(found, options))
			merged.tcp.flags[i] |= FLOW_TCP_FLAG_BE_LIBERAL;
	}
	if (timeout_s)
		merged.timeout_s = timeout_s;
	merged.incarnation = slot->flow.incarnation;
	slot->flow = merged;
	step_settle(slot, slot->without_labels ? COMMIT_NO_LABELS : COMMIT_UPDATED, 0);
}

static void advance_update(struct slot *slot, const struct flow *found, const struct commit_options *options)
{
	switch (-slot->error) {
	case 0:
		finish_update(slot, found, options);
		break;
	case ENOENT: /* gone meanwhile */
	case ETIME:  /* going */
		slot->step = options->existing_only ? STEP_FIND : STEP_CREATE;
		break;
	case EBUSY: /* its status changed meanwhile */
	case EPERM: /* or its timeout was fixed */
		slot->step = STEP_FIND;
		break;
	case ENOSPC: /* no rule here uses labels, so flows have no room for them (nf_connlabels_replace()) */
		slot->without_labels = true;
		slot->flow.present &= ~(uint32_t)FLOW_HAS_LABELS;
		memcpy(slot->flow.labels, found->labels, sizeof(found->labels));
		break;
	default:
		step_settle(slot, COMMIT_REFUSED, slot->error);
	}
}

static void advance_show(struct slot *slot, const struct flow *found)
{
	slot->without_labels = !slot->error && flow_key_equals(&slot->flow, found) &&
			       memcmp(slot->flow.labels, found->labels, sizeof(found->labels)) != 0;
	step_settle(slot, created_result(slot), 0);
}

void step_settle_labels(struct slot *slots, unsigned count)
{
	bool without = false;

	for (unsigned i = 0; i < count; i++) {
		struct slot *slot = &slots[i];
		bool was_created = slot->result == COMMIT_CREATED || slot->result == COMMIT_REPLACED;

		without |= slot->without_labels && was_created;
		if (!without || !was_created || !has_labels(slot))
			continue;
		slot->flow.present &= ~(uint32_t)FLOW_HAS_LABELS;
		memset(slot->flow.labels, 0, sizeof(slot->flow.labels));
		slot->result = COMMIT_NO_LABELS;
	}
}

static void advance_check(struct slot *slot, const struct flow *found)
{
	/* the kernel would also take a flow away whose reply this is, say one that it picked up from the
	 * other side */
	if (slot->error == -ENOENT || (!slot->error && !flow_key_equals(&slot->flow, found)))
		step_settle(slot, COMMIT_KEPT, 0);
	else if (slot->error)
		step_settle(slot, COMMIT_REFUSED, slot->error);
	else {
		slot->flow.id = found->id;
		slot->flow.present |= found->present & FLOW_HAS_ID;
		slot->checked = true;
		slot->step = STEP_DELETE;
	}
}

static void advance_delete(struct slot *slot)
{
	if (!slot->error)
		step_settle(slot, COMMIT_CREATED, 0);
	else if (slot->error == -ENOENT && !slot->checked)
		slot->step = STEP_CHECK; /* none, or with another id: the caller's was a hint */
	else if (slot->error == -ENOENT)
		step_settle(slot, COMMIT_KEPT, 0);
	else
		step_settle(slot, COMMIT_REFUSED, slot->error);
}

static void advance_remove(struct slot *slot)
{
	slot->replaced = !slot->error;
	if (!slot->error || slot->error == -ENOENT)
		slot->step = STEP_CREATE;
	else
		step_settle(slot, COMMIT_REFUSED, slot->error);
}

static void advance_refresh(struct slot *slot)
{
	switch (-slot->error) {
	case 0:
		step_settle(slot, COMMIT_UPDATED, 0);
		break;
	case ENOENT:
	case ETIME: /* going */
		step_settle(slot, COMMIT_EXPIRED, 0);
		break;
	case EPERM: /* fixed (__nf_ct_change_timeout()) */
		step_settle(slot, COMMIT_KEPT, 0);
		break;
	default:
		step_settle(slot, COMMIT_REFUSED, slot->error);
	}
}

void step_advance(struct slot *slots, unsigned index, const struct flow *found,
		  const struct commit_options *options)
{
	struct slot *slot = &slots[index];

	if (slot->error == -ENOBUFS && try_again(slot))
		return; /* no answer: ask, or do it, again */
	switch ((enum step)slot->step) {
	case STEP_CREATE:
		advance_create(slots, slot);
		break;
	case STEP_FIND:
		advance_find(slot, found, options);
		break;
	case STEP_FIND_REPLY:
		advance_find_reply(slot, found, options);
		break;
	case STEP_UPDATE:
		advance_update(slot, found, options);
		break;
	case STEP_SHOW:
		advance_show(slot, found);
		break;
	case STEP_REMOVE:
		advance_remove(slot);
		break;
	case STEP_CHECK:
		advance_check(slot, found);
		break;
	case STEP_DELETE:
		advance_delete(slot);
		break;
	case STEP_REFRESH:
		advance_refresh(slot);
		break;
	case STEP_SETTLED:
		break;
	}
}
