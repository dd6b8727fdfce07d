/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/kernel/address.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "syncd/kernel/address_set.h"

/* linux/if_addr.h has these since 5.18; older headers must build the same program */
#define ADDRESS_IFA_PROTO      11
#define ADDRESS_FROM_KERNEL_LO 1
#define ADDRESS_FROM_KERNEL_RA 2
#define ADDRESS_FROM_KERNEL_LL 3

#define LIFETIME_INFINITE UINT32_MAX
#define READ_DATAGRAMS    64    /* a call of address_watch_read(): others wait for their turn */
#define DUMP_ATTEMPTS     8     /* a dump that changes ran into is repeated, but not for ever */
#define QUEUE_DATAGRAMS   16384 /* more than the receive buffer holds */
#define RECEIVE_BUFFER    (1 << 20)
#define DATAGRAM_SIZE                                                                                        \
	32768 /* what rtnetlink fills at most: NLMSG_GOODSIZE, or the reader's buffer up to 32 KiB */

struct address_watch {
	struct mnl_socket *socket;
	struct address_set *set;
	address_change_fn changed;
	void *context;
	uint64_t generation;
	uint64_t resyncs;
	uint64_t overflow;
	unsigned int sequence;
	unsigned int change_count; /* within the running call */
	unsigned int event_count;  /* events that ran into the running dump */
	bool is_silent;            /* no callbacks: the first dump */
	bool needs_dump;
	bool is_dump_done;
	bool is_dump_torn; /* NLM_F_DUMP_INTR */
	int dump_error;
	uint8_t datagram[DATAGRAM_SIZE];
};

static void report(struct address_watch *watch, enum address_change change, const struct address *address)
{
	watch->change_count++;
	if (change != ADDRESS_ALTERED)
		watch->generation++;
	if (watch->changed && !watch->is_silent)
		watch->changed(watch->context, change, address);
}

static void take_in(struct address_watch *watch, const struct address *address)
{
	switch (address_set_put(watch->set, address)) {
	case ADDRESS_PUT_NEW:
		report(watch, ADDRESS_ADDED, address);
		break;
	case ADDRESS_PUT_ALTERED:
		report(watch, ADDRESS_ALTERED, address);
		break;
	case ADDRESS_PUT_SAME:
		break;
	case -ENOSPC:
		watch->overflow++;
		break;
	default: /* no memory: have it again later */
		watch->needs_dump = true;
	}
}

static void take_out(struct address_watch *watch, const struct address *address)
{
	if (address_set_remove(watch->set, address))
		report(watch, ADDRESS_REMOVED, address);
}

/*
 * IPv4 always sends IFA_LOCAL (own) and IFA_ADDRESS (the other end, or the same); IPv6 sends IFA_LOCAL only
 * when there is another end (net/ipv6/addrconf.c, inet6_fill_ifaddr).
 */
static int copy_address(uint8_t *to, const struct nlattr *attribute, uint8_t family)
{
	uint16_t size = family == AF_INET ? 4 : 16;

	if (mnl_attr_get_payload_len(attribute) != size)
		return MNL_CB_ERROR;
	memcpy(to, mnl_attr_get_payload(attribute), size);
	return MNL_CB_OK;
}

struct parsed {
	struct address address;
	bool has_local;
	bool has_remote;
};

static int parse_attribute(const struct nlattr *attribute, void *context)
{
	struct parsed *parsed = context;
	struct address *address = &parsed->address;
	const struct ifa_cacheinfo *cache = mnl_attr_get_payload(attribute);

	switch (mnl_attr_get_type(attribute)) {
	case IFA_LOCAL:
		parsed->has_local = true;
		return copy_address(address->prefix.bytes, attribute, address->prefix.family);
	case IFA_ADDRESS:
		parsed->has_remote = true;
		return copy_address(address->remote, attribute, address->prefix.family);
	case IFA_FLAGS:
		if (mnl_attr_validate(attribute, MNL_TYPE_U32) < 0)
			return MNL_CB_ERROR;
		address->flags = mnl_attr_get_u32(attribute);
		return MNL_CB_OK;
	case IFA_CACHEINFO:
		if (mnl_attr_get_payload_len(attribute) < sizeof(*cache))
			return MNL_CB_ERROR;
		address->is_finite = cache->ifa_valid != LIFETIME_INFINITE;
		return MNL_CB_OK;
	case ADDRESS_IFA_PROTO:
		if (mnl_attr_validate(attribute, MNL_TYPE_U8) < 0)
			return MNL_CB_ERROR;
		address->protocol = mnl_attr_get_u8(attribute);
		return MNL_CB_OK;
	default:
		return MNL_CB_OK;
	}
}

