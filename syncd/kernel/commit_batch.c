/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/kernel/commit_batch.h"

#include <errno.h>
#include <linux/netlink.h>
#include <unistd.h>

enum {
	SOCKET_BUFFER = 4 * 1024 * 1024, /* holds the answers to a whole batch: less than 2 KiB a flow */
	ROUNDS_MAX = 12, /* whatever others do to the same tuples meanwhile, a flow ends after so many */
};

int commit_wire_open(struct commit_wire *wire)
{
	const int bytes = SOCKET_BUFFER, on = 1;
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	socklen_t length = sizeof(address);

	for (unsigned i = 0; i < WIRE_ANSWERS; i++) {
		wire->vectors[i] = (struct iovec){.iov_base = wire->answers[i], .iov_len = WIRE_ANSWER_SIZE};
		wire->headers[i].msg_hdr = (struct msghdr){.msg_iov = &wire->vectors[i], .msg_iovlen = 1};
	}
	wire->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
	if (wire->fd < 0)
		return -errno;
	if (bind(wire->fd, (struct sockaddr *)&address, length) ||
	    getsockname(wire->fd, (struct sockaddr *)&address, &length) ||
	    setsockopt(wire->fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof(bytes)) ||
	    setsockopt(wire->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) ||
	    /* errors without the request that they answer: the sequence number is enough */
	    setsockopt(wire->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on)))
		return -errno;
	wire->port = address.nl_pid;
	return 0;
}

void commit_wire_close(struct commit_wire *wire)
{
	if (wire->fd >= 0)
		close(wire->fd);
}

/* The answer to a lone request with this sequence number. */
static int wait_answer(struct commit_wire *wire, uint32_t sequence)
{
	for (;;) {
		const struct nlmsghdr *message = (const struct nlmsghdr *)wire->answers[0];
		ssize_t length = recv(wire->fd, wire->answers[0], WIRE_ANSWER_SIZE, MSG_DONTWAIT);

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

int commit_wire_request(struct commit_wire *wire, const struct nlmsghdr *request)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	if (sendto(wire->fd, request, request->nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return -errno;
	return wait_answer(wire, request->nlmsg_seq);
}

struct slot *commit_batch_queue(struct commit_batch *batch, enum step step)
{
	struct slot *slot = &batch->slots[batch->count++];

	slot->step = (uint8_t)step;
	slot->rounds = slot->transients = 0;
	slot->replaced = slot->without_helper = slot->without_master = slot->without_labels = false;
	slot->checked = slot->sent = false;
	slot->error = 0;
	return slot;
}

void commit_batch_write(struct commit_batch *batch)
{
	struct nlmsghdr *header = NULL;

	batch->length = 0;
	for (unsigned i = 0; i < batch->count; i++) {
		struct slot *slot = &batch->slots[i];
		size_t room = BATCH_MESSAGES - batch->length;
		int written;

		slot->sent = false;
		if (slot->step == STEP_SETTLED || room < CONVERT_MESSAGE_MAX)
			continue;
		written = step_write(slot, &batch->found[i], &batch->options, batch->sequence + i,
				     batch->messages + batch->length, room);
		if (written < 0) {
			step_settle(slot, COMMIT_REFUSED, written);
			continue;
		}
		/* until proven otherwise: a GET is answered, of the others just errors are told */
		slot->error = step_is_query(slot) ? -ENOBUFS : 0;
		slot->sent = true;
		batch->last = i;
		header = (struct nlmsghdr *)(batch->messages + batch->length);
		batch->length += (size_t)written;
	}
	if (header)
		header->nlmsg_flags |= NLM_F_ACK;
}

/* True if this was the answer to the last message. */
static bool read_answer(struct commit_batch *batch, const struct nlmsghdr *message)
{
	uint32_t index = message->nlmsg_seq - batch->sequence;
	const struct nlmsgerr *error = NLMSG_DATA(message);
	enum convert_kind kind;
	struct slot *slot;

	if (index >= batch->count || !batch->slots[index].sent)
		return false; /* of an earlier round */
	slot = &batch->slots[index];
	if (message->nlmsg_type != NLMSG_ERROR) {
		slot->error = convert_from_message(message, &batch->found[index], &kind);
		return false;
	}
	if (message->nlmsg_len < NLMSG_LENGTH(sizeof(*error)))
		return false;
	if (error->error)
		slot->error = error->error;
	return index == batch->last;
}

/* Reads what waits, up to the answer to the last message; false: it isn't there, so the kernel did not do
 * all, or answers were lost. */
static bool read_answers(struct commit_batch *batch, struct commit_wire *wire)
{
	bool complete = false;

	while (!complete) {
		int got = recvmmsg(wire->fd, wire->headers, WIRE_ANSWERS, MSG_DONTWAIT, NULL);

		if (got < 0) {
			if (errno == EINTR || errno == ENOBUFS)
				continue;
			return false;
		}
		for (int i = 0; i < got; i++) {
			const struct nlmsghdr *message = (const struct nlmsghdr *)wire->answers[i];

			if (NLMSG_OK(message, wire->headers[i].msg_len))
				complete |= read_answer(batch, message);
		}
	}
	return true;
}

/* What was sent and not answered is not known: it is sent again, a bounded number of times.  Who lacks the
 * right gets one answer for all (nfnetlink_rcv()). */
static void mark_unknown(struct commit_batch *batch)
{
	int error = -ENOBUFS;

	for (unsigned i = 0; i < batch->count; i++)
		if (batch->slots[i].sent && batch->slots[i].error == -EPERM)
			error = -EPERM;
	for (unsigned i = 0; i < batch->count; i++) {
		struct slot *slot = &batch->slots[i];

		if (slot->sent && (!slot->error || slot->error == -ENOBUFS) &&
		    (error == -EPERM || !step_is_query(slot)))
			slot->error = error;
	}
}

static void exchange(struct commit_batch *batch, struct commit_wire *wire)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t sent;

	if (!batch->length)
		return;
	do {
		sent = sendto(wire->fd, batch->messages, batch->length, 0, (struct sockaddr *)&kernel,
			      sizeof(kernel));
	} while (sent < 0 && errno == EINTR);
	if (sent < 0 || !read_answers(batch, wire))
		mark_unknown(batch);
}

static void end_round(struct commit_batch *batch)
{
	for (unsigned i = 0; i < batch->count; i++) {
		struct slot *slot = &batch->slots[i];

		if (slot->step == STEP_SETTLED || !slot->sent)
			continue;
		step_advance(batch->slots, i, &batch->found[i], &batch->options);
		if (slot->step != STEP_SETTLED && ++slot->rounds >= ROUNDS_MAX)
			step_settle(slot, COMMIT_REFUSED, slot->error ? slot->error : -EBUSY);
	}
	batch->sequence += BATCH_FLOWS;
}

static bool is_settled(const struct commit_batch *batch)
{
	for (unsigned i = 0; i < batch->count; i++)
		if (batch->slots[i].step != STEP_SETTLED)
			return false;
	return true;
}

void commit_batch_run(struct commit_batch *batch, struct commit_wire *wire)
{
	exchange(batch, wire);
	end_round(batch);
	while (!is_settled(batch)) {
		commit_batch_write(batch);
		exchange(batch, wire);
		end_round(batch);
	}
	step_settle_labels(batch->slots, batch->count);
}
