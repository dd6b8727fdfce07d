/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/kernel/commit.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * A batch goes to the kernel in rounds.  Each round sends one message for each flow that isn't settled, by
 * the step that it is at, in one send; the kernel carries them out, in order, before send() returns, and its
 * errors wait on the socket then, each with the sequence number of its message.  Only the last asks for an
 * acknowledgement, which proves that the kernel went through all of them.  Nearly always the first round
 * settles all.
 *
 *   CREATE --ok--------------------------------------------------------------------> created (replaced)
 *     | exists                            same NAT, behind
 *     +-----> FIND --found, its key is ours----+-----------> UPDATE --ok-----------> updated
 *              |         |                     +--same NAT, as far on--------------> kept
 *              |         +--another's reply---\ other NAT
 *              | none                          +--may go---> REMOVE --ok--> CREATE
 *              +----> FIND_REPLY --found------/----not---------------------------> clash
 */
enum step { STEP_CREATE, STEP_FIND, STEP_FIND_REPLY, STEP_UPDATE, STEP_REMOVE, STEP_DELETE, STEP_SETTLED };

enum {
	BATCH = 256,
	SEND_BUFFER = 128 * 1024,
	SOCKET_BUFFER = 4 * 1024 * 1024, /* holds the answers to a whole batch: 256 times less than 2 KiB */
	ANSWERS = 64,
	ANSWER_SIZE = 2048,
	TRANSIENT_MAX = 3, /* times that one flow is sent again after an error that passes */
	ROUNDS_MAX = 12,   /* whatever others do to the same tuples meanwhile, a flow ends after so many */
};

struct slot {
	uint8_t step, rounds, transients;
	bool replaced;       /* what was in the way has been removed */
	bool without_helper; /* the kernel doesn't have it */
	bool sent;           /* in this round */
	uint8_t result;
	int error;          /* the answer of this round; then the end's */
	uint32_t timeout_s; /* what is left when it is created */
	struct flow flow;
};

struct commit {
	int fd;
	uint32_t port;
	uint32_t sequence; /* of the first message of this round */
	unsigned count;
	struct commit_options options;
	struct slot slots[BATCH];
	struct flow found[BATCH]; /* by slot: what the kernel has */
	struct mmsghdr headers[ANSWERS];
	struct iovec vectors[ANSWERS];
	_Alignas(8) uint8_t answers[ANSWERS][ANSWER_SIZE];
	_Alignas(8) uint8_t messages[SEND_BUFFER];
};

const char *commit_result_name(enum commit_result result)
{
	static const char *const names[COMMIT_RESULTS] = {
	    [COMMIT_CREATED] = "created",
	    [COMMIT_UPDATED] = "updated",
	    [COMMIT_KEPT] = "kept",
	    [COMMIT_REPLACED] = "replaced",
	    [COMMIT_CLASH] = "clash",
	    [COMMIT_EXPIRED] = "expired",
	    [COMMIT_TABLE_FULL] = "table-full",
	    [COMMIT_NO_MASTER] = "no-master",
	    [COMMIT_NO_HELPER] = "no-helper",
	    [COMMIT_REFUSED] = "refused",
	};

	return result < COMMIT_RESULTS ? names[result] : "unknown";
}

bool commit_is_in_kernel(enum commit_result result, int error)
{
	switch (result) {
	case COMMIT_CREATED:
	case COMMIT_UPDATED:
	case COMMIT_KEPT:
	case COMMIT_REPLACED:
		return true;
	case COMMIT_NO_HELPER:
		return !error;
	default:
		return false;
	}
}

static int open_socket(struct commit *commit)
{
	const int bytes = SOCKET_BUFFER, on = 1;
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	socklen_t length = sizeof(address);

	commit->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
	if (commit->fd < 0)
		return -errno;
	if (bind(commit->fd, (struct sockaddr *)&address, length) ||
	    getsockname(commit->fd, (struct sockaddr *)&address, &length) ||
	    setsockopt(commit->fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) ||
	    setsockopt(commit->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) ||
	    /* errors without the request that they answer: the sequence number is enough */
	    setsockopt(commit->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on)))
		return -errno;
	commit->port = address.nl_pid;
	return 0;
}

