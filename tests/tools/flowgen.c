// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Creates, changes and destroys conntrack flows in the network namespace it runs in, through batched
 * ctnetlink.
 *
 *   flowgen create  --count N [--first I] [flow options]
 *   flowgen update  --count N [--first I] [--mark M] [--tcp-state NAME] [--timeout S]
 *   flowgen destroy --count N [--first I]
 *   flowgen churn   --rate N --seconds S [--alive N] [--first I]   creates N a second, destroys each after
 * --alive others
 *
 * Flow options: --proto tcp|udp, --ipv6, --snat ADDRESS, --mark M, --timeout S, --tcp-state NAME, --zone Z,
 * --tuple-base ADDRESS. For all: --rate N (a second; default full speed), --batch N messages a send.
 *
 * Flow number I has always the same tuple, whatever the command: source and destination address are the base
 * plus I / 60000, the source port is 1024 + I % 60000. So --first names a range that another run created.
 *
 * The events carry this process's port id, so for a daemon these are somebody else's changes, as packets
 * would be. Prints one JSON object:
 * {"requests":N,"done":N,"errors":{"EEXIST":N},"seconds":S,"per_second":N,"kernel_seconds":S,"kernel_cpu_ns":N};
 * kernel_*: in sending and in reading the answers alone, without writing the requests.
 */
#include "tool.h"

#include <getopt.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <stdbool.h>

enum { PORTS_AN_ADDRESS = 60000, PORT_FIRST = 1024, BATCH_MAX = 512, ERRNO_MAX = 134, MESSAGE_SIZE = 512 };

enum action { ACTION_CREATE, ACTION_UPDATE, ACTION_DESTROY };

struct flowgen {
	/* what a flow looks like */
	bool is_ipv6, has_mark, has_timeout, has_zone, has_snat, has_state;
	uint8_t protocol, tcp_state;
	uint16_t zone;
	uint32_t mark, timeout_s;
	struct in6_addr base, snat; /* an IPv4 address stands in the last four bytes */
	/* what to do */
	uint64_t first, count, rate, seconds, alive;
	uint32_t batch;
	/* how it went */
	struct mnl_socket *socket;
	uint32_t sequence, pending;
	size_t length;
	uint64_t requests, failed;
	uint64_t errors[ERRNO_MAX];
	int64_t start_ns, kernel_ns, kernel_cpu_ns;
	uint8_t buffer[BATCH_MAX * MESSAGE_SIZE];
};

/* As the kernel numbers them: nf_conntrack_tcp.h, enum tcp_conntrack. */
static const char *const tcp_states[] = {"none",       "syn_sent", "syn_recv",  "established", "fin_wait",
					 "close_wait", "last_ack", "time_wait", "close",       "syn_sent2"};

static struct in6_addr address_plus(struct in6_addr base, uint64_t offset)
{
	uint32_t low;

	memcpy(&low, base.s6_addr + 12, sizeof(low));
	low = htonl((uint32_t)(ntohl(low) + offset));
	memcpy(base.s6_addr + 12, &low, sizeof(low));
	return base;
}

static void put_address(struct nlmsghdr *message, const struct flowgen *flowgen, uint16_t type4,
			uint16_t type6, const struct in6_addr *address)
{
	if (flowgen->is_ipv6)
		mnl_attr_put(message, type6, 16, address);
	else
		mnl_attr_put(message, type4, 4, address->s6_addr + 12);
}

