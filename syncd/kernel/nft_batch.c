/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/kernel/nft_batch.h"

#include <errno.h>
#include <libnftnl/common.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define SOCKET_BUFFER   (4 << 20)
#define BUFFER_MIN      65536
#define MESSAGES_MAX    512
#define ANSWER_SIZE     65536
#define DUMP_ATTEMPTS   5
#define DRAIN_DATAGRAMS 1024

struct nft_batch {
	struct mnl_socket *socket;
	uint8_t *buffer;
	size_t capacity;
	size_t size;             /* of the finished messages */
	struct nlmsghdr *latest; /* the one that the caller is building */
	uint32_t next_sequence;
	uint32_t first_sequence; /* of the message that opens the transaction */
	const char *labels[MESSAGES_MAX];
	size_t message_count;
	int error; /* that made the transaction impossible */
	uint8_t answer[ANSWER_SIZE] __attribute__((aligned(8)));
};

/* Ample buffers: a long address list is one datagram.  Without the capability the default ones carry short
 * lists. */
static void widen(int fd)
{
	int size = SOCKET_BUFFER, on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	(void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
}

int nft_batch_open(struct nft_batch **batch)
{
	struct nft_batch *opened = calloc(1, sizeof(*opened));
	int error = -ENOMEM;

	if (!opened)
		return -ENOMEM;
	opened->next_sequence = 1;
	opened->capacity = BUFFER_MIN;
	opened->buffer = malloc(opened->capacity);
	if (!opened->buffer)
		goto failed;
	opened->socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!opened->socket || mnl_socket_bind(opened->socket, 0, MNL_SOCKET_AUTOPID) < 0) {
		error = -errno;
		goto failed;
	}
	widen(mnl_socket_get_fd(opened->socket));
	*batch = opened;
	return 0;
failed:
	nft_batch_close(opened);
	return error;
}

void nft_batch_close(struct nft_batch *batch)
{
	if (!batch)
		return;
	if (batch->socket)
		mnl_socket_close(batch->socket);
	free(batch->buffer);
	free(batch);
}

uint32_t nft_batch_port(const struct nft_batch *batch)
{
	return mnl_socket_get_portid(batch->socket);
}

static void finish_message(struct nft_batch *batch)
{
	if (batch->latest)
		batch->size += NLMSG_ALIGN((size_t)batch->latest->nlmsg_len);
	batch->latest = NULL;
}

static bool make_room(struct nft_batch *batch)
{
	size_t wanted = batch->capacity;

	while (wanted < batch->size + NFT_MESSAGE_MAX)
		wanted *= 2;
	if (wanted > batch->capacity) {
		uint8_t *wider = realloc(batch->buffer, wanted);

		if (!wider)
			return false;
		batch->buffer = wider;
		batch->capacity = wanted;
	}
	return true;
}

void nft_batch_begin(struct nft_batch *batch)
{
	batch->error = 0;
	batch->size = 0;
	batch->message_count = 0;
	batch->first_sequence = batch->next_sequence++;
	batch->latest = nftnl_batch_begin((char *)batch->buffer, batch->first_sequence);
}

struct nlmsghdr *nft_batch_add(struct nft_batch *batch, uint16_t type, uint16_t flags, const char *label)
{
	finish_message(batch);
	if (batch->message_count == MESSAGES_MAX || !make_room(batch)) {
		batch->error = -ENOMEM;
		return NULL;
	}
	batch->labels[batch->message_count++] = label;
	batch->latest = nftnl_nlmsg_build_hdr((char *)batch->buffer + batch->size, type, NFPROTO_INET, flags,
					      batch->next_sequence++);
	return batch->latest;
}

void nft_batch_fail(struct nft_batch *batch, int error)
{
	batch->error = error;
}

/* Leftovers of an earlier exchange that ended in an error must not be taken for answers. */
static void drain(struct nft_batch *batch)
{
	int fd = mnl_socket_get_fd(batch->socket);

	for (int i = 0; i < DRAIN_DATAGRAMS; i++)
		if (recv(fd, batch->answer, sizeof(batch->answer), MSG_DONTWAIT) < 0 && errno != ENOBUFS)
			return;
}

