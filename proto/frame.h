/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Datagrams and messages: layout, reading and writing.  All numbers in network byte order.
 *
 * Datagram:
 *
 *     0                   1                   2                   3
 *     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *    +---------------------------------------------------------------+
 *  0 |                       magic "TwTk"                            |
 *    +---------------+---------------+-------------------------------+
 *  4 |    version    |    cipher     |            node id            |
 *    +---------------+---------------+-------------------------------+
 *  8 |                            key id                             |
 *    +---------------------------------------------------------------+
 * 12 |                      session (128 bits)                       |
 *    |                              ...                              |
 *    +---------------------------------------------------------------+
 * 28 |                             salt                              |
 *    +---------------------------------------------------------------+
 * 32 |                  packet number (64 bits)                      |
 *    |                                                               |
 *    +===============================================================+  <- sealed from here
 * 40 |      destination node         |  counter of datagrams sent    |
 *    +-------------------------------+                               +
 * 44 |  to that destination          |  messages ...                 |
 *    +-------------------------------+                               |
 *    |                                                               |
 *    +===============================================================+
 *    |                      tag (128 bits)                           |
 *    +---------------------------------------------------------------+
 *
 * Destination 0 is the group.  Message: type (1), length of the body (2), body.
 */
#ifndef PROTO_FRAME_H
#define PROTO_FRAME_H

#include "proto/buf.h"
#include "proto/record.h"
#include "proto/seal.h"

enum {
	FRAME_VERSION = 1,
	FRAME_HEADER_SIZE = 40,
	FRAME_INNER_SIZE = 6,
	FRAME_MESSAGE_HEADER_SIZE = 3,
	FRAME_OVERHEAD = FRAME_HEADER_SIZE + FRAME_INNER_SIZE + SEAL_TAG_SIZE,
	FRAME_PAYLOAD_MIN = 1180, /* smallest UDP payload that a link may have: IPv6's least MTU, 1280, less
				     headers and some */
	FRAME_PAYLOAD_MAX = 8952, /* largest that we send or take: an MTU of 9000 */
	FRAME_NODES_MAX = 16,     /* with ourselves */
	FRAME_PEERS_MAX = FRAME_NODES_MAX - 1,
	FRAME_SOFTWARE_SIZE = 24,
	FRAME_HOLES_MAX = 16, /* in a STATUS to one peer; to the group, one for each peer */
};

#define FRAME_MAGIC 0x5477546bu

struct frame_header {
	uint8_t version;
	uint8_t cipher; /* enum seal_cipher */
	uint16_t node_id;
	uint32_t key_id;
	struct seal_session_id session;
	uint32_t salt;
	uint64_t packet_number;
};

enum frame_verdict { FRAME_GOOD, FRAME_TOO_SHORT, FRAME_BAD_MAGIC, FRAME_OTHER_VERSION, FRAME_MALFORMED };

/* Reads and judges the clear header: that the datagram can hold one and is ours; node id 0 and packet number
 * 0 are malformed. */
enum frame_verdict frame_header_read(const uint8_t *bytes, size_t length, struct frame_header *header);
void frame_header_write(struct writer *w, const struct frame_header *header);
void frame_nonce(const struct frame_header *header, uint8_t nonce[SEAL_NONCE_SIZE]);

enum frame_type { FRAME_STATUS = 1, FRAME_DATA = 2 };

enum frame_role { FRAME_ROLE_INIT, FRAME_ROLE_PRIMARY, FRAME_ROLE_BACKUP, FRAME_ROLE_FAULT, FRAME_ROLES };

/* "init", "primary", "backup", "fault" */
const char *frame_role_name(enum frame_role role);

enum frame_status_flag {
	FRAME_STATUS_COMPLETE = 1 << 0,      /* the first dump is merged */
	FRAME_STATUS_SUSPECT = 1 << 1,       /* events were lost, no clean audit since */
	FRAME_STATUS_REFUSED = 1 << 2,       /* its internal table is at max-flows and had to refuse flows */
	FRAME_STATUS_ACTIVE_ACTIVE = 1 << 3, /* mode */
	FRAME_STATUS_LEAVING = 1 << 4,       /* its last: it stops on purpose */
};

enum frame_peer_flag {
	FRAME_PEER_CURRENT = 1 << 0,      /* that session is fresh for the sender of this status */
	FRAME_PEER_OVERFLOWED = 1 << 1,   /* the sender can't hold all flows of that peer */
	FRAME_PEER_INCOMPATIBLE = 1 << 2, /* it met critical attributes that it doesn't know */
};

/* Versions in (from, to] did not arrive. */
struct frame_hole {
	uint64_t from, to;
};