int commit_open(struct commit **result)
{
	struct commit *commit = calloc(1, sizeof(*commit));
	int error;

	if (!commit)
		return -ENOMEM;
	for (unsigned i = 0; i < ANSWERS; i++) {
		commit->vectors[i] = (struct iovec){.iov_base = commit->answers[i], .iov_len = ANSWER_SIZE};
		commit->headers[i].msg_hdr = (struct msghdr){.msg_iov = &commit->vectors[i], .msg_iovlen = 1};
	}
	error = open_socket(commit);
	if (error) {
		commit_close(commit);
		return error;
	}
	*result = commit;
	return 0;
}

void commit_close(struct commit *commit)
{
	if (!commit)
		return;
	if (commit->fd >= 0)
		close(commit->fd);
	free(commit);
}

size_t commit_ports(const struct commit *commit, uint32_t *ports, size_t max)
{
	if (!max)
		return 0;
	ports[0] = commit->port;
	return 1;
}

static void settle(struct slot *slot, enum commit_result result, int error)
{
	slot->step = STEP_SETTLED;
	slot->result = (uint8_t)result;
	slot->error = error;
}

static bool is_query(const struct slot *slot)
{
	return slot->step == STEP_FIND || slot->step == STEP_FIND_REPLY;
}

/* A round: writing */

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
	if (other_state && flow_progress_compare(&slot->flow, found) > 0)
		return slot->timeout_s;
	return slot->timeout_s > found->timeout_s ? slot->timeout_s : 0;
}

/* What of the wanted flow the found one is to be given: parts, and the status with the bits that it has
 * already. */
static struct flow update_of(const struct slot *slot, const struct flow *found)
{
	const uint32_t keep = FLOW_STATUS_EXPECTED | FLOW_STATUS_SEEN_REPLY | FLOW_STATUS_ASSURED |
			      FLOW_STATUS_FIXED_TIMEOUT | FLOW_STATUS_HELPER | FLOW_STATUS_CONFIRMED;
	struct flow update = slot->flow;

