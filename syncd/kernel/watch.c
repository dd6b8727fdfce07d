/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/kernel/watch.h"
#include "syncd/kernel/event_filter.h"

#include <errno.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * One event is one datagram of about 200 bytes, at most about 700 with all attributes but the security
 * context (ctnetlink_nlmsg_size()); 2 KiB leaves room for that.  64 of them a system call bring its share of
 * an event below 20 ns, and the lines touched stay in the second-level cache.
 */
enum { BATCH = 64, DATAGRAM = 2048 };

struct watch {
	int fd;
	watch_expect *expect;
	uint32_t own_ports[WATCH_OWN_PORTS_MAX];
	size_t own_ports_count;
	bool is_congested;   /* events were lost, and are until the queue is empty */
	size_t asked, limit; /* bytes of buffer asked for, and up to what it may grow */
	struct watch_statistics statistics;
	struct mmsghdr headers[BATCH];
	struct iovec slots[BATCH];
	_Alignas(8) uint8_t datagrams[BATCH][DATAGRAM];
};

static int set_buffer(struct watch *watch, size_t size)
{
	int bytes = size > INT32_MAX / 2 ? INT32_MAX / 2 : (int)size;
	int granted = 0;
	socklen_t length = sizeof(granted);

	if (setsockopt(watch->fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		return -errno;
	if (getsockopt(watch->fd, SOL_SOCKET, SO_RCVBUF, &granted, &length))
		return -errno;
	watch->asked = (size_t)bytes;
	watch->statistics.buffer = (size_t)granted;
	return 0;
}

static int attach(struct watch *watch, const struct event_filter *filter)
{
	struct sock_filter *code = calloc(EVENT_FILTER_CODE_MAX, sizeof(*code));
	struct sock_fprog program = {.filter = code};
	int error = 0;

	if (!code)
		return -ENOMEM;
	program.len =
	    (unsigned short)event_filter_build(filter, watch->own_ports, watch->own_ports_count, code);
	if (setsockopt(watch->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)))
		error = -errno;
	free(code);
	return error;
}

int watch_set_filter(struct watch *watch, const struct event_filter *filter)
{
	static const struct event_filter nothing;
	struct event_filter shorter = *filter;
	int error = attach(watch, filter);

	if (!error)
		return 0;
	/* long programs may not fit (net.core.optmem_max) */
	shorter.accept.prefix_count = shorter.ignore.prefix_count = 0;
	if (!attach(watch, &shorter))
		return 0;
	(void)attach(watch, &nothing);
	return error;
}

static int join(struct watch *watch)
{
	const int groups[] = {NFNLGRP_CONNTRACK_NEW,        NFNLGRP_CONNTRACK_UPDATE,
			      NFNLGRP_CONNTRACK_DESTROY,    NFNLGRP_CONNTRACK_EXP_NEW,
			      NFNLGRP_CONNTRACK_EXP_UPDATE, NFNLGRP_CONNTRACK_EXP_DESTROY};
	const size_t count = watch->expect ? 6 : 3;

	for (size_t i = 0; i < count; i++)
		if (setsockopt(watch->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i], sizeof(groups[i])))
			return -errno;
	return 0;
}

/* The filter comes before the groups, so that no event slips past it. */
static int subscribe(struct watch *watch, const struct watch_options *options)
{
	static const struct event_filter nothing;
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	int error;

	watch->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
	if (watch->fd < 0)
		return -errno;
	if (bind(watch->fd, (struct sockaddr *)&address, sizeof(address)))
		return -errno;
	error = set_buffer(watch, options->buffer);
	if (!error)
		error = attach(watch, &nothing);
	if (!error)
		error = join(watch);
	return error;
}

int watch_open(struct watch **result, const struct watch_options *options)
{
	struct watch *watch;
	int error;

	if (options->own_ports_count > WATCH_OWN_PORTS_MAX)
		return -EINVAL;
	watch = calloc(1, sizeof(*watch));
	if (!watch)
		return -ENOMEM;
	watch->limit = options->buffer_max;
	watch->expect = options->expect;
	watch->own_ports_count = options->own_ports_count;
	memcpy(watch->own_ports, options->own_ports, sizeof(watch->own_ports));
	for (unsigned i = 0; i < BATCH; i++) {
		watch->slots[i] = (struct iovec){.iov_base = watch->datagrams[i], .iov_len = DATAGRAM};
		watch->headers[i].msg_hdr = (struct msghdr){.msg_iov = &watch->slots[i], .msg_iovlen = 1};
	}
	error = subscribe(watch, options);
	if (error) {
		watch_close(watch);
		return error;
	}
	*result = watch;
	return 0;
}