static void put_tuple(struct nlmsghdr *message, const struct flowgen *flowgen, uint16_t type,
		      const struct in6_addr *source, const struct in6_addr *destination, uint16_t source_port,
		      uint16_t destination_port)
{
	struct nlattr *tuple = mnl_attr_nest_start(message, type), *nest;

	nest = mnl_attr_nest_start(message, CTA_TUPLE_IP);
	put_address(message, flowgen, CTA_IP_V4_SRC, CTA_IP_V6_SRC, source);
	put_address(message, flowgen, CTA_IP_V4_DST, CTA_IP_V6_DST, destination);
	mnl_attr_nest_end(message, nest);
	nest = mnl_attr_nest_start(message, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(message, CTA_PROTO_NUM, flowgen->protocol);
	mnl_attr_put_u16(message, CTA_PROTO_SRC_PORT, htons(source_port));
	mnl_attr_put_u16(message, CTA_PROTO_DST_PORT, htons(destination_port));
	mnl_attr_nest_end(message, nest);
	mnl_attr_nest_end(message, tuple);
}

/* The kernel rewrites the reply tuple itself from this (nf_nat_setup_info), so the reply is sent
 * untranslated. */
static void put_snat(struct nlmsghdr *message, const struct flowgen *flowgen, uint16_t port)
{
	struct nlattr *nat = mnl_attr_nest_start(message, CTA_NAT_SRC), *ports;

	put_address(message, flowgen, CTA_NAT_V4_MINIP, CTA_NAT_V6_MINIP, &flowgen->snat);
	put_address(message, flowgen, CTA_NAT_V4_MAXIP, CTA_NAT_V6_MAXIP, &flowgen->snat);
	ports = mnl_attr_nest_start(message, CTA_NAT_PROTO);
	mnl_attr_put_u16(message, CTA_PROTONAT_PORT_MIN, htons(port));
	mnl_attr_put_u16(message, CTA_PROTONAT_PORT_MAX, htons(port));
	mnl_attr_nest_end(message, ports);
	mnl_attr_nest_end(message, nat);
}

static void put_tcp(struct nlmsghdr *message, const struct flowgen *flowgen)
{
	struct nlattr *info = mnl_attr_nest_start(message, CTA_PROTOINFO);
	struct nlattr *tcp = mnl_attr_nest_start(message, CTA_PROTOINFO_TCP);
	struct nf_ct_tcp_flags flags = {.flags = IP_CT_TCP_FLAG_WINDOW_SCALE | IP_CT_TCP_FLAG_SACK_PERM,
					.mask = IP_CT_TCP_FLAG_WINDOW_SCALE | IP_CT_TCP_FLAG_SACK_PERM};

	mnl_attr_put_u8(message, CTA_PROTOINFO_TCP_STATE, flowgen->tcp_state);
	mnl_attr_put_u8(message, CTA_PROTOINFO_TCP_WSCALE_ORIGINAL, 7);
	mnl_attr_put_u8(message, CTA_PROTOINFO_TCP_WSCALE_REPLY, 7);
	mnl_attr_put(message, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, sizeof(flags), &flags);
	mnl_attr_put(message, CTA_PROTOINFO_TCP_FLAGS_REPLY, sizeof(flags), &flags);
	mnl_attr_nest_end(message, tcp);
	mnl_attr_nest_end(message, info);
}

static void put_attributes(struct nlmsghdr *message, const struct flowgen *flowgen, enum action action,
			   uint16_t port)
{
	bool is_create = action == ACTION_CREATE;

	if (is_create)
		mnl_attr_put_u32(message, CTA_STATUS, htonl(IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED));
	if (is_create || flowgen->has_timeout)
		mnl_attr_put_u32(message, CTA_TIMEOUT, htonl(flowgen->timeout_s));
	if (flowgen->has_mark)
		mnl_attr_put_u32(message, CTA_MARK, htonl(flowgen->mark));
	if (flowgen->protocol == IPPROTO_TCP && (is_create || flowgen->has_state))
		put_tcp(message, flowgen);
	if (is_create && flowgen->has_snat)
		put_snat(message, flowgen, port);
}

static void flowgen_put(struct flowgen *flowgen, enum action action, uint64_t index)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(flowgen->buffer + flowgen->length);
	struct nfgenmsg *header = mnl_nlmsg_put_extra_header(message, sizeof(*header));
	struct in6_addr source = address_plus(flowgen->base, index / PORTS_AN_ADDRESS);
	struct in6_addr destination = address_plus(flowgen->base, index / PORTS_AN_ADDRESS + (1 << 22));
	uint16_t port = (uint16_t)(PORT_FIRST + index % PORTS_AN_ADDRESS);
	uint16_t destination_port = flowgen->protocol == IPPROTO_TCP ? 443 : 53;
	int type = action == ACTION_DESTROY ? IPCTNL_MSG_CT_DELETE : IPCTNL_MSG_CT_NEW;

	message->nlmsg_type = (uint16_t)((NFNL_SUBSYS_CTNETLINK << 8) | type);
	message->nlmsg_flags = NLM_F_REQUEST;
	if (action == ACTION_CREATE)
		message->nlmsg_flags |= NLM_F_CREATE | NLM_F_EXCL;
	message->nlmsg_seq = ++flowgen->sequence;
	header->nfgen_family = flowgen->is_ipv6 ? AF_INET6 : AF_INET;
	header->version = NFNETLINK_V0;
	put_tuple(message, flowgen, CTA_TUPLE_ORIG, &source, &destination, port, destination_port);
	if (action == ACTION_CREATE)
		put_tuple(message, flowgen, CTA_TUPLE_REPLY, &destination, &source, destination_port, port);
	if (flowgen->has_zone)
		mnl_attr_put_u16(message, CTA_ZONE, htons(flowgen->zone));
	if (action != ACTION_DESTROY)
		put_attributes(message, flowgen, action, port);
	flowgen->length += message->nlmsg_len;
	flowgen->pending++;
	flowgen->requests++;
}

