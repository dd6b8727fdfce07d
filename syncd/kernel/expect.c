/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/kernel/expect.h"
#include "syncd/kernel/attribute.h"
#include "syncd/kernel/convert.h"
#include "syncd/kernel/message.h"

#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* The kernel fills as much of a dump at a time as the largest buffer offered holds, up to 32 KiB. */
enum { BUFFER = 64 * 1024, SOCKET_BUFFER = 256 * 1024 };

struct expect_socket {
	int fd;
	uint32_t port, sequence;
	_Alignas(8) uint8_t bytes[BUFFER];
};

/* ---- reading ---- */

struct reading {
	struct expect *expect;
	bool has_tuple, has_mask, has_master;
};

/* The nested tuple holds what was the source of the original; its direction tells of which side. */
static int read_nat(void *context, const struct attribute *attribute)
{
	struct expect *expect = context;
	struct flow_tuple tuple;
	uint8_t protocol;
	uint32_t direction = 0;
	int error;

	switch (attribute->type) {
	case CTA_EXPECT_NAT_DIR:
		error = attribute_get_u32(attribute, &direction);
		expect->nat_direction = direction != 0;
		return error;
	case CTA_EXPECT_NAT_TUPLE:
		error = convert_read_tuple(attribute, expect->family, &protocol, &tuple);
		memcpy(expect->nat_address, tuple.src, sizeof(tuple.src));
		expect->nat_port = tuple.sport;
		expect->has_nat = !error;
		return error;
	}
	return 0;
}

static int read_mask(struct reading *reading, const struct attribute *attribute)
{
	struct expect *expect = reading->expect;
	struct flow_tuple mask;
	uint8_t protocol;
	int error = convert_read_tuple(attribute, expect->family, &protocol, &mask);

	memcpy(expect->mask_src, mask.src, sizeof(mask.src));
	expect->mask_sport = mask.sport;
	reading->has_mask = !error;
	return error;
}

static int read_small(const struct attribute *attribute, uint8_t *value)
{
	uint32_t number = 0;
	int error = attribute_get_u32(attribute, &number);

	if (!error && number > UINT8_MAX)
		return -EINVAL;
	*value = (uint8_t)number;
	return error;
}

static int read_attribute(void *context, const struct attribute *attribute)
{
	struct reading *reading = context;
	struct expect *expect = reading->expect;

	switch (attribute->type) {
	case CTA_EXPECT_TUPLE:
		reading->has_tuple = true;
		return convert_read_tuple(attribute, expect->family, &expect->protocol, &expect->tuple);
	case CTA_EXPECT_MASK:
		return read_mask(reading, attribute);
	case CTA_EXPECT_MASTER:
		reading->has_master = true;
		return convert_read_tuple(attribute, expect->family, &expect->master_protocol,
					  &expect->master);
	case CTA_EXPECT_TIMEOUT:
		return attribute_get_u32(attribute, &expect->timeout_s);
	case CTA_EXPECT_ID:
		return attribute_get_u32(attribute, &expect->id);
	case CTA_EXPECT_HELP_NAME:
		return attribute_get_string(attribute, expect->helper, sizeof(expect->helper), false);
	case CTA_EXPECT_ZONE:
		return attribute_get_u16(attribute, &expect->zone);
	case CTA_EXPECT_FLAGS:
		return read_small(attribute, &expect->flags);
	case CTA_EXPECT_CLASS:
		return read_small(attribute, &expect->class);
	case CTA_EXPECT_NAT:
		return attribute_walk_nested(attribute, read_nat, expect);
	case CTA_EXPECT_FN:
		return attribute_get_string(attribute, expect->function, sizeof(expect->function), false);
	}
	return 0;
}

