/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A flow (connection-tracking entry) as a plain value: what the kernel says of it, independent of any
 * encoding. Constants have the kernel's values (include/uapi/linux/netfilter/nf_conntrack_common.h,
 * nf_conntrack_tcp.h), named here because proto/ includes no kernel or netfilter header.
 */
#ifndef PROTO_FLOW_H
#define PROTO_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FLOW_IPV4 = 2, FLOW_IPV6 = 10 }; /* AF_INET, AF_INET6 */

enum {
	PROTOCOL_ICMP = 1,
	PROTOCOL_TCP = 6,
	PROTOCOL_UDP = 17,
	PROTOCOL_DCCP = 33,
	PROTOCOL_GRE = 47,
	PROTOCOL_ICMPV6 = 58,
	PROTOCOL_SCTP = 132,
	PROTOCOL_UDPLITE = 136,
};

/* enum ip_conntrack_status */
enum flow_status {
	FLOW_STATUS_EXPECTED = 1u << 0,
	FLOW_STATUS_SEEN_REPLY = 1u << 1,
	FLOW_STATUS_ASSURED = 1u << 2,
	FLOW_STATUS_CONFIRMED = 1u << 3,
	FLOW_STATUS_SRC_NAT = 1u << 4,
	FLOW_STATUS_DST_NAT = 1u << 5,
	FLOW_STATUS_SEQ_ADJUST = 1u << 6,
	FLOW_STATUS_SRC_NAT_DONE = 1u << 7,
	FLOW_STATUS_DST_NAT_DONE = 1u << 8,
	FLOW_STATUS_DYING = 1u << 9,
	FLOW_STATUS_FIXED_TIMEOUT = 1u << 10,
	FLOW_STATUS_TEMPLATE = 1u << 11,
	FLOW_STATUS_NAT_CLASH = 1u << 12,
	FLOW_STATUS_HELPER = 1u << 13,
	FLOW_STATUS_OFFLOAD = 1u << 14,
	FLOW_STATUS_HW_OFFLOAD = 1u << 15,
	/* what a record keeps: all but the bits that tell of a moment, not of the flow */
	FLOW_STATUS_REPLICATED = 0xffff & ~(FLOW_STATUS_DYING | FLOW_STATUS_TEMPLATE | FLOW_STATUS_NAT_CLASH),
};

/* enum tcp_conntrack, as CTA_PROTOINFO_TCP_STATE carries it */
enum flow_tcp_state {
	FLOW_TCP_NONE,
	FLOW_TCP_SYN_SENT,
	FLOW_TCP_SYN_RECV,
	FLOW_TCP_ESTABLISHED,
	FLOW_TCP_FIN_WAIT,
	FLOW_TCP_CLOSE_WAIT,
	FLOW_TCP_LAST_ACK,
	FLOW_TCP_TIME_WAIT,
	FLOW_TCP_CLOSE,
	FLOW_TCP_SYN_SENT2,
	FLOW_TCP_STATES,
};

/* IP_CT_TCP_FLAG_*: a record keeps only those that outlive a packet (DATA_UNACKNOWLEDGED, MAXACK_SET and
 * EXP_CHALLENGE_ACK change without an event) */
enum { FLOW_TCP_FLAG_WINDOW_SCALE = 0x01, FLOW_TCP_FLAG_BE_LIBERAL = 0x08, FLOW_TCP_FLAGS_REPLICATED = 0x8f };

enum {
	FLOW_LABELS_SIZE = 16,
	FLOW_HELPER_SIZE = 16, /* NF_CT_HELPER_NAME_LEN, terminator included */
	FLOW_EXTRA_MAX = 128,  /* attributes of a newer version, kept as they came */
	FLOW_SECCTX_SIZE = 64,
};

/* One direction.  IPv4 takes the first 4 bytes of an address; the rest is zero. */
struct flow_tuple {
	uint8_t src[16];
	uint8_t dst[16];
	union {
		struct {
			uint16_t sport,
			    dport; /* host order: TCP, UDP, UDP-Lite, SCTP, DCCP; GRE: the two keys */
		};
		struct {
			uint16_t icmp_id; /* ICMP, ICMPv6 */
			uint8_t icmp_type, icmp_code;
		};
	};
};

/* Which parts of a flow a message carried (struct flow.present). */
enum flow_part {
	FLOW_HAS_REPLY = 1u << 0,
	FLOW_HAS_STATUS = 1u << 1,
	FLOW_HAS_TIMEOUT = 1u << 2,
	FLOW_HAS_MARK = 1u << 3,
	FLOW_HAS_TCP = 1u << 4,
	FLOW_HAS_SCTP = 1u << 5,
	FLOW_HAS_DCCP = 1u << 6,
	FLOW_HAS_SEQADJ = 1u << 7,
	FLOW_HAS_SYNPROXY = 1u << 8,
	FLOW_HAS_LABELS = 1u << 9,
	FLOW_HAS_HELPER = 1u << 10,
	FLOW_HAS_MASTER = 1u << 11,
	FLOW_HAS_ID = 1u << 12,
	FLOW_HAS_USE = 1u << 13,
	FLOW_HAS_COUNTERS = 1u << 14,
	FLOW_HAS_TIMESTAMP = 1u << 15,
	FLOW_HAS_SECCTX = 1u << 16,
	FLOW_HAS_REPLY_ZONE = 1u << 17,
};

