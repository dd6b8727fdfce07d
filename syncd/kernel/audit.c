/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/kernel/audit.h"
#include "syncd/kernel/timeouts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	/* The kernel fills as much of a dump at a time as the largest buffer offered so far holds, up to 32
	 * KiB (netlink_dump(), netlink_recvmsg()): about 140 rows. */
	DUMP_BUFFER = 64 * 1024,
	GET_BUFFER = 4096,
	SOCKET_BUFFER = 256 * 1024,
};

struct audit {
	int dump_fd, get_fd;
	uint32_t sequence;
	bool is_dumping;
	bool is_interrupted;
	bool ipv6_follows; /* the dump that runs is the first of two */
	struct audit_filter filter;
	uint32_t dump_sequence;
	long buckets; /* when the dump began */
	audit_row *ahead;
	struct flow flows[AUDIT_AHEAD]; /* read, and not given yet: a ring */
	_Alignas(8) uint8_t get_bytes[GET_BUFFER];
	_Alignas(8) uint8_t dump_bytes[DUMP_BUFFER];
};

static int open_socket(int *fd)
{
	const int bytes = SOCKET_BUFFER, on = 1;
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	int error;

	*fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
	if (*fd < 0)
		return -errno;
	/* short errors: without the request that they answer */
	if (!bind(*fd, (struct sockaddr *)&address, sizeof(address)) &&
	    !setsockopt(*fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) &&
	    !setsockopt(*fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on)))
		return 0;
	error = -errno;
	close(*fd);
	*fd = -1;
	return error;
}

static void close_socket(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

int audit_open(struct audit **result)
{
	struct audit *audit = calloc(1, sizeof(*audit));
	int error;

	if (!audit)
		return -ENOMEM;
	audit->get_fd = -1;
	error = open_socket(&audit->dump_fd);
	if (!error)
		error = open_socket(&audit->get_fd);
	if (error) {
		audit_close(audit);
		return error;
	}
	*result = audit;
	return 0;
}

void audit_close(struct audit *audit)
{
	if (!audit)
		return;
	close_socket(&audit->dump_fd);
	close_socket(&audit->get_fd);
	free(audit);
}

void audit_tell_ahead(struct audit *audit, audit_row *ahead)
{
	audit->ahead = ahead;
}

int audit_fd(const struct audit *audit)
{
	return audit->dump_fd;
}

static int transmit(int fd, const void *bytes, size_t length)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t sent = sendto(fd, bytes, length, 0, (struct sockaddr *)&kernel, sizeof(kernel));

	if (sent < 0)
		return -errno;
	return (size_t)sent == length ? 0 : -EIO;
}

/* The tuple of which CTA_FILTER says that only its protocol is meant. */
static void put_protocol(struct nlmsghdr *request, uint8_t protocol)
{
	const uint32_t by_protocol = 1 << 3; /* ctnetlink_parse_filter(): CTA_FILTER_F_CTA_PROTO_NUM */
	struct nlattr *nest = mnl_attr_nest_start(request, CTA_TUPLE_ORIG);
	struct nlattr *part = mnl_attr_nest_start(request, CTA_TUPLE_PROTO);

	mnl_attr_put_u8(request, CTA_PROTO_NUM, protocol);
	mnl_attr_nest_end(request, part);
	mnl_attr_nest_end(request, nest);
	nest = mnl_attr_nest_start(request, CTA_FILTER);
	mnl_attr_put_u32(request, CTA_FILTER_ORIG_FLAGS, by_protocol);
	mnl_attr_put_u32(request, CTA_FILTER_REPLY_FLAGS, 0);
	mnl_attr_nest_end(request, nest);
}

static void put_filter(struct nlmsghdr *request, const struct audit_filter *filter)
{
	if (filter->by_mark) {
		mnl_attr_put_u32(request, CTA_MARK, htonl(filter->mark));
		mnl_attr_put_u32(request, CTA_MARK_MASK, htonl(filter->mark_mask));
	}
	if (filter->by_protocol)
		put_protocol(request, filter->protocol);
}

static int send_request(struct audit *audit, uint8_t family, const struct audit_filter *filter)
{
	_Alignas(8) uint8_t room[256];
	struct nlmsghdr *request = mnl_nlmsg_put_header(room);
	struct nfgenmsg *nfgen = mnl_nlmsg_put_extra_header(request, sizeof(*nfgen));

	request->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET;
	request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	request->nlmsg_seq = audit->dump_sequence = ++audit->sequence;
	*nfgen = (struct nfgenmsg){.nfgen_family = family, .version = NFNETLINK_V0};
	put_filter(request, filter);
	return transmit(audit->dump_fd, request, request->nlmsg_len);
}

static uint8_t first_family(const struct audit *audit)
{
	if (audit->ipv6_follows || audit->filter.family == FLOW_IPV4)
		return AF_INET;
	return audit->filter.family == FLOW_IPV6 ? AF_INET6 : AF_UNSPEC;
}

int audit_dump_start(struct audit *audit, const struct audit_filter *filter)
{
	int error = 0;

	if (audit->is_dumping)
		return -EBUSY;
	if (audit->dump_fd < 0)
		error = open_socket(&audit->dump_fd);
	if (error)
		return error;
	audit->is_interrupted = false;
	audit->filter = filter ? *filter : (struct audit_filter){0};
	audit->ipv6_follows = audit->filter.by_protocol && !audit->filter.family;
	audit->buckets = limit_read(LIMIT_BUCKETS);
	error = send_request(audit, first_family(audit), &audit->filter);
	audit->is_dumping = !error;
	return error;
}

