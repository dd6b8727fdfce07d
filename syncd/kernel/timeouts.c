/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/kernel/timeouts.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SCTP_STATES = 9, DCCP_STATES = 8 };

struct timeouts {
	uint32_t tcp[FLOW_TCP_STATES];
	uint32_t udp, udp_stream;
	uint32_t icmp, icmpv6;
	uint32_t sctp[SCTP_STATES]; /* enum sctp_conntrack */
	uint32_t dccp[DCCP_STATES]; /* enum ct_dccp_states */
	uint32_t gre, gre_stream;
	uint32_t generic;
};

/* A sysctl of net.netfilter, in the namespace of the caller; -1 if there is none. */
static int open_sysctl(const char *name)
{
	char path[96];

	snprintf(path, sizeof(path), "/proc/sys/net/netfilter/%s", name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* -1 if it can't be read. */
static long read_opened(int fd)
{
	char text[24], *end;
	ssize_t got = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);
	long value;

	if (got <= 0)
		return -1;
	text[got] = '\0';
	value = strtol(text, &end, 10);
	return end == text || value < 0 ? -1 : value;
}

static long read_sysctl(const char *name)
{
	int fd = open_sysctl(name);
	long value = read_opened(fd);

	if (fd >= 0)
		close(fd);
	return value;
}

/* Where each goes, its sysctl, and the built-in default (net/netfilter/nf_conntrack_proto_*.c). */
static const struct {
	size_t offset;
	const char *name;
	uint32_t builtin_s;
} table[] = {
    {offsetof(struct timeouts, tcp[FLOW_TCP_SYN_SENT]), "tcp_timeout_syn_sent", 120},
    {offsetof(struct timeouts, tcp[FLOW_TCP_SYN_RECV]), "tcp_timeout_syn_recv", 60},
    {offsetof(struct timeouts, tcp[FLOW_TCP_ESTABLISHED]), "tcp_timeout_established", 432000},
    {offsetof(struct timeouts, tcp[FLOW_TCP_FIN_WAIT]), "tcp_timeout_fin_wait", 120},
    {offsetof(struct timeouts, tcp[FLOW_TCP_CLOSE_WAIT]), "tcp_timeout_close_wait", 60},
    {offsetof(struct timeouts, tcp[FLOW_TCP_LAST_ACK]), "tcp_timeout_last_ack", 30},
    {offsetof(struct timeouts, tcp[FLOW_TCP_TIME_WAIT]), "tcp_timeout_time_wait", 120},
    {offsetof(struct timeouts, tcp[FLOW_TCP_CLOSE]), "tcp_timeout_close", 10},
    {offsetof(struct timeouts, tcp[FLOW_TCP_SYN_SENT2]), "tcp_timeout_syn_sent", 120},
    {offsetof(struct timeouts, udp), "udp_timeout", 30},
    {offsetof(struct timeouts, udp_stream), "udp_timeout_stream", 120},
    {offsetof(struct timeouts, icmp), "icmp_timeout", 30},
    {offsetof(struct timeouts, icmpv6), "icmpv6_timeout", 30},
    {offsetof(struct timeouts, sctp[1]), "sctp_timeout_closed", 10},
    {offsetof(struct timeouts, sctp[2]), "sctp_timeout_cookie_wait", 3},
    {offsetof(struct timeouts, sctp[3]), "sctp_timeout_cookie_echoed", 3},
    {offsetof(struct timeouts, sctp[4]), "sctp_timeout_established", 210},
    {offsetof(struct timeouts, sctp[5]), "sctp_timeout_shutdown_sent", 3},
    {offsetof(struct timeouts, sctp[6]), "sctp_timeout_shutdown_recd", 3},
    {offsetof(struct timeouts, sctp[7]), "sctp_timeout_shutdown_ack_sent", 3},
    {offsetof(struct timeouts, sctp[8]), "sctp_timeout_heartbeat_sent", 30},
    {offsetof(struct timeouts, dccp[1]), "dccp_timeout_request", 240},
    {offsetof(struct timeouts, dccp[2]), "dccp_timeout_respond", 480},
    {offsetof(struct timeouts, dccp[3]), "dccp_timeout_partopen", 480},
    {offsetof(struct timeouts, dccp[4]), "dccp_timeout_open", 43200},
    {offsetof(struct timeouts, dccp[5]), "dccp_timeout_closereq", 64},
    {offsetof(struct timeouts, dccp[6]), "dccp_timeout_closing", 64},
    {offsetof(struct timeouts, dccp[7]), "dccp_timeout_timewait", 240},
    {offsetof(struct timeouts, gre), "gre_timeout", 30},
    {offsetof(struct timeouts, gre_stream), "gre_timeout_stream", 180},
    {offsetof(struct timeouts, generic), "generic_timeout", 600},
};

struct timeouts *timeouts_read(void)
{
	struct timeouts *timeouts = calloc(1, sizeof(*timeouts));

	if (!timeouts)
		return NULL;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		uint32_t timeout_s = table[i].builtin_s;
		char name[64];
		long value;

		snprintf(name, sizeof(name), "nf_conntrack_%s", table[i].name);
		value = read_sysctl(name);
		if (value >= 0 && value <= INT32_MAX)
			timeout_s = (uint32_t)value;
		memcpy((char *)timeouts + table[i].offset, &timeout_s, sizeof(timeout_s));
	}
	return timeouts;
}