	update.present = FLOW_HAS_STATUS;
	update.status = (found->status & keep) | (slot->flow.status & keep & ~(uint32_t)FLOW_STATUS_EXPECTED);
	if (flow_progress_compare(&slot->flow, found) > 0)
		update.present |= slot->flow.present & (FLOW_HAS_TCP | FLOW_HAS_SCTP | FLOW_HAS_DCCP);
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

static int write_create(struct commit *commit, const struct slot *slot, uint32_t sequence, void *to,
			size_t room)
{
	struct convert_options options = {.tcp_liberal = commit->options.tcp_liberal,
					  .timeout_s = slot->timeout_s};

	return convert_to_message(&slot->flow, CONVERT_FOR_CREATE, &options, IPCTNL_MSG_CT_NEW,
				  NLM_F_CREATE | NLM_F_EXCL, sequence, to, room);
}

static int write_update(struct commit *commit, const struct slot *slot, const struct flow *found,
			uint32_t sequence, void *to, size_t room)
{
	struct convert_options options = {.tcp_liberal = commit->options.tcp_liberal,
					  .timeout_s = update_timeout_s(slot, found)};
	struct flow update = update_of(slot, found);

	return convert_to_message(&update, CONVERT_FOR_UPDATE, &options, IPCTNL_MSG_CT_NEW, 0, sequence, to,
				  room);
}

static int write_step(struct commit *commit, unsigned index, uint8_t *to, size_t room)
{
	const struct slot *slot = &commit->slots[index];
	const struct flow *found = &commit->found[index];
	uint32_t sequence = commit->sequence + index;
	struct flow key;

	switch ((enum step)slot->step) {
	case STEP_CREATE:
		return write_create(commit, slot, sequence, to, room);
	case STEP_UPDATE:
		return write_update(commit, slot, found, sequence, to, room);
	case STEP_FIND:
		return convert_to_message(&slot->flow, CONVERT_FOR_KEY, NULL, IPCTNL_MSG_CT_GET, 0, sequence,
					  to, room);
	case STEP_FIND_REPLY:
		key = reply_key(&slot->flow);
		return convert_to_message(&key, CONVERT_FOR_KEY, NULL, IPCTNL_MSG_CT_GET, 0, sequence, to,
					  room);
	case STEP_REMOVE:
		return convert_to_message(found, CONVERT_FOR_KEY, NULL, IPCTNL_MSG_CT_DELETE, 0, sequence, to,
					  room);
	case STEP_DELETE:
		return convert_to_message(&slot->flow, CONVERT_FOR_KEY, NULL, IPCTNL_MSG_CT_DELETE, 0,
					  sequence, to, room);
	case STEP_SETTLED:
		break;
	}
	return -EINVAL;
}

/* Writes a message for each flow that isn't settled, as far as there is room; the others wait for the next
 * round. Returns the bytes; *last is the slot of the last one. */
static size_t write_round(struct commit *commit, unsigned *last)
{
	size_t length = 0;
	struct nlmsghdr *header = NULL;

	for (unsigned i = 0; i < commit->count; i++) {
		struct slot *slot = &commit->slots[i];
		int written;

		slot->sent = false;
		if (slot->step == STEP_SETTLED || SEND_BUFFER - length < CONVERT_MESSAGE_MAX)
			continue;
		written = write_step(commit, i, commit->messages + length, SEND_BUFFER - length);
		if (written < 0) {
			settle(slot, COMMIT_REFUSED, written);
			continue;
		}
		/* until proven otherwise: a GET is answered, of the others just errors are told */
		slot->error = is_query(slot) ? -ENOBUFS : 0;
		slot->sent = true;
		*last = i;
		header = (struct nlmsghdr *)(commit->messages + length);
		length += (size_t)written;
	}
	if (header)
		header->nlmsg_flags |= NLM_F_ACK;
	return length;
}

/* A round: the answers */

/* True if this was the answer to the last message. */
static bool read_answer(struct commit *commit, const struct nlmsghdr *message, unsigned last)
{
	uint32_t index = message->nlmsg_seq - commit->sequence;
	const struct nlmsgerr *error = NLMSG_DATA(message);
	enum convert_kind kind;
	struct slot *slot;

	if (index >= commit->count || !commit->slots[index].sent)
		return false; /* of an earlier round */
	slot = &commit->slots[index];
	if (message->nlmsg_type != NLMSG_ERROR) {
		slot->error = convert_from_message(message, &commit->found[index], &kind);
		return false;
	}
	if (message->nlmsg_len < NLMSG_LENGTH(sizeof(*error)))
		return false;
	if (error->error)
		slot->error = error->error;
	return index == last;
}

/* Reads what waits, up to the answer to the last message; false: it isn't there, so the kernel did not do
 * all, or answers were lost. */
static bool read_answers(struct commit *commit, unsigned last)
{
	bool complete = false;

	while (!complete) {
		int got = recvmmsg(commit->fd, commit->headers, ANSWERS, MSG_DONTWAIT, NULL);

		if (got < 0) {
			if (errno == EINTR || errno == ENOBUFS)
				continue;
			return false;
		}
		for (int i = 0; i < got; i++) {
			const struct nlmsghdr *message = (const struct nlmsghdr *)commit->answers[i];

			if (NLMSG_OK(message, commit->headers[i].msg_len))
				complete |= read_answer(commit, message, last);
		}
	}
	return true;
}

/* What was sent and not answered is not known: it is sent again, a bounded number of times. */
static void mark_unknown(struct commit *commit)
{
	for (unsigned i = 0; i < commit->count; i++)
		if (commit->slots[i].sent && !commit->slots[i].error && !is_query(&commit->slots[i]))
			commit->slots[i].error = -ENOBUFS;
}

static void exchange(struct commit *commit, size_t length, unsigned last)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t sent;