int expect_from_message(const struct nlmsghdr *message, struct expect *expect, bool *gone)
{
	const uint8_t *bytes = (const uint8_t *)message;
	const size_t headers = sizeof(struct nlmsghdr) + sizeof(struct nfgenmsg);
	struct reading reading = {.expect = expect};
	unsigned kind = message->nlmsg_type & 0xff;
	int error;

	memset(expect, 0, sizeof(*expect));
	if (message->nlmsg_len < headers || message->nlmsg_type >> 8 != NFNL_SUBSYS_CTNETLINK_EXP ||
	    (kind != IPCTNL_MSG_EXP_NEW && kind != IPCTNL_MSG_EXP_DELETE))
		return -EINVAL;
	*gone = kind == IPCTNL_MSG_EXP_DELETE;
	expect->family = bytes[NLMSG_HDRLEN + offsetof(struct nfgenmsg, nfgen_family)];
	if (expect->family != FLOW_IPV4 && expect->family != FLOW_IPV6)
		return -EPROTONOSUPPORT;
	error = attribute_walk(bytes + headers, message->nlmsg_len - headers, read_attribute, &reading);
	if (error)
		return error;
	return reading.has_tuple && reading.has_mask && reading.has_master ? 0 : -EINVAL;
}

/* ---- writing ---- */

static void put_nat(struct message *message, const struct expect *expect)
{
	uint8_t *nest = nest_begin(message, CTA_EXPECT_NAT);
	struct flow_tuple tuple = {.sport = expect->nat_port};

	memcpy(tuple.src, expect->nat_address, sizeof(tuple.src));
	put_u32(message, CTA_EXPECT_NAT_DIR, expect->nat_direction);
	/* of the master's protocol, as the kernel shows it */
	message_put_tuple(message, CTA_EXPECT_NAT_TUPLE, expect->family, expect->master_protocol, &tuple, 0);
	nest_end(message, nest);
}

static void put_all(struct message *message, const struct expect *expect)
{
	struct flow_tuple mask = {.sport = expect->mask_sport, .dport = 0xffff};

	memcpy(mask.src, expect->mask_src, sizeof(mask.src));
	memset(mask.dst, 0xff, flow_address_size(expect->family));
	message_put_tuple(message, CTA_EXPECT_MASK, expect->family, expect->protocol, &mask, 0);
	message_put_tuple(message, CTA_EXPECT_MASTER, expect->family, expect->master_protocol,
			  &expect->master, 0);
	put_u32(message, CTA_EXPECT_TIMEOUT, expect->timeout_s);
	put_u32(message, CTA_EXPECT_FLAGS, expect->flags);
	put_u32(message, CTA_EXPECT_CLASS, expect->class);
	if (*expect->helper)
		put(message, CTA_EXPECT_HELP_NAME, expect->helper,
		    strnlen(expect->helper, sizeof(expect->helper) - 1) + 1);
	if (*expect->function)
		put(message, CTA_EXPECT_FN, expect->function,
		    strnlen(expect->function, sizeof(expect->function) - 1) + 1);
	if (expect->has_nat)
		put_nat(message, expect);
}

int expect_to_message(const struct expect *expect, uint16_t type, uint16_t flags, uint32_t sequence,
		      void *room, size_t size)
{
	const size_t headers = sizeof(struct nlmsghdr) + sizeof(struct nfgenmsg);
	struct message message = {.start = room, .at = room, .end = (uint8_t *)room + size};
	struct nfgenmsg nfgen = {.nfgen_family = expect->family, .version = NFNETLINK_V0};
	struct nlmsghdr header = {.nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK_EXP << 8 | type),
				  .nlmsg_flags = (uint16_t)(flags | NLM_F_REQUEST),
				  .nlmsg_seq = sequence};

	if (!reserve(&message, headers))
		return -ENOSPC;
	message_put_tuple(&message, CTA_EXPECT_TUPLE, expect->family, expect->protocol, &expect->tuple, 0);
	if (expect->zone)
		put_u16(&message, CTA_EXPECT_ZONE, expect->zone);
	if (type == IPCTNL_MSG_EXP_NEW)
		put_all(&message, expect);
	if (message.full)
		return -ENOSPC;
	header.nlmsg_len = (uint32_t)(message.at - message.start);
	memcpy(message.start, &header, sizeof(header));
	memcpy(message.start + NLMSG_HDRLEN, &nfgen, sizeof(nfgen));
	return (int)header.nlmsg_len;
}

/* ---- the socket ---- */

int expect_open(struct expect_socket **result)
{
	const int bytes = SOCKET_BUFFER, on = 1;
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	socklen_t length = sizeof(address);
	struct expect_socket *opened = calloc(1, sizeof(*opened));
	int error;

	if (!opened)
		return -ENOMEM;
	opened->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
	if (opened->fd >= 0 && !bind(opened->fd, (struct sockaddr *)&address, sizeof(address)) &&
	    !getsockname(opened->fd, (struct sockaddr *)&address, &length) &&
	    !setsockopt(opened->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) &&
	    !setsockopt(opened->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on))) {
		opened->port = address.nl_pid;
		*result = opened;
		return 0;
	}
	error = -errno;
	expect_close(opened);
	return error;
}