void watch_close(struct watch *watch)
{
	if (!watch)
		return;
	if (watch->fd >= 0)
		close(watch->fd);
	free(watch);
}

int watch_fd(const struct watch *watch)
{
	return watch->fd;
}

static void read_expect(struct watch *watch, const struct nlmsghdr *message, void *context)
{
	struct expect expect;
	bool gone;
	int error = expect_from_message(message, &expect, &gone);

	if (error == -EPROTONOSUPPORT)
		return;
	if (error) {
		watch->statistics.malformed++;
		return;
	}
	watch->statistics.expects++;
	watch->expect(context, &expect, gone);
}

static void read_message(struct watch *watch, const struct nlmsghdr *message, watch_event *event,
			 void *context)
{
	struct flow flow;
	enum convert_kind kind;
	int error;

	if (watch->expect && message->nlmsg_type >> 8 == NFNL_SUBSYS_CTNETLINK_EXP) {
		read_expect(watch, message, context);
		return;
	}
	error = convert_from_message(message, &flow, &kind);
	if (error == -EPROTONOSUPPORT)
		return; /* bridges track other families too: not ours to keep */
	if (error) {
		watch->statistics.malformed++;
		return;
	}
	watch->statistics.events[kind]++;
	event(context, kind, &flow);
}

static void read_datagram(struct watch *watch, unsigned slot, watch_event *event, void *context)
{
	const struct nlmsghdr *message = (const struct nlmsghdr *)watch->datagrams[slot];
	unsigned left = watch->headers[slot].msg_len;

	if (watch->headers[slot].msg_hdr.msg_flags & MSG_TRUNC) {
		watch->statistics.malformed++;
		return;
	}
	for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left))
		read_message(watch, message, event, context);
}

/* The kernel drops every event from the overrun on until the queue is empty (netlink_overrun(),
 * netlink_rcv_wake()). */
static int note_overrun(struct watch *watch)
{
	size_t doubled = watch->asked * 2;

	watch->statistics.overruns++;
	watch->is_congested = !watch_is_drained(watch);
	if (doubled > watch->limit)
		doubled = watch->limit;
	if (doubled > watch->asked)
		(void)set_buffer(
		    watch, doubled); /* if refused, the old size stays, and the overrun is told anyway */
	return -ENOBUFS;
}

/* Told even when the budget ends with the queue: nothing may ever wake the caller again. */
static bool congestion_ends(struct watch *watch)
{
	if (!watch->is_congested || !watch_is_drained(watch))
		return false;
	watch->is_congested = false;
	return true;
}

int watch_read(struct watch *watch, unsigned budget, watch_event *event, void *context)
{
	unsigned done = 0;

	while (done < budget) {
		unsigned want = budget - done < BATCH ? budget - done : BATCH;
		int got = recvmmsg(watch->fd, watch->headers, want, MSG_DONTWAIT, NULL);

		if (got < 0) {
			if (errno == EINTR)
				continue;
			if (errno == EAGAIN)
				break;
			return errno == ENOBUFS ? note_overrun(watch) : -errno;
		}
		for (unsigned i = 0; i < (unsigned)got; i++)
			read_datagram(watch, i, event, context);
		done += (unsigned)got;
		if ((unsigned)got < want)
			break; /* drained, or an error that the next call will be told */
	}
	return congestion_ends(watch) ? -ENOBUFS : (int)done;
}

bool watch_is_congested(const struct watch *watch)
{
	return watch->is_congested;
}

bool watch_is_drained(const struct watch *watch)
{
	struct pollfd entry = {.fd = watch->fd, .events = POLLIN};

	return poll(&entry, 1, 0) == 0;
}

int watch_want_new(struct watch *watch, bool wanted)
{
	const int group = NFNLGRP_CONNTRACK_NEW;
	int option = wanted ? NETLINK_ADD_MEMBERSHIP : NETLINK_DROP_MEMBERSHIP;

	return setsockopt(watch->fd, SOL_NETLINK, option, &group, sizeof(group)) ? -errno : 0;
}

int watch_set_buffer(struct watch *watch, size_t buffer, size_t buffer_max)
{
	watch->limit = buffer_max;
	return set_buffer(watch, buffer);
}

const struct watch_statistics *watch_statistics(const struct watch *watch)
{
	return &watch->statistics;
}