/* Ends the dump for good: what the kernel still has queued for it must not meet the next one. */
void audit_dump_cancel(struct audit *audit)
{
	if (!audit->is_dumping)
		return;
	audit->is_dumping = false;
	close_socket(&audit->dump_fd);
}

static int finish(struct audit *audit)
{
	int error = audit->ipv6_follows ? send_request(audit, AF_INET6, &audit->filter) : 0;

	if (audit->ipv6_follows && !error) {
		audit->ipv6_follows = false;
		return AUDIT_MORE;
	}
	audit->is_dumping = false;
	if (error)
		return error;
	if (audit->buckets != limit_read(LIMIT_BUCKETS))
		audit->is_interrupted = true;
	return audit->is_interrupted ? AUDIT_INTERRUPTED : AUDIT_DONE;
}

static int error_of(const struct nlmsghdr *message)
{
	const struct nlmsgerr *error = NLMSG_DATA(message);

	return message->nlmsg_len < NLMSG_LENGTH(sizeof(*error)) ? -EBADMSG : error->error;
}

/* NLMSG_DONE carries the error that ended the dump, or 0. */
static int done_error(const struct nlmsghdr *message)
{
	int error = 0;

	if (message->nlmsg_len >= NLMSG_LENGTH(sizeof(error)))
		memcpy(&error, NLMSG_DATA(message), sizeof(error));
	return error < 0 ? error : 0;
}

/* What the last message says: AUDIT_DONE, or the error that ended the dump. */
static int end_of(const struct nlmsghdr *message)
{
	int error = message->nlmsg_type == NLMSG_ERROR ? error_of(message) : done_error(message);

	return error || message->nlmsg_type == NLMSG_ERROR ? error : AUDIT_DONE;
}

/* One buffer of a dump: AUDIT_MORE, AUDIT_DONE, or the error that ended it.  Counts the rows. */
static int read_rows(struct audit *audit, size_t length, unsigned *rows, audit_row *row, void *context)
{
	const struct nlmsghdr *message = (const struct nlmsghdr *)audit->dump_bytes;
	unsigned left = (unsigned)length, given = 0, read = 0;
	int progress = AUDIT_MORE;

	for (; progress == AUDIT_MORE && NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
		struct flow *flow = &audit->flows[read % AUDIT_AHEAD];
		enum convert_kind kind;

		if (message->nlmsg_seq != audit->dump_sequence)
			continue;
		if (message->nlmsg_flags & NLM_F_DUMP_INTR)
			audit->is_interrupted = true;
		if (message->nlmsg_type == NLMSG_ERROR || message->nlmsg_type == NLMSG_DONE) {
			progress = end_of(message);
			continue;
		}
		(*rows)++;
		if (read - given == AUDIT_AHEAD)
			row(context, &audit->flows[given++ % AUDIT_AHEAD]);
		if (convert_from_message(message, flow, &kind))
			continue;
		read++;
		if (audit->ahead)
			audit->ahead(context, flow);
	}
	while (given < read)
		row(context, &audit->flows[given++ % AUDIT_AHEAD]);
	return progress;
}

int audit_dump_read(struct audit *audit, unsigned rows, audit_row *row, void *context)
{
	unsigned done = 0;

	if (!audit->is_dumping)
		return AUDIT_IDLE;
	while (done < rows) {
		ssize_t length = recv(audit->dump_fd, audit->dump_bytes, sizeof(audit->dump_bytes),
				      MSG_DONTWAIT | MSG_TRUNC);
		int progress;

		if (length < 0 && (errno == EAGAIN || errno == EINTR))
			return AUDIT_MORE;
		progress = length < 0 ? -errno
			   : (size_t)length > sizeof(audit->dump_bytes)
			       ? -EMSGSIZE
			       : read_rows(audit, (size_t)length, &done, row, context);
		if (progress == AUDIT_DONE)
			return finish(audit);
		if (progress < 0) {
			audit_dump_cancel(audit);
			return progress;
		}
	}
	return AUDIT_MORE;
}

/* The answer to the GET in the bytes, or -EAGAIN: it is none (of an earlier request). */
static int read_answer(const struct nlmsghdr *message, unsigned left, uint32_t sequence, struct flow *flow)
{
	enum convert_kind kind;

	for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
		if (message->nlmsg_seq != sequence)
			continue;
		if (message->nlmsg_type == NLMSG_ERROR)
			return error_of(message);
		return convert_from_message(message, flow, &kind);
	}
	return -EAGAIN;
}

int audit_get(struct audit *audit, const struct flow *key, struct flow *flow)
{
	uint32_t sequence = ++audit->sequence;
	int error = convert_to_message(key, CONVERT_FOR_KEY, NULL, IPCTNL_MSG_CT_GET, 0, sequence,
				       audit->get_bytes, sizeof(audit->get_bytes));

	if (error < 0)
		return error;
	error = transmit(audit->get_fd, audit->get_bytes, (size_t)error);
	if (error)
		return error;
	do { /* the kernel has answered before transmit() returned; answers to earlier requests are passed
		over */
		ssize_t length =
		    recv(audit->get_fd, audit->get_bytes, sizeof(audit->get_bytes), MSG_DONTWAIT);

		if (length < 0 && errno != EINTR)
			return errno == EAGAIN ? -EIO : -errno;
		error = length < 0 ? -EAGAIN
				   : read_answer((const struct nlmsghdr *)audit->get_bytes, (unsigned)length,
						 sequence, flow);
	} while (error == -EAGAIN);
	/* the kernel looks among the tuples of both directions (nf_conntrack_find_get()) */
	if (!error && !flow_key_equals(key, flow))
		return -ENOENT;
	return error;
}