	do {
		sent = sendto(commit->fd, commit->messages, length, 0, (struct sockaddr *)&kernel,
			      sizeof(kernel));
	} while (sent < 0 && errno == EINTR);
	if (sent < 0 || !read_answers(commit, last))
		mark_unknown(commit);
}

/* A round: deciding */

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
static bool master_may_come(const struct commit *commit, const struct slot *slot)
{
	for (const struct slot *earlier = commit->slots; earlier < slot; earlier++)
		if (earlier->step != STEP_SETTLED &&
		    !memcmp(&earlier->flow.orig, &slot->flow.master, sizeof(slot->flow.master)))
			return true;
	return false;
}

static void advance_create(struct commit *commit, struct slot *slot)
{
	bool has_helper = slot->flow.present & FLOW_HAS_HELPER;
	bool has_master = slot->flow.present & FLOW_HAS_MASTER;
	int error = slot->error;

	if (!error)
		settle(slot,
		       slot->without_helper ? COMMIT_NO_HELPER
		       : slot->replaced     ? COMMIT_REPLACED
					    : COMMIT_CREATED,
		       0);
	else if (error == -EEXIST)
		slot->step = STEP_FIND;
	else if (is_transient(error) && try_again(slot))
		return;
	else if (error == -ENOMEM)
		settle(slot, COMMIT_TABLE_FULL, error);
	else if (error == -ENOENT && has_master) {
		if (!master_may_come(commit, slot))
			settle(slot, COMMIT_NO_MASTER, error);
	} else if (error == -EOPNOTSUPP && has_helper) {
		/* better a flow whose helper is missing than none: no related ones will come, but it lives */
		slot->without_helper = true;
		slot->flow.present &= ~(uint32_t)FLOW_HAS_HELPER;
		slot->flow.status &= ~(uint32_t)FLOW_STATUS_HELPER;
	} else
		settle(slot, COMMIT_REFUSED, error);
}

/* Another flow has one of our tuples. */
static void give_way_or_replace(struct commit *commit, struct slot *slot, const struct flow *found)
{
	if (commit->options.fence_closed || !(found->status & FLOW_STATUS_ASSURED))
		slot->step = STEP_REMOVE;
	else
		settle(slot, COMMIT_CLASH, -EEXIST);
}

static void keep(struct slot *slot, const struct flow *found)
{
	uint8_t incarnation = slot->flow.incarnation;

	slot->flow = *found;
	slot->flow.incarnation = incarnation;
	settle(slot, COMMIT_KEPT, 0);
}

static void bring_forward(struct slot *slot, const struct flow *found)
{
	int ahead = flow_progress_compare(&slot->flow, found);

	if (found->status & (FLOW_STATUS_OFFLOAD | FLOW_STATUS_HW_OFFLOAD) || ahead < 0) {
		keep(slot, found); /* offloaded: it shows neither state nor timeout, and passes packets */
		return;
	}
	if (ahead > 0 || update_timeout_s(slot, found) || mark_differs(&slot->flow, found) ||
	    labels_differ(&slot->flow, found) || lacks(found, &slot->flow, FLOW_HAS_SEQADJ) ||
	    lacks(found, &slot->flow, FLOW_HAS_SYNPROXY))
		slot->step = STEP_UPDATE;
	else
		keep(slot, found);
}

static void advance_find(struct commit *commit, struct slot *slot, const struct flow *found)
{
	if (slot->error == -ENOENT)
		slot->step = STEP_FIND_REPLY;
	else if (slot->error)
		settle(slot, COMMIT_REFUSED, slot->error);
	else if (flow_key_equals(&slot->flow, found) && flow_nat_equals(&slot->flow, found))
		bring_forward(slot, found);
	else
		give_way_or_replace(commit, slot, found);
}