/* Where the zone of the original direction applies too (CTA_ZONE: both; CTA_TUPLE_ZONE: that direction
 * alone). */
enum flow_zone_scope { FLOW_ZONE_BOTH, FLOW_ZONE_ORIGINAL };

struct flow_seqadj {
	uint32_t correction_pos;
	int32_t offset_before;
	int32_t offset_after;
};

/* The key of a flow is family, protocol, zone and orig. */
struct flow {
	uint32_t present; /* enum flow_part; the key is always there */
	uint8_t family;   /* FLOW_IPV4 or FLOW_IPV6 */
	uint8_t protocol;
	uint8_t zone_scope; /* enum flow_zone_scope */
	uint8_t incarnation;
	uint16_t zone;       /* of the original direction (and, with FLOW_ZONE_BOTH, of both) */
	uint16_t reply_zone; /* of the reply direction alone: FLOW_HAS_REPLY_ZONE */
	struct flow_tuple orig;
	struct flow_tuple reply;
	uint32_t status; /* enum flow_status */
	uint32_t timeout_s;
	uint32_t mark;
	uint32_t id; /* the kernel's; a hint, not replicated */
	struct {
		uint8_t state; /* enum flow_tcp_state */
		uint8_t wscale[2];
		uint8_t flags[2];
	} tcp; /* [0] original, [1] reply */
	struct {
		uint8_t state;
		uint32_t vtag[2];
	} sctp;
	struct {
		uint8_t state, role;
		uint64_t handshake_seq;
	} dccp;
	struct flow_seqadj seqadj[2];
	struct {
		uint32_t isn, its, tsoff;
	} synproxy;
	uint8_t labels[FLOW_LABELS_SIZE];
	char helper[FLOW_HELPER_SIZE];
	struct flow_tuple master; /* the master's original tuple; family as here */
	uint8_t master_protocol;
	uint16_t master_zone;
	/* shown, never replicated */
	uint32_t use;
	struct {
		uint64_t packets, bytes;
	} counters[2];
	uint64_t timestamp_start_ns, timestamp_stop_ns;
	char secctx[FLOW_SECCTX_SIZE];
	/* attributes of a newer version, verbatim (record.h) */
	uint16_t extra_length;
	uint8_t extra[FLOW_EXTRA_MAX];
};

/* 4 or 16 */
size_t flow_address_size(uint8_t family);

/* The reply tuple of a flow without NAT: addresses and ports swapped, ICMP types turned to their answers. */
struct flow_tuple flow_tuple_mirror(const struct flow_tuple *orig, uint8_t protocol);

/* True when family, protocol, zone and original tuple are equal. */
bool flow_key_equals(const struct flow *a, const struct flow *b);

/* True when both tuples, and so all address and port translation, are equal. */
bool flow_nat_equals(const struct flow *a, const struct flow *b);

/* True when the protocol's tuple has ports (TCP, UDP, UDP-Lite, SCTP, DCCP). */
bool flow_has_ports(uint8_t protocol);
bool flow_has_icmp(uint8_t protocol);

/* "tcp", "udplite", ...: the protocols of the enum above; NULL for any other. */
const char *flow_protocol_name(uint8_t protocol);

/*
 * Brings `known` forward by what `news` carries (news->present); parts that it doesn't carry stay.  Keys must
 * be equal. The kernel sends with an update only what changed (ctnetlink_conntrack_event()).  A part that an
 * event can't take away stays; a dump row, which carries all that is set, is no news for merging but a new
 * value.
 */
void flow_merge(struct flow *known, const struct flow *news);

/* Whether it is a TCP connection that is being closed, or is closed: it does not come back from that. */
bool flow_is_closing(const struct flow *flow);

/* -1, 0, 1: whether a's progress (TCP or SCTP state, status bits) is behind b's, equal, or ahead.  Used by
 * commit: a flow in the kernel is only brought forward.  TCP states count in the order of the enum, SYN_SENT2
 * beside SYN_SENT. */
int flow_progress_compare(const struct flow *a, const struct flow *b);

/* One line for logs and traces: "tcp 192.0.2.1:1024 -> 198.51.100.2:80 zone 3".  Returns `text`. */
enum { FLOW_TEXT_SIZE = 160 };
char *flow_key_print(const struct flow *flow, char text[FLOW_TEXT_SIZE]);

#endif
