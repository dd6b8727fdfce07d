/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Flows of every protocol with every attribute, and with every two of them together, in the kernel; and a
 * dump that knows nothing of what it shows, so that nothing can be forgotten when two are compared.
 *
 *   shapes create   creates them: {"wanted":N,"created":N,"refused":["tcp ...: helper and master: ..."]}
 *   shapes dump     each flow of the namespace as one JSON object: the paths of attribute types from the top
 *                   ("4.1.2") to their values in hexadecimal; "family" besides
 */
#include "syncd/kernel/attribute.h"
#include "syncd/kernel/commit.h"
#include "tests/tools/tool.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- making ---- */

struct kind {
	uint8_t family, protocol;
};

static const struct kind kinds[] = {
    {FLOW_IPV4, PROTOCOL_TCP},
    {FLOW_IPV6, PROTOCOL_TCP},
    {FLOW_IPV4, PROTOCOL_UDP},
    {FLOW_IPV6, PROTOCOL_UDP},
    {FLOW_IPV4, PROTOCOL_UDPLITE},
    {FLOW_IPV6, PROTOCOL_UDPLITE},
    {FLOW_IPV4, PROTOCOL_SCTP},
    {FLOW_IPV6, PROTOCOL_SCTP},
    {FLOW_IPV4, PROTOCOL_DCCP},
    {FLOW_IPV4, PROTOCOL_GRE},
    {FLOW_IPV6, PROTOCOL_GRE},
    {FLOW_IPV4, PROTOCOL_ICMP},
    {FLOW_IPV6, PROTOCOL_ICMPV6},
    {FLOW_IPV4, 253},
    {FLOW_IPV6, 253},
};
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

/* False: the protocol can't have it. */
typedef bool shape(struct flow *flow);

static bool is_tcp(const struct flow *flow)
{
	return flow->protocol == PROTOCOL_TCP;
}

static bool snat(struct flow *flow)
{
	flow->reply.dst[flow_address_size(flow->family) - 2] ^= 0x40;
	if (flow_has_ports(flow->protocol))
		flow->reply.dport ^= 0x4000;
	else if (flow_has_icmp(flow->protocol))
		flow->reply.icmp_id ^= 0x4000;
	return true;
}

static bool dnat(struct flow *flow)
{
	flow->reply.src[flow_address_size(flow->family) - 2] ^= 0x20;
	if (flow_has_ports(flow->protocol))
		flow->reply.sport ^= 0x2000;
	return true;
}

static bool gre_keys(struct flow *flow)
{
	if (flow->protocol != PROTOCOL_GRE)
		return false;
	flow->reply.sport ^= 0x0101;
	return true;
}

static bool unreplied(struct flow *flow)
{
	flow->status &= ~(uint32_t)(FLOW_STATUS_SEEN_REPLY | FLOW_STATUS_ASSURED);
	return true;
}

static bool fixed_timeout(struct flow *flow)
{
	flow->status |= FLOW_STATUS_FIXED_TIMEOUT;
	return true;
}

static bool in_state(struct flow *flow, uint8_t tcp, uint8_t sctp)
{
	if (flow->protocol != PROTOCOL_TCP && flow->protocol != PROTOCOL_SCTP)
		return false;
	flow->tcp.state = tcp;
	flow->sctp.state = sctp;
	return true;
}

static bool opening(struct flow *flow)
{
	return in_state(flow, FLOW_TCP_SYN_RECV, 2);
}

static bool closing(struct flow *flow)
{
	return in_state(flow, FLOW_TCP_CLOSE_WAIT, 6);
}

static bool ended(struct flow *flow)
{
	return in_state(flow, FLOW_TCP_TIME_WAIT, 1);
}

static bool window_scale(struct flow *flow)
{
	flow->tcp.flags[0] = 0x83;
	flow->tcp.flags[1] = 0x07;
	flow->tcp.wscale[0] = 7;
	flow->tcp.wscale[1] = 14;
	return is_tcp(flow);
}

static bool mark(struct flow *flow)
{
	flow->present |= FLOW_HAS_MARK;
	flow->mark = 0x80000001;
	return true;
}

static bool labels(struct flow *flow)
{
	flow->present |= FLOW_HAS_LABELS;
	flow->labels[0] = 0x81;
	flow->labels[15] = 0x42;
	return true;
}

static bool zone(struct flow *flow)
{
	flow->zone = 7;
	return true;
}

static bool zone_of_original(struct flow *flow)
{
	if (flow->present & FLOW_HAS_REPLY_ZONE || flow->zone)
		return false;
	flow->zone = 8;
	flow->zone_scope = FLOW_ZONE_ORIGINAL;
	return true;
}

static bool zone_of_reply(struct flow *flow)
{
	if (flow->zone)
		return false;
	flow->present |= FLOW_HAS_REPLY_ZONE;
	flow->reply_zone = 9;
	return true;
}

