/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sync links: one UDP socket for each, bound to its interface, to a multicast group or to given peers.
 * Sends and receives in batches.  An interface that goes down, away, or comes back later is followed.
 */
#ifndef DAEMON_LINK_H
#define DAEMON_LINK_H

#include "conf/config.h"
#include "proto/node.h"
#include "syncd/daemon/interface.h"
#include "syncd/daemon/log.h"

struct link_set;

enum link_problem_kind {
	LINK_GOOD,
	LINK_INTERFACE_MISSING,
	LINK_INTERFACE_DOWN,
	LINK_NO_CARRIER,
	LINK_SOCKET_FAILED
};

struct link_statistics {
	char interface[CONFIG_INTERFACE_SIZE];
	unsigned ifindex; /* of the interface as it was last seen; 0: none */
	bool is_open;     /* it has a socket */
	enum link_problem_kind problem;
	int error; /* of LINK_SOCKET_FAILED: negative errno */
	uint32_t mtu;
	size_t send_buffer, receive_buffer; /* bytes, as the kernel granted them */
	uint64_t sent, sent_bytes, received, received_bytes;
	uint64_t send_full;   /* datagrams dropped here: the socket's buffer or the device's queue was full
				 (EAGAIN, ENOBUFS) */
	uint64_t send_failed; /* dropped for another reason */
	int send_error;       /* the last such reason, negative errno */
	uint64_t receive_dropped; /* by the kernel: our receive buffer was full (SO_RXQ_OVFL) */
};

/*
 * Opens a socket for each link of the configuration.  One whose interface is missing or down is told in the
 * log, and opened by link_follow() when it has come.  Fails if a socket can't be had: then `why` (of `size`
 * bytes) says what to do.  0 or a negative errno.  config, watch and log must outlive the set.
 */
int link_set_open(struct link_set **set, const struct config *config, const struct interface_watch *watch,
		  struct log *log, char *why, size_t size);
void link_set_close(struct link_set *set); /* NULL is fine */

unsigned link_count(const struct link_set *set);
int link_fd(const struct link_set *set, unsigned link); /* -1: not open now */

/* UDP payload that fits every open link, from the configured and the interfaces' MTUs; may change with
 * link_follow(). */
size_t link_payload_max(const struct link_set *set);

/* Queues a datagram (copied): to the group or every configured peer (to == NULL), or to an address.  Sends
 * when the batch is full. */
void link_send(struct link_set *set, unsigned link, const struct node_endpoint *to, const uint8_t *bytes,
	       size_t length);
/* Sends what is queued on all links. */
void link_flush(struct link_set *set);

enum { LINK_BATCH = 32 }; /* datagrams in a system call */

typedef void link_datagram(void *context, unsigned link, const struct node_endpoint *from,
			   const uint8_t *bytes, size_t length);
/* Receives one batch; returns how many datagrams it had, or a negative errno.  Fewer than LINK_BATCH: nothing
 * waited any more. */
int link_receive(struct link_set *set, unsigned link, link_datagram *datagram, void *context);

/* Opens, closes and joins anew as the interfaces' state demands.  Returns a bit for each link whose
 * descriptor changed. */
unsigned link_follow(struct link_set *set);

void link_statistics(const struct link_set *set, unsigned link, struct link_statistics *statistics);
/* In words, empty if good. */
void link_problem_text(const struct link_statistics *statistics, char *text, size_t size);

/* "192.0.2.1:9788", "[fe80::1]:9788", "" for none. */
enum { LINK_ENDPOINT_TEXT_SIZE = 64 };
char *link_endpoint_print(const struct node_endpoint *endpoint, char text[LINK_ENDPOINT_TEXT_SIZE]);

/* The payload that fits an MTU: less IP and UDP headers, at most FRAME_PAYLOAD_MAX. */
size_t link_payload_of_mtu(uint32_t mtu, int family);

#endif