/* Counts an answer; true when it is the one to the batch's last message, which alone asks for an
 * acknowledgement. */
static bool flowgen_answer(struct flowgen *flowgen, const struct nlmsghdr *answer)
{
	const struct nlmsgerr *error = mnl_nlmsg_get_payload(answer);

	if (answer->nlmsg_type != NLMSG_ERROR)
		return false;
	if (error->error) {
		flowgen->failed++;
		flowgen->errors[-error->error < ERRNO_MAX ? -error->error : 0]++;
	}
	return answer->nlmsg_seq == flowgen->sequence;
}

/* Sends the batch, and reads until its last message is answered. */
static void flowgen_exchange(struct flowgen *flowgen)
{
	uint8_t answers[32768];
	struct nlmsghdr *answer;
	ssize_t got;
	bool is_over = false;
	int left;

	if (mnl_socket_sendto(flowgen->socket, flowgen->buffer, flowgen->length) < 0)
		tool_die("sending to the kernel: %s", strerror(errno));
	while (!is_over) {
		got = mnl_socket_recvfrom(flowgen->socket, answers, sizeof(answers));
		if (got < 0)
			tool_die("receiving from the kernel: %s", strerror(errno));
		left = (int)got;
		for (answer = (struct nlmsghdr *)answers; mnl_nlmsg_ok(answer, left);
		     answer = mnl_nlmsg_next(answer, &left))
			is_over |= flowgen_answer(flowgen, answer);
	}
}

static void flowgen_flush(struct flowgen *flowgen)
{
	int64_t start_ns = tool_now_ns(), start_cpu_ns = tool_cpu_ns();
	struct nlmsghdr *last = NULL;
	size_t at;

	if (!flowgen->pending)
		return;
	for (at = 0; at < flowgen->length; at += last->nlmsg_len)
		last = (struct nlmsghdr *)(flowgen->buffer + at);
	last->nlmsg_flags |= NLM_F_ACK;
	flowgen_exchange(flowgen);
	flowgen->kernel_ns += tool_now_ns() - start_ns;
	flowgen->kernel_cpu_ns += tool_cpu_ns() - start_cpu_ns;
	flowgen->length = 0;
	flowgen->pending = 0;
}