static bool helper(struct flow *flow)
{
	flow->present |= FLOW_HAS_HELPER;
	strcpy(flow->helper, is_tcp(flow) ? "ftp" : "tftp");
	return is_tcp(flow) || flow->protocol == PROTOCOL_UDP;
}

/* The first plain TCP flow of the family in its zone; see create_masters(). */
static bool master(struct flow *flow)
{
	if (flow->zone && flow->zone != 7)
		return false;
	flow->present |= FLOW_HAS_MASTER;
	flow->master_protocol = PROTOCOL_TCP;
	return true;
}

static bool sequence_adjustment(struct flow *flow)
{
	flow->present |= FLOW_HAS_SEQADJ;
	flow->seqadj[0] = (struct flow_seqadj){0x80000001, -5, 7};
	flow->seqadj[1] = (struct flow_seqadj){1000, 0, -1};
	return is_tcp(flow);
}

static bool synproxy(struct flow *flow)
{
	flow->present |= FLOW_HAS_SYNPROXY;
	flow->synproxy.isn = 0x12345678;
	flow->synproxy.its = 0x9abcdef0;
	flow->synproxy.tsoff = 0xfffffff0;
	return is_tcp(flow);
}

/* Zones come before what depends on them: masters. */
static const struct {
	const char *name;
	shape *apply;
} shapes[] = {
    {"plain", NULL},
    {"zone", zone},
    {"zone of the original", zone_of_original},
    {"zone of the reply", zone_of_reply},
    {"source translation", snat},
    {"destination translation", dnat},
    {"GRE keys", gre_keys},
    {"unreplied", unreplied},
    {"fixed timeout", fixed_timeout},
    {"opening", opening},
    {"closing", closing},
    {"ended", ended},
    {"window scale", window_scale},
    {"mark", mark},
    {"labels", labels},
    {"helper", helper},
    {"master", master},
    {"sequence adjustment", sequence_adjustment},
    {"synproxy", synproxy},
};
enum { SHAPES = sizeof(shapes) / sizeof(shapes[0]) };

/* Number n of its kind: all tuples differ, and so do those of the translated ones. */
static struct flow make(const struct kind *kind, uint16_t n)
{
	struct flow flow = {.present = FLOW_HAS_REPLY | FLOW_HAS_STATUS,
			    .family = kind->family,
			    .protocol = kind->protocol,
			    .status = FLOW_STATUS_CONFIRMED | FLOW_STATUS_SEEN_REPLY | FLOW_STATUS_ASSURED};
	const uint8_t src4[] = {10, 9, 0, 1}, dst4[] = {10, 8, 0, 1};
	const uint8_t src6[16] = {0xfd, 9, [15] = 1}, dst6[16] = {0xfd, 8, [15] = 1};
	size_t size = flow_address_size(kind->family);

	memcpy(flow.orig.src, kind->family == FLOW_IPV4 ? src4 : src6, size);
	memcpy(flow.orig.dst, kind->family == FLOW_IPV4 ? dst4 : dst6, size);
	if (flow_has_icmp(kind->protocol)) {
		flow.orig.icmp_id = (uint16_t)(1000 + n);
		flow.orig.icmp_type = kind->protocol == PROTOCOL_ICMP ? 8 : 128;
	} else if (flow_has_ports(kind->protocol) || kind->protocol == PROTOCOL_GRE) {
		flow.orig.sport = (uint16_t)(1000 + n);
		flow.orig.dport = 443;
	}
	/* protocols without ports are told apart by their address */
	flow.orig.src[size - 1] = (uint8_t)n;
	flow.orig.src[size - 3] = (uint8_t)(n >> 8);
	if (kind->protocol == PROTOCOL_TCP) {
		flow.present |= FLOW_HAS_TCP;
		flow.tcp.state = FLOW_TCP_ESTABLISHED;
	}
	if (kind->protocol == PROTOCOL_SCTP) {
		flow.present |= FLOW_HAS_SCTP;
		flow.sctp.state = 4;
		flow.sctp.vtag[0] = 0x80000000u + n;
		flow.sctp.vtag[1] = n;
	}
	flow.reply = flow_tuple_mirror(&flow.orig, kind->protocol);
	return flow;
}

struct creating {
	struct commit *commit;
	unsigned wanted, created;
	const char *first, *second; /* shapes of the flow that is being created */
};

static void settled(void *context, const struct flow *flow, enum commit_result result, int error)
{
	struct creating *creating = context;
	char text[FLOW_TEXT_SIZE];

	creating->wanted++;
	if (result == COMMIT_CREATED) {
		creating->created++;
		return;
	}
	printf("%s\"%s, %s and %s: %s, %s\"", creating->wanted - creating->created > 1 ? "," : "",
	       flow_key_print(flow, text), creating->first, creating->second, commit_result_name(result),
	       strerror(-error));
}