static int send_out(struct nft_batch *batch, const void *bytes, size_t size)
{
	drain(batch);
	return mnl_socket_sendto(batch->socket, bytes, size) < 0 ? -errno : 0;
}

struct verdict {
	uint32_t first, last; /* the sequence numbers of the transaction */
	uint32_t refused;     /* the message that was refused first */
	int error;
	bool is_answered;
};

static void judge(struct verdict *verdict, const struct nlmsghdr *message)
{
	bool is_ours = message->nlmsg_seq >= verdict->first && message->nlmsg_seq <= verdict->last;

	if (!is_ours || message->nlmsg_type != NLMSG_ERROR ||
	    mnl_nlmsg_get_payload_len(message) < sizeof(struct nlmsgerr))
		return;
	int error = ((const struct nlmsgerr *)mnl_nlmsg_get_payload(message))->error;
	if (error && !verdict->error) {
		verdict->error = error;
		verdict->refused = message->nlmsg_seq;
	}
	if (error || message->nlmsg_seq == verdict->last)
		verdict->is_answered = true;
}

/*
 * nfnetlink works a transaction off, and queues all its answers, before sendto() returns
 * (net/netfilter/nfnetlink.c, nfnetlink_rcv_batch): an empty queue is the end.
 */
static int read_verdict(struct nft_batch *batch, struct verdict *verdict)
{
	int fd = mnl_socket_get_fd(batch->socket);

	for (;;) {
		ssize_t size = recv(fd, batch->answer, sizeof(batch->answer), MSG_DONTWAIT);

		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0 && errno == EAGAIN)
			break;
		if (size < 0)
			return -errno;
		int left = (int)size;
		for (const struct nlmsghdr *message = (const struct nlmsghdr *)batch->answer;
		     mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left))
			judge(verdict, message);
	}
	return verdict->is_answered ? verdict->error : -EIO;
}

int nft_batch_commit(struct nft_batch *batch, const char **refused)
{
	*refused = NULL;
	if (batch->error)
		return batch->error;
	struct verdict verdict = {.first = batch->first_sequence, .last = batch->next_sequence - 1};
	if (batch->latest) /* the last one answers for all: an ACK comes only when every message was taken */
		batch->latest->nlmsg_flags |= NLM_F_ACK;
	finish_message(batch);
	if (!make_room(batch))
		return -ENOMEM;
	batch->latest = nftnl_batch_end((char *)batch->buffer + batch->size, batch->next_sequence++);
	finish_message(batch);
	int error = send_out(batch, batch->buffer, batch->size);
	if (!error)
		error = read_verdict(batch, &verdict);
	if (verdict.refused > verdict.first)
		*refused = batch->labels[verdict.refused - verdict.first - 1];
	return error;
}

static int read_answers(struct nft_batch *batch, uint32_t sequence, mnl_cb_t answer, void *context)
{
	int fd = mnl_socket_get_fd(batch->socket);

	for (;;) {
		ssize_t size = recv(fd, batch->answer, sizeof(batch->answer), MSG_DONTWAIT);

		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			return errno == EAGAIN ? -EIO : -errno;
		int more =
		    mnl_cb_run(batch->answer, (size_t)size, sequence, nft_batch_port(batch), answer, context);
		if (more < 0)
			return -errno;
		if (more == MNL_CB_STOP)
			return 0;
	}
}

/* A dump that a change ran into ends with EINTR (NLM_F_DUMP_INTR); it is asked for again. */
int nft_batch_get(struct nft_batch *batch, uint16_t type, uint16_t flags, nft_build_fn build, mnl_cb_t answer,
		  void *context)
{
	uint8_t buffer[512] __attribute__((aligned(8)));
	int error = -EINTR;

	for (int attempt = 0; attempt < DUMP_ATTEMPTS && error == -EINTR; attempt++) {
		uint32_t sequence = batch->next_sequence++;
		struct nlmsghdr *message =
		    nftnl_nlmsg_build_hdr((char *)buffer, type, NFPROTO_INET,
					  (uint16_t)(flags == NLM_F_DUMP ? NLM_F_DUMP : NLM_F_ACK), sequence);

		build(message, context);
		error = send_out(batch, message, message->nlmsg_len);
		if (!error)
			error = read_answers(batch, sequence, answer, context);
	}
	return error;
}