/* Sends when the batch is full, and holds back so that at most rate requests a second go out. */
static void flowgen_pace(struct flowgen *flowgen, uint64_t rate)
{
	uint64_t batch = flowgen->batch;

	if (rate && rate / 200 < batch)
		batch = rate / 200 + 1;
	if (flowgen->pending < batch)
		return;
	flowgen_flush(flowgen);
	if (rate)
		tool_sleep_until_ns(flowgen->start_ns +
				    (int64_t)((double)flowgen->requests * 1e9 / (double)rate));
}

static void flowgen_range(struct flowgen *flowgen, enum action action)
{
	uint64_t index;

	for (index = flowgen->first; index < flowgen->first + flowgen->count; index++) {
		flowgen_put(flowgen, action, index);
		flowgen_pace(flowgen, flowgen->rate);
	}
	flowgen_flush(flowgen);
}

/* rate counts creates; each flow is destroyed once alive others have come after it, the last ones at the end
 */
static void flowgen_churn(struct flowgen *flowgen)
{
	uint64_t total = flowgen->rate * flowgen->seconds, i;

	for (i = 0; i < total + flowgen->alive; i++) {
		if (i < total)
			flowgen_put(flowgen, ACTION_CREATE, flowgen->first + i);
		if (i >= flowgen->alive)
			flowgen_put(flowgen, ACTION_DESTROY, flowgen->first + i - flowgen->alive);
		flowgen_pace(flowgen, 2 * flowgen->rate);
	}
	flowgen_flush(flowgen);
}

static const char *errno_name(int error)
{
	const char *name = strerrorname_np(error);

	return name && error ? name : "other";
}

static void flowgen_report(const struct flowgen *flowgen)
{
	double seconds = (double)(tool_now_ns() - flowgen->start_ns) / 1e9;
	const char *comma = "";
	int error;

	printf("{\"requests\":%llu,\"done\":%llu,\"errors\":{", (unsigned long long)flowgen->requests,
	       (unsigned long long)(flowgen->requests - flowgen->failed));
	for (error = 0; error < ERRNO_MAX; error++) {
		if (!flowgen->errors[error])
			continue;
		printf("%s\"%s\":%llu", comma, errno_name(error), (unsigned long long)flowgen->errors[error]);
		comma = ",";
	}
	printf("},\"seconds\":%.3f,\"per_second\":%.0f,\"kernel_seconds\":%.4f,\"kernel_cpu_ns\":%lld}\n",
	       seconds, (double)flowgen->requests / seconds, (double)flowgen->kernel_ns / 1e9,
	       (long long)flowgen->kernel_cpu_ns);
}

static void parse_address(const char *name, const char *text, struct in6_addr *address)
{
	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, text, address->s6_addr + 12) != 1 && inet_pton(AF_INET6, text, address) != 1)
		tool_die("--%s %s: not an address", name, text);
}

static uint8_t parse_tcp_state(const char *text)
{
	size_t i;

	for (i = 0; i < sizeof(tcp_states) / sizeof(tcp_states[0]); i++)
		if (!strcasecmp(tcp_states[i], text))
			return (uint8_t)i;
	tool_die("--tcp-state %s: unknown", text);
}

static void flowgen_flow_option(struct flowgen *flowgen, int option)
{
	switch (option) {
	case 'p':
		if (strcmp(optarg, "tcp") && strcmp(optarg, "udp"))
			tool_die("--proto %s: tcp or udp", optarg);
		flowgen->protocol = strcmp(optarg, "tcp") ? IPPROTO_UDP : IPPROTO_TCP;
		break;
	case '6':
		flowgen->is_ipv6 = true;
		parse_address("ipv6", "2001:db8:77::", &flowgen->base);
		break;
	case 'n':
		parse_address("snat", optarg, &flowgen->snat);
		flowgen->has_snat = true;
		break;
	case 'm':
		flowgen->mark = (uint32_t)tool_number("mark", optarg, 0, UINT32_MAX);
		flowgen->has_mark = true;
		break;
	case 't':
		flowgen->timeout_s = (uint32_t)tool_number("timeout", optarg, 1, 1 << 30);
		flowgen->has_timeout = true;
		break;
	case 's':
		flowgen->tcp_state = parse_tcp_state(optarg);
		flowgen->has_state = true;
		break;
	case 'z':
		flowgen->zone = (uint16_t)tool_number("zone", optarg, 0, UINT16_MAX);
		flowgen->has_zone = true;
		break;
	case 'b':
		parse_address("tuple-base", optarg, &flowgen->base);
		break;
	default:
		exit(2);
	}
}