static void advance_find_reply(struct commit *commit, struct slot *slot, const struct flow *found)
{
	if (slot->error == -ENOENT)
		slot->step = STEP_CREATE; /* what was in the way has gone by itself */
	else if (slot->error)
		settle(slot, COMMIT_REFUSED, slot->error);
	else
		give_way_or_replace(commit, slot, found);
}

/* The found flow with what the update changed in it. */
static void finish_update(struct slot *slot, const struct flow *found, bool tcp_liberal)
{
	struct flow update = update_of(slot, found), merged = *found;
	uint32_t timeout_s = update_timeout_s(slot, found);

	flow_merge(&merged, &update);
	for (unsigned i = 0; update.present & FLOW_HAS_TCP && i < 2; i++) { /* an update only sets flags */
		merged.tcp.flags[i] |= found->tcp.flags[i];
		if (tcp_liberal)
			merged.tcp.flags[i] |= FLOW_TCP_FLAG_BE_LIBERAL;
	}
	if (timeout_s)
		merged.timeout_s = timeout_s;
	merged.incarnation = slot->flow.incarnation;
	slot->flow = merged;
	settle(slot, COMMIT_UPDATED, 0);
}

static void advance_update(struct slot *slot, struct flow *found, bool tcp_liberal)
{
	switch (-slot->error) {
	case 0:
		finish_update(slot, found, tcp_liberal);
		break;
	case ENOENT: /* gone meanwhile */
	case ETIME:  /* going */
		slot->step = STEP_CREATE;
		break;
	case EBUSY: /* its status changed meanwhile */
	case EPERM: /* or its timeout was fixed */
		slot->step = STEP_FIND;
		break;
	case ENOSPC: /* no rule here uses labels, so flows have no room for them (nf_connlabels_replace()) */
		slot->flow.present &= ~(uint32_t)FLOW_HAS_LABELS;
		memcpy(slot->flow.labels, found->labels, sizeof(found->labels));
		break;
	default:
		settle(slot, COMMIT_REFUSED, slot->error);
	}
}

static void advance(struct commit *commit, unsigned index)
{
	struct slot *slot = &commit->slots[index];
	struct flow *found = &commit->found[index];

	if (slot->error == -ENOBUFS && try_again(slot))
		return; /* no answer: ask, or do it, again */
	switch ((enum step)slot->step) {
	case STEP_CREATE:
		advance_create(commit, slot);
		break;
	case STEP_FIND:
		advance_find(commit, slot, found);
		break;
	case STEP_FIND_REPLY:
		advance_find_reply(commit, slot, found);
		break;
	case STEP_UPDATE:
		advance_update(slot, found, commit->options.tcp_liberal);
		break;
	case STEP_REMOVE:
		slot->replaced = !slot->error;
		if (!slot->error || slot->error == -ENOENT)
			slot->step = STEP_CREATE;
		else
			settle(slot, COMMIT_REFUSED, slot->error);
		break;
	case STEP_DELETE:
		if (!slot->error)
			settle(slot, COMMIT_CREATED, 0);
		else if (slot->error == -ENOENT)
			settle(slot, COMMIT_KEPT, 0);
		else if (!is_transient(slot->error) || !try_again(slot))
			settle(slot, COMMIT_REFUSED, slot->error);
		break;
	case STEP_SETTLED:
		break;
	}
}

static void run_round(struct commit *commit)
{
	unsigned last = 0;
	size_t length = write_round(commit, &last);

	if (length)
		exchange(commit, length, last);
	for (unsigned i = 0; i < commit->count; i++) {
		struct slot *slot = &commit->slots[i];

		if (slot->step == STEP_SETTLED || !slot->sent)
			continue;
		advance(commit, i);
		if (slot->step != STEP_SETTLED && ++slot->rounds >= ROUNDS_MAX)
			settle(slot, COMMIT_REFUSED, slot->error ? slot->error : -EBUSY);
	}
	commit->sequence += BATCH;
}

