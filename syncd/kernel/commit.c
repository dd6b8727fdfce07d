/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/kernel/commit_step.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * A batch goes to the kernel in rounds.  Each round sends one message for each flow that isn't settled, by
 * the step that it is at (commit_step.h), in one send; the kernel carries them out, in order, before send()
 * returns, and its answers wait on the socket then, each with the sequence number of its message.  Only the
 * last asks for an acknowledgement, which proves that the kernel went through all of them.  Nearly always the
 * first round settles all.
 */
enum {
	BATCH = 256,
	AHEAD = 24,
	SEND_BUFFER = 128 * 1024,
	SOCKET_BUFFER = 4 * 1024 * 1024, /* holds the answers to a whole batch: 256 times less than 2 KiB */
	ANSWERS = 64,
	ANSWER_SIZE = 2048,
	ROUNDS_MAX = 12, /* whatever others do to the same tuples meanwhile, a flow ends after so many */
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
	    [COMMIT_NO_LABELS] = "no-labels",
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
	case COMMIT_NO_MASTER:
	case COMMIT_NO_HELPER:
	case COMMIT_NO_LABELS:
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
		written = step_write(slot, &commit->found[i], &commit->options, commit->sequence + i,
				     commit->messages + length, SEND_BUFFER - length);
		if (written < 0) {
			step_settle(slot, COMMIT_REFUSED, written);
			continue;
		}
		/* until proven otherwise: a GET is answered, of the others just errors are told */
		slot->error = step_is_query(slot) ? -ENOBUFS : 0;
		slot->sent = true;
		*last = i;
		header = (struct nlmsghdr *)(commit->messages + length);
		length += (size_t)written;
	}
	if (header)
		header->nlmsg_flags |= NLM_F_ACK;
	return length;
}

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

/* What was sent and not answered is not known: it is sent again, a bounded number of times.  Who lacks the
 * right gets one answer for all (nfnetlink_rcv()). */
static void mark_unknown(struct commit *commit)
{
	int error = -ENOBUFS;

	for (unsigned i = 0; i < commit->count; i++)
		if (commit->slots[i].sent && commit->slots[i].error == -EPERM)
			error = -EPERM;
	for (unsigned i = 0; i < commit->count; i++) {
		struct slot *slot = &commit->slots[i];

		if (slot->sent && (!slot->error || slot->error == -ENOBUFS) &&
		    (error == -EPERM || !step_is_query(slot)))
			slot->error = error;
	}
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
		step_advance(commit->slots, i, &commit->found[i], &commit->options);
		if (slot->step != STEP_SETTLED && ++slot->rounds >= ROUNDS_MAX)
			step_settle(slot, COMMIT_REFUSED, slot->error ? slot->error : -EBUSY);
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

static void tell_ahead(const struct commit *commit, unsigned i, void *context)
{
	if (i < commit->count && commit->options.ahead)
		commit->options.ahead(context, &commit->slots[i].flow);
}

static void run_batch(struct commit *commit, commit_done *done, void *context)
{
	while (!is_settled(commit))
		run_round(commit);
	step_settle_labels(commit->slots, commit->count);
	for (unsigned i = 0; i < AHEAD && i < commit->count; i++)
		tell_ahead(commit, i, context);
	for (unsigned i = 0; i < commit->count; i++) {
		const struct slot *slot = &commit->slots[i];

		tell_ahead(commit, i + AHEAD, context);
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
	slot->replaced = slot->without_helper = slot->without_master = slot->without_labels = false;
	slot->checked = slot->sent = false;
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
	slot = queue(commit, options->existing_only ? STEP_FIND : STEP_CREATE);
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
	commit->options.ahead = NULL; /* another caller's */
	queue(commit, key->present & FLOW_HAS_ID ? STEP_DELETE : STEP_CHECK)->flow = *key;
	if (commit->count == BATCH)
		run_batch(commit, done, context);
}

void commit_refresh(struct commit *commit, const struct flow *flow, uint32_t timeout_s, commit_done *done,
		    void *context)
{
	struct slot *slot = queue(commit, STEP_REFRESH);

	commit->options.ahead = NULL;
	slot->flow = *flow;
	slot->timeout_s = timeout_s;
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