/* Returns 0, -EBADMSG, or -EAFNOSUPPORT for what is neither IPv4 nor IPv6. */
static int parse(const struct nlmsghdr *message, struct address *address)
{
	if (mnl_nlmsg_get_payload_len(message) < sizeof(struct ifaddrmsg))
		return -EBADMSG;
	const struct ifaddrmsg *header = mnl_nlmsg_get_payload(message);
	struct parsed parsed = {
	    .address = {.prefix = {.family = header->ifa_family, .length = header->ifa_prefixlen},
			.ifindex = header->ifa_index,
			.flags = header->ifa_flags}};

	if (header->ifa_family != AF_INET && header->ifa_family != AF_INET6)
		return -EAFNOSUPPORT;
	if (mnl_attr_parse(message, sizeof(*header), parse_attribute, &parsed) != MNL_CB_OK)
		return -EBADMSG;
	if (!parsed.has_local && !parsed.has_remote)
		return -EBADMSG;
	*address = parsed.address;
	if (!parsed.has_local)
		memcpy(address->prefix.bytes, address->remote, sizeof(address->remote));
	if (!parsed.has_remote)
		memcpy(address->remote, address->prefix.bytes, sizeof(address->remote));
	return 0;
}

static void take_control_message(struct address_watch *watch, const struct nlmsghdr *message)
{
	if (message->nlmsg_seq != watch->sequence)
		return;
	if (message->nlmsg_type == NLMSG_ERROR &&
	    mnl_nlmsg_get_payload_len(message) >= sizeof(struct nlmsgerr))
		watch->dump_error = ((const struct nlmsgerr *)mnl_nlmsg_get_payload(message))->error;
	if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR)
		watch->is_dump_done = true;
	if (message->nlmsg_flags & NLM_F_DUMP_INTR)
		watch->is_dump_torn = true;
}

/* Rows of a dump that was given up bear an old sequence number; events bear none of ours. */
static void take_address_message(struct address_watch *watch, const struct nlmsghdr *message)
{
	bool is_row = message->nlmsg_flags & NLM_F_MULTI;
	struct address address;

	if (is_row && message->nlmsg_seq != watch->sequence)
		return;
	if (message->nlmsg_flags & NLM_F_DUMP_INTR)
		watch->is_dump_torn = true;
	if (!is_row)
		watch->event_count++;
	if (parse(message, &address) < 0)
		return;
	if (message->nlmsg_type == RTM_NEWADDR)
		take_in(watch, &address);
	else
		take_out(watch, &address);
}

/* Returns 1 when a datagram was taken in, 0 when none is waiting, or a negative errno. */
static int take_datagram(struct address_watch *watch)
{
	struct sockaddr_nl from = {0};
	socklen_t from_size = sizeof(from);
	ssize_t size = recvfrom(mnl_socket_get_fd(watch->socket), watch->datagram, sizeof(watch->datagram),
				MSG_DONTWAIT, (struct sockaddr *)&from, &from_size);

	if (size < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (from.nl_pid != 0) /* any program may send to our port; only the kernel is believed */
		return 1;
	int left = (int)size;
	for (const struct nlmsghdr *message = (const struct nlmsghdr *)watch->datagram;
	     mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
		if (message->nlmsg_type == RTM_NEWADDR || message->nlmsg_type == RTM_DELADDR)
			take_address_message(watch, message);
		else
			take_control_message(watch, message);
	}
	return 1;
}

static int request_dump(struct address_watch *watch)
{
	uint8_t buffer[64] __attribute__((aligned(8))) = {0};
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);

	message->nlmsg_type = RTM_GETADDR;
	message->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	message->nlmsg_seq = ++watch->sequence;
	mnl_nlmsg_put_extra_header(message, sizeof(struct ifaddrmsg)); /* family 0: both */
	watch->is_dump_done = false;
	watch->is_dump_torn = false;
	watch->dump_error = 0;
	watch->event_count = 0;
	if (mnl_socket_sendto(watch->socket, message, message->nlmsg_len) < 0)
		return -errno;
	return 0;
}

/* The kernel fills the queue within our own system calls, so an empty queue before the end is an error. */
static int finish_dump(struct address_watch *watch)
{
	while (!watch->is_dump_done) {
		int taken = take_datagram(watch);

		if (taken < 0)
			return taken;
		if (taken == 0)
			return -EIO;
	}
	return watch->dump_error;
}