/* What the sender of a STATUS says to one node that it hears. */
struct frame_peer {
	uint16_t node_id;
	uint8_t flags; /* enum frame_peer_flag */
	struct seal_session_id session;
	uint64_t challenge;  /* drawn by the sender for that session */
	uint64_t echo;       /* of the challenge that this peer last drew for the sender; 0: none heard */
	uint64_t applied;    /* version; of a running full catch-up: how far that one is */
	uint64_t proven;     /* the last version proven equal, + 1; 0: none in this session */
	uint8_t holes_count; /* what is missing between `applied` and what is stashed, ascending; the first
				starts there */
	struct frame_hole holes[FRAME_HOLES_MAX];
	uint32_t window;  /* bytes of datagrams that may be under way beyond `applied` */
	uint32_t full_id; /* of the full catch-up that is wanted or running; 0: none */
	uint64_t stamp;   /* the peer's latest stamp that the sender heard ... */
	uint32_t held_us; /* ... and how long ago */
};

/* Whose table was committed, and how far (claims). */
struct frame_claim {
	uint16_t node_id;
	struct seal_session_id session;
	uint64_t version;
};

struct frame_kernel_instance {
	uint8_t boot_id[16];
	uint64_t netns_cookie;
};

struct frame_status {
	uint8_t role;  /* enum frame_role */
	uint8_t flags; /* enum frame_status_flag */
	uint32_t term;
	struct frame_kernel_instance instance;
	uint64_t newest, horizon;
	uint32_t count;     /* live flows, as of newest */
	uint64_t digest;    /* as of newest */
	uint64_t frozen_at; /* hand-over: V_end; 0: not frozen */
	uint64_t stamp;     /* the sender's clock, us; opaque to others */
	uint32_t heartbeat_us;
	uint32_t conntrack_max, conntrack_buckets;
	uint32_t filters; /* hash of the filter configuration; 0: none but the default */
	char software[FRAME_SOFTWARE_SIZE];
	uint8_t peers_count;
	struct frame_peer peers[FRAME_PEERS_MAX + 1];
	uint8_t claims_count;
	struct frame_claim claims[FRAME_PEERS_MAX];
};

/*
 * Writes a whole message (type and length included).  What does not fit is left out: first holes, then peers
 * from the end, claims before either.  Returns how many peers it names: all 16 fit the payload of an MTU of
 * 1500; FRAME_PAYLOAD_MIN takes 15 while versions are below 2^35, and 13 whatever they are.
 */
unsigned frame_status_write(struct writer *w, const struct frame_status *status);

/* Reads a body.  0, or -EINVAL: malformed, or beyond a bound.  Bytes behind what this version knows are
 * skipped. */
int frame_status_read(struct reader body, struct frame_status *status);

enum frame_data_flag {
	FRAME_DATA_TAIL = 1 << 0, /* to == asof: count and digest as of `to` follow */
	FRAME_DATA_FULL = 1 << 1, /* part of the full catch-up `full_id` */
};

/* "These are all the flows whose version lies in (from, to], as of my newest version asof." */
struct frame_data {
	uint64_t from, to, asof; /* from <= to <= asof */
	uint8_t flags;           /* enum frame_data_flag */
	uint32_t full_id;
	uint32_t count;
	uint64_t digest;
	struct reader entries; /* over the datagram's bytes (reading) */
};

enum { FRAME_DATA_HEADER_MAX = FRAME_MESSAGE_HEADER_SIZE + 1 + 3 * 10 + 4 + 4 + 8 };

/* Reads a body; entries are left for frame_entry_read().  0 or -EINVAL. */
int frame_data_read(struct reader body, struct frame_data *data);

/*
 * An entry is a record as it is (its first byte, the length, is never below 3), or one byte that says what
 * happened (1 destroy, 2 withdraw) and the key.
 */
enum frame_entry_kind { FRAME_ENTRY_UPSERT, FRAME_ENTRY_DESTROY, FRAME_ENTRY_WITHDRAW };

struct frame_entry {
	enum frame_entry_kind kind;
	const uint8_t *record;       /* upsert: borrowed from the datagram */
	struct record_key key;       /* destroy, withdraw: borrowed */
	enum record_verdict verdict; /* upsert: RECORD_GOOD or RECORD_INCOMPATIBLE */
};

/* 1: *entry is set; 0: the end; -EINVAL: malformed. */
int frame_entry_read(struct reader *entries, struct frame_entry *entry);

/* Writes a DATA message piece by piece: begin, entries, end. */
struct frame_data_writer {
	struct writer *w;
	uint8_t *header; /* the message's start */
	size_t header_size;
};

/* Leaves room for the header; false if not even an empty message fits. */
bool frame_data_begin(struct frame_data_writer *d, struct writer *w);
/* False, and nothing is written, if it doesn't fit. */
bool frame_data_put_record(struct frame_data_writer *d, const uint8_t *record);
bool frame_data_put_key(struct frame_data_writer *d, enum frame_entry_kind kind, struct record_key key);
/* Fills the header in (data->entries is not looked at) and closes the message. */
void frame_data_end(struct frame_data_writer *d, const struct frame_data *data);

#endif