void expect_close(struct expect_socket *socket)
{
	if (!socket)
		return;
	if (socket->fd >= 0)
		close(socket->fd);
	free(socket);
}

uint32_t expect_port(const struct expect_socket *socket)
{
	return socket->port;
}

static int transmit(const struct expect_socket *socket, const void *bytes, size_t length)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	ssize_t sent = sendto(socket->fd, bytes, length, 0, (struct sockaddr *)&kernel, sizeof(kernel));

	if (sent < 0)
		return -errno;
	return (size_t)sent == length ? 0 : -EIO;
}

/* What ended it: an acknowledgement (1, *error), a dump's end (1, *error), or nothing yet (0). */
static int read_messages(const struct expect_socket *socket, size_t length, expect_row *row, void *context,
			 int *error)
{
	const struct nlmsghdr *message = (const struct nlmsghdr *)socket->bytes;
	unsigned left = (unsigned)length;

	for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
		struct expect expect;
		bool gone;

		if (message->nlmsg_seq != socket->sequence)
			continue;
		if (message->nlmsg_type == NLMSG_ERROR || message->nlmsg_type == NLMSG_DONE) {
			*error = 0; /* both carry one first, a dump's end none if it was empty */
			if (message->nlmsg_len >= NLMSG_LENGTH(sizeof(*error)))
				memcpy(error, NLMSG_DATA(message), sizeof(*error));
			return 1;
		}
		if (row && !expect_from_message(message, &expect, &gone))
			row(context, &expect);
	}
	return 0;
}

/* The kernel has answered a request before transmit() returned, and fills a dump as it is read: nothing here
 * waits. */
static int receive(struct expect_socket *socket, expect_row *row, void *context)
{
	int error = -EIO;

	for (;;) {
		ssize_t length = recv(socket->fd, socket->bytes, sizeof(socket->bytes), MSG_DONTWAIT);

		if (length < 0 && errno == EINTR)
			continue;
		if (length < 0)
			return errno == EAGAIN ? -EIO : -errno;
		if (read_messages(socket, (size_t)length, row, context, &error))
			return error;
	}
}

int expect_dump(struct expect_socket *socket, expect_row *row, void *context)
{
	struct {
		struct nlmsghdr header;
		struct nfgenmsg nfgen;
	} request = {
	    .header = {.nlmsg_len = sizeof(request),
		       .nlmsg_type = NFNL_SUBSYS_CTNETLINK_EXP << 8 | IPCTNL_MSG_EXP_GET,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		       .nlmsg_seq = ++socket->sequence},
	    .nfgen = {.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0},
	};
	int error = transmit(socket, &request, sizeof(request));

	return error ? error : receive(socket, row, context);
}

static int ask(struct expect_socket *socket, const struct expect *expect, uint16_t type, uint16_t flags)
{
	uint8_t room[EXPECT_MESSAGE_MAX];
	int length = expect_to_message(expect, type, (uint16_t)(flags | NLM_F_ACK), ++socket->sequence, room,
				       sizeof(room));
	int error = length < 0 ? length : transmit(socket, room, (size_t)length);

	return error ? error : receive(socket, NULL, NULL);
}

/*
 * A new one gets the time that its helper's policy gives (nf_ct_expect_insert()), so what it has left is set
 * by a second request, which changes just that (ctnetlink_change_expect()).
 */
int expect_create(struct expect_socket *socket, const struct expect *expect, uint32_t timeout_s)
{
	struct expect wanted = *expect;
	int created, changed;

	wanted.timeout_s = timeout_s;
	created = ask(socket, &wanted, IPCTNL_MSG_EXP_NEW, NLM_F_CREATE | NLM_F_EXCL);
	if (created && created != -EEXIST)
		return created;
	changed = ask(socket, &wanted, IPCTNL_MSG_EXP_NEW, 0);
	return changed ? changed : created;
}

int expect_delete(struct expect_socket *socket, const struct expect *expect)
{
	return ask(socket, expect, IPCTNL_MSG_EXP_DELETE, 0);
}