static void create_one(struct creating *creating, const struct flow *flow)
{
	const struct commit_options options = {.tcp_liberal = false};

	commit_flow(creating->commit, flow, 7000, &options, settled, creating);
	commit_flush(creating->commit);
}

/* For each family one in zone 0 and one in zone 7, number 0. */
static struct flow master_of(uint8_t family, uint16_t in_zone)
{
	struct flow flow = make(&(struct kind){family, PROTOCOL_TCP}, 0);

	flow.zone = in_zone;
	return flow;
}

static void create_masters(struct creating *creating)
{
	static const uint8_t families[] = {FLOW_IPV4, FLOW_IPV6};

	creating->first = creating->second = "master";
	for (unsigned i = 0; i < 4; i++) {
		struct flow flow = master_of(families[i / 2], i % 2 ? 7 : 0);

		create_one(creating, &flow);
	}
}

static void create_pair(struct creating *creating, const struct kind *kind, unsigned a, unsigned b,
			uint16_t n)
{
	struct flow flow = make(kind, n);

	if ((shapes[a].apply && !shapes[a].apply(&flow)) ||
	    (b != a && shapes[b].apply && !shapes[b].apply(&flow)))
		return;
	if (flow.present & FLOW_HAS_MASTER) {
		flow.master = master_of(flow.family, flow.zone).orig;
		flow.master_zone = flow.zone;
	}
	creating->first = shapes[a].name;
	creating->second = shapes[b].name;
	create_one(creating, &flow);
}

static void create(void)
{
	struct creating creating = {0};

	if (commit_open(&creating.commit))
		tool_die("a netlink socket is needed");
	printf("{\"refused\":[");
	create_masters(&creating);
	for (unsigned k = 0; k < KINDS; k++) {
		uint16_t n = 1;

		for (unsigned a = 0; a < SHAPES; a++)
			for (unsigned b = a; b < SHAPES; b++)
				create_pair(&creating, &kinds[k], a, b, n++);
	}
	printf("],\"wanted\":%u,\"created\":%u}\n", creating.wanted, creating.created);
	commit_close(creating.commit);
}

/* ---- dumping ---- */

static void print_attributes(const char *path, const uint8_t *bytes, size_t length)
{
	while (length >= sizeof(struct nlattr)) {
		struct nlattr header;
		char own[64];
		size_t step;

		memcpy(&header, bytes, sizeof(header));
		if (header.nla_len < sizeof(header) || header.nla_len > length)
			tool_die("malformed attribute below %s", path);
		snprintf(own, sizeof(own), "%s%s%u", path, *path ? "." : "",
			 header.nla_type & ATTRIBUTE_TYPE);
		if (header.nla_type & NLA_F_NESTED) {
			print_attributes(own, bytes + sizeof(header), header.nla_len - sizeof(header));
		} else {
			printf(",\"%s\":\"", own);
			for (size_t i = sizeof(header); i < header.nla_len; i++)
				printf("%02x", bytes[i]);
			putchar('"');
		}
		step = (header.nla_len + 3u) & ~(size_t)3;
		if (step >= length)
			return;
		bytes += step;
		length -= step;
	}
}

/* False at the dump's end. */
static bool print_messages(const uint8_t *bytes, size_t length)
{
	const size_t headers = NLMSG_HDRLEN + sizeof(struct nfgenmsg);
	const struct nlmsghdr *message = (const struct nlmsghdr *)(const void *)bytes;
	unsigned left = (unsigned)length;

	for (; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
		const uint8_t *start = (const uint8_t *)message;

		if (message->nlmsg_type == NLMSG_DONE)
			return false;
		if (message->nlmsg_type == NLMSG_ERROR || message->nlmsg_len < headers)
			tool_die("the dump failed");
		printf("{\"family\":%u", start[NLMSG_HDRLEN]);
		print_attributes("", start + headers, message->nlmsg_len - headers);
		printf("}\n");
	}
	return true;
}

static void dump(void)
{
	static _Alignas(8) uint8_t bytes[64 * 1024];
	struct {
		struct nlmsghdr header;
		struct nfgenmsg nfgen;
	} request = {
	    .header = {.nlmsg_len = sizeof(request),
		       .nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET,
		       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
	};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	ssize_t length = send(fd, &request, sizeof(request), 0);

	do {
		if (length < 0)
			tool_die("netlink: %s", strerror(errno));
		length = recv(fd, bytes, sizeof(bytes), 0);
	} while (length < 0 || print_messages(bytes, (size_t)length));
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "create"))
		create();
	else if (argc == 2 && !strcmp(argv[1], "dump"))
		dump();
	else
		tool_die("usage: shapes create|dump");
	return 0;
}