void timeouts_free(struct timeouts *timeouts)
{
	free(timeouts);
}

static uint32_t tcp_default_s(const struct timeouts *t, const struct flow *flow)
{
	if (flow->status & (FLOW_STATUS_OFFLOAD | FLOW_STATUS_HW_OFFLOAD) || !(flow->present & FLOW_HAS_TCP))
		return t->tcp[FLOW_TCP_ESTABLISHED];
	return flow->tcp.state < FLOW_TCP_STATES ? t->tcp[flow->tcp.state] : 0;
}

uint32_t timeouts_default_s(const struct timeouts *t, const struct flow *flow)
{
	/* an offloaded flow goes both ways, whatever its bits were when it was last shown */
	bool offloaded = flow->status & (FLOW_STATUS_OFFLOAD | FLOW_STATUS_HW_OFFLOAD);
	bool is_stream = flow->status & FLOW_STATUS_ASSURED || offloaded;

	switch (flow->protocol) {
	case PROTOCOL_TCP:
		return tcp_default_s(t, flow);
	case PROTOCOL_UDP:
	case PROTOCOL_UDPLITE:
		return is_stream ? t->udp_stream : t->udp;
	case PROTOCOL_ICMP:
		return t->icmp;
	case PROTOCOL_ICMPV6:
		return t->icmpv6;
	case PROTOCOL_GRE:
		return is_stream || flow->status & FLOW_STATUS_SEEN_REPLY ? t->gre_stream : t->gre;
	case PROTOCOL_SCTP:
		return flow->present & FLOW_HAS_SCTP && flow->sctp.state < SCTP_STATES
			   ? t->sctp[flow->sctp.state]
			   : 0;
	case PROTOCOL_DCCP: /* kernels without it (since 6.17) track it as any other protocol */
		if (!(flow->present & FLOW_HAS_DCCP))
			return t->generic;
		return flow->dccp.state < DCCP_STATES ? t->dccp[flow->dccp.state] : 0;
	}
	return t->generic;
}

uint32_t timeouts_commit_s(const struct timeouts *timeouts, const struct flow *flow, uint32_t elapsed_s)
{
	uint32_t timeout_s = flow->present & FLOW_HAS_TIMEOUT ? flow->timeout_s : 0;
	uint32_t default_s = timeouts_default_s(timeouts, flow);

	/* a fixed timeout is the ruleset's or an operator's, and no packet refreshes it: the default says
	 * nothing of it */
	if (default_s > timeout_s && !(flow->status & FLOW_STATUS_FIXED_TIMEOUT && timeout_s))
		timeout_s = default_s;
	return timeout_s > elapsed_s ? timeout_s - elapsed_s : 0;
}

static const char *const limit_names[LIMITS] = {
    [LIMIT_MAX] = "nf_conntrack_max",
    [LIMIT_BUCKETS] = "nf_conntrack_buckets",
    [LIMIT_EVENTS] = "nf_conntrack_events",
};

long limit_read(enum limit limit)
{
	return read_sysctl(limit_names[limit]);
}

void limits_open(struct limits *limits)
{
	for (unsigned i = 0; i < LIMITS; i++)
		limits->fds[i] = open_sysctl(limit_names[i]);
}

long limits_read(struct limits *limits, enum limit limit)
{
	int *fd = &limits->fds[limit];
	long value = read_opened(*fd);

	if (value >= 0)
		return value;
	/* the module was not there yet, or has gone and come again */
	if (*fd >= 0)
		close(*fd);
	*fd = open_sysctl(limit_names[limit]);
	return read_opened(*fd);
}

void limits_close(struct limits *limits)
{
	for (unsigned i = 0; i < LIMITS; i++) {
		if (limits->fds[i] >= 0)
			close(limits->fds[i]);
		limits->fds[i] = -1;
	}
}