static void flowgen_option(struct flowgen *flowgen, int option)
{
	switch (option) {
	case 'C':
		flowgen->count = tool_number("count", optarg, 0, 200000000);
		break;
	case 'F':
		flowgen->first = tool_number("first", optarg, 0, 200000000);
		break;
	case 'R':
		flowgen->rate = tool_number("rate", optarg, 1, 10000000);
		break;
	case 'S':
		flowgen->seconds = tool_number("seconds", optarg, 1, 3600);
		break;
	case 'A':
		flowgen->alive = tool_number("alive", optarg, 1, 10000000);
		break;
	case 'B':
		flowgen->batch = (uint32_t)tool_number("batch", optarg, 1, BATCH_MAX / 2);
		break;
	default:
		flowgen_flow_option(flowgen, option);
	}
}

/* Errors of a whole batch must fit; and answers carry the request's header only, not the whole request. */
static void flowgen_open(struct flowgen *flowgen)
{
	int one = 1, size = 8 << 20;

	flowgen->socket = mnl_socket_open(NETLINK_NETFILTER);
	if (!flowgen->socket || mnl_socket_bind(flowgen->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		tool_die("netlink socket: %s", strerror(errno));
	mnl_socket_setsockopt(flowgen->socket, NETLINK_CAP_ACK, &one, sizeof(one));
	setsockopt(mnl_socket_get_fd(flowgen->socket), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
}

static void flowgen_run(struct flowgen *flowgen, const char *command)
{
	flowgen->start_ns = tool_now_ns();
	if (!strcmp(command, "create"))
		flowgen_range(flowgen, ACTION_CREATE);
	else if (!strcmp(command, "update"))
		flowgen_range(flowgen, ACTION_UPDATE);
	else if (!strcmp(command, "destroy"))
		flowgen_range(flowgen, ACTION_DESTROY);
	else if (!strcmp(command, "churn") && flowgen->rate && flowgen->seconds)
		flowgen_churn(flowgen);
	else
		tool_die("flowgen create|update|destroy|churn; churn needs --rate and --seconds");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
	    {"proto", 1, NULL, 'p'}, {"ipv6", 0, NULL, '6'},       {"snat", 1, NULL, 'n'},
	    {"mark", 1, NULL, 'm'},  {"timeout", 1, NULL, 't'},    {"tcp-state", 1, NULL, 's'},
	    {"zone", 1, NULL, 'z'},  {"tuple-base", 1, NULL, 'b'}, {"count", 1, NULL, 'C'},
	    {"first", 1, NULL, 'F'}, {"rate", 1, NULL, 'R'},       {"seconds", 1, NULL, 'S'},
	    {"alive", 1, NULL, 'A'}, {"batch", 1, NULL, 'B'},      {0}};
	struct flowgen *flowgen = calloc(1, sizeof(*flowgen));
	int option;

	if (!flowgen)
		tool_die("out of memory");
	if (argc < 2)
		tool_die("usage: flowgen create|update|destroy|churn [options]");
	flowgen->protocol = IPPROTO_TCP;
	flowgen->tcp_state = TCP_CONNTRACK_ESTABLISHED;
	flowgen->timeout_s = 3600;
	flowgen->alive = 1000;
	flowgen->batch = 128;
	parse_address("tuple-base", "10.64.0.0", &flowgen->base);
	optind = 2;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		flowgen_option(flowgen, option);
	flowgen_open(flowgen);
	flowgen_run(flowgen, argv[1]);
	flowgen_report(flowgen);
	mnl_socket_close(flowgen->socket);
	free(flowgen);
	return 0;
}