/* A full queue takes no dump (net/netlink/af_netlink.c, netlink_dump): the events in it come first. */
static void empty_queue(struct address_watch *watch)
{
	for (int i = 0; i < QUEUE_DATAGRAMS; i++) {
		int taken = take_datagram(watch);

		if (taken == 0 || (taken < 0 && taken != -ENOBUFS))
			return;
	}
}

/*
 * A row of the dump may be older than an event that overtook it in the queue, and would bring back what the
 * event removed.  So a dump counts only when no event ran into it; then what it did not name is gone.
 */
static int dump_until_quiet(struct address_watch *watch)
{
	for (int attempt = 0; attempt < DUMP_ATTEMPTS; attempt++) {
		empty_queue(watch);
		address_set_unmark(watch->set);
		int error = request_dump(watch);

		if (!error)
			error = finish_dump(watch);
		if (error == -EBUSY ||
		    error == -ENOBUFS) /* an unfinished dump, or more events lost: once more */
			continue;
		if (error)
			return error;
		if (watch->event_count == 0 && !watch->is_dump_torn)
			return 0;
	}
	return -EAGAIN;
}

static int resync(struct address_watch *watch)
{
	struct address gone;

	watch->needs_dump = true;
	int error = dump_until_quiet(watch);
	if (error)
		return error;
	watch->needs_dump = false;
	while (address_set_take_unseen(watch->set, &gone))
		report(watch, ADDRESS_REMOVED, &gone);
	return 0;
}

int address_watch_read(struct address_watch *watch)
{
	watch->change_count = 0;
	for (int i = 0; i < READ_DATAGRAMS && !watch->needs_dump; i++) {
		int taken = take_datagram(watch);

		if (taken == 0)
			return (int)watch->change_count;
		if (taken == -ENOBUFS) {
			watch->resyncs++;
			watch->needs_dump = true;
		} else if (taken < 0) {
			return taken;
		}
	}
	if (watch->needs_dump) {
		int error = resync(watch);

		if (error &&
		    error !=
			-EAGAIN) /* changes faster than dumps: what came in holds, the next call goes on */
			return error;
	}
	return (int)watch->change_count;
}

static int subscribe(struct address_watch *watch)
{
	watch->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!watch->socket)
		return -errno;
	int size = RECEIVE_BUFFER;
	int fd = mnl_socket_get_fd(watch->socket);
	/* a smaller buffer only means that events are lost sooner, which is noticed and repaired */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (mnl_socket_bind(watch->socket, RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	watch->is_silent = true;
	int error = resync(watch);
	watch->is_silent = false;
	return error;
}

int address_watch_open(struct address_watch **watch, address_change_fn changed, void *context)
{
	struct address_watch *opened = calloc(1, sizeof(*opened));

	if (!opened)
		return -ENOMEM;
	opened->changed = changed;
	opened->context = context;
	opened->set = address_set_new();
	int error = opened->set ? subscribe(opened) : -ENOMEM;
	if (error) {
		address_watch_close(opened);
		return error;
	}
	*watch = opened;
	return 0;
}

void address_watch_close(struct address_watch *watch)
{
	if (!watch)
		return;
	if (watch->socket)
		mnl_socket_close(watch->socket);
	address_set_free(watch->set);
	free(watch);
}

int address_watch_fd(const struct address_watch *watch)
{
	return mnl_socket_get_fd(watch->socket);
}

const struct address_set *address_watch_set(const struct address_watch *watch)
{
	return watch->set;
}

uint64_t address_watch_generation(const struct address_watch *watch)
{
	return watch->generation;
}

uint64_t address_watch_resyncs(const struct address_watch *watch)
{
	return watch->resyncs;
}

uint64_t address_watch_overflow(const struct address_watch *watch)
{
	return watch->overflow;
}

bool address_may_be_virtual(const struct address *address)
{
	const uint8_t *bytes = address->prefix.bytes;
	bool is_link_local =
	    address->prefix.family == AF_INET6 && bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;

	if (address->is_finite)
		return false;
	switch (address->protocol) {
	case ADDRESS_FROM_KERNEL_LO:
	case ADDRESS_FROM_KERNEL_RA:
	case ADDRESS_FROM_KERNEL_LL:
		return false;
	case 0:
		return !is_link_local;
	default:
		return true;
	}
}