static bool is_settled(const struct commit *commit)
{
	for (unsigned i = 0; i < commit->count; i++)
		if (commit->slots[i].step != STEP_SETTLED)
			return false;
	return true;
}

static void run_batch(struct commit *commit, commit_done *done, void *context)
{
	while (!is_settled(commit))
		run_round(commit);
	for (unsigned i = 0; i < commit->count; i++) {
		const struct slot *slot = &commit->slots[i];

		done(context, &slot->flow, (enum commit_result)slot->result, slot->error);
	}
	commit->count = 0;
}

/* The next free slot; its flow is the caller's to set. */
static struct slot *queue(struct commit *commit, enum step step)
{
	struct slot *slot = &commit->slots[commit->count++];

	slot->step = (uint8_t)step;
	slot->rounds = slot->transients = 0;
	slot->replaced = slot->without_helper = slot->sent = false;
	slot->error = 0;
	return slot;
}

void commit_flow(struct commit *commit, const struct flow *flow, uint32_t timeout_s,
		 const struct commit_options *options, commit_done *done, void *context)
{
	const uint32_t local =
	    FLOW_HAS_ID | FLOW_HAS_USE | FLOW_HAS_COUNTERS | FLOW_HAS_TIMESTAMP | FLOW_HAS_SECCTX;
	struct convert_options as_created = {.tcp_liberal = options->tcp_liberal, .timeout_s = timeout_s};
	struct slot *slot;

	commit->options = *options;
	if (!timeout_s) {
		done(context, flow, COMMIT_EXPIRED, 0);
		return;
	}
	slot = queue(commit, STEP_CREATE);
	slot->timeout_s = timeout_s;
	slot->flow = *flow;
	slot->flow.present &= ~local;
	slot->flow.id = 0;
	convert_as_created(&slot->flow, &as_created);
	if (commit->count == BATCH)
		run_batch(commit, done, context);
}

void commit_flush(struct commit *commit, const struct commit_options *options, commit_done *done,
		  void *context)
{
	if (options)
		commit->options = *options;
	run_batch(commit, done, context);
}

void commit_delete(struct commit *commit, const struct flow *key, commit_done *done, void *context)
{
	queue(commit, STEP_DELETE)->flow = *key;
	if (commit->count == BATCH)
		run_batch(commit, done, context);
}

/* The answer to a lone request with this sequence number. */
static int wait_answer(struct commit *commit, uint32_t sequence)
{
	for (;;) {
		const struct nlmsghdr *message = (const struct nlmsghdr *)commit->answers[0];
		ssize_t length = recv(commit->fd, commit->answers[0], ANSWER_SIZE, MSG_DONTWAIT);

		if (length < 0 && (errno == EINTR || errno == ENOBUFS))
			continue;
		if (length < 0)
			return errno == EAGAIN ? -EIO : -errno;
		if (NLMSG_OK(message, (size_t)length) && message->nlmsg_seq == sequence &&
		    message->nlmsg_type == NLMSG_ERROR &&
		    message->nlmsg_len >= NLMSG_LENGTH(sizeof(struct nlmsgerr)))
			return ((const struct nlmsgerr *)NLMSG_DATA(message))->error;
	}
}

int commit_flush_kernel(struct commit *commit)
{
	struct {
		struct nlmsghdr header;
		struct nfgenmsg nfgen;
	} request = {
	    .header = {.nlmsg_len = sizeof(request),
		       .nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
		       .nlmsg_seq = commit->sequence},
	    .nfgen = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0},
	};
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	commit->sequence += BATCH;
	if (sendto(commit->fd, &request, sizeof(request), 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return -errno;
	return wait_answer(commit, request.header.nlmsg_seq);
}
