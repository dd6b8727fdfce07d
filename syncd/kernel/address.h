/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * This host's own addresses, followed through rtnetlink: the set that `ignore-local` asks for each flow, and
 * the changes from which the fence learns the virtual addresses.
 */
#ifndef SYNCD_KERNEL_ADDRESS_H
#define SYNCD_KERNEL_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* more own addresses than this are not held; address_watch_overflow() counts what was left out */
#define ADDRESS_MAX 65536

/* An address with a prefix length, in network byte order.  IPv4 fills the first four bytes; the others are 0.
 */
struct address_prefix {
	uint8_t family; /* AF_INET or AF_INET6 */
	uint8_t length; /* in bits: at most 32 or 128 */
	uint8_t bytes[16];
};

/* One address of one interface, as the kernel reports it. */
struct address {
	struct address_prefix prefix; /* the host's own address, and the prefix length of its subnet */
	uint8_t remote[16]; /* the other end of a point-to-point address, else the same as prefix.bytes */
	uint32_t ifindex;
	uint32_t flags;   /* IFA_F_... of linux/if_addr.h */
	uint8_t protocol; /* IFA_PROTO: who made it; 0 when unknown (before Linux 5.18 always) */
	bool is_finite;   /* it has a limited lifetime: DHCP, router advertisement */
};

enum address_change { ADDRESS_ADDED, ADDRESS_REMOVED, ADDRESS_ALTERED /* flags, lifetime or maker only */ };

/* Called for each change, from address_watch_read(), when the set already holds (or no longer holds) it. */
typedef void (*address_change_fn)(void *context, enum address_change change, const struct address *address);
typedef void (*address_visit_fn)(void *context, const struct address *address);

struct address_set;
struct address_watch;

/*
 * Subscribes in the network namespace of the caller, then reads what is there: when it returns 0 the set is
 * whole. The change callback (may be NULL) is not called for what was there; walk the set for that.  On
 * success the caller owns *watch and closes it with address_watch_close().  Returns 0 or a negative errno.
 */
int address_watch_open(struct address_watch **watch, address_change_fn changed, void *context);
void address_watch_close(struct address_watch *watch);

/* The descriptor to poll for reading. */
int address_watch_fd(const struct address_watch *watch);

/*
 * Takes in what is waiting, without blocking, and at most a bounded part of it.  When events were lost
 * (ENOBUFS) it reads all addresses anew and reports the difference.  Returns the number of changes, or a
 * negative errno; after an error the set is what it was, and the next call reads all anew.
 */
int address_watch_read(struct address_watch *watch);

/* The set, which the watch owns and keeps current. */
const struct address_set *address_watch_set(const struct address_watch *watch);

/* Raised by one with every address added or removed; so a reader sees that something changed. */
uint64_t address_watch_generation(const struct address_watch *watch);

/* How often events were lost and all was read anew. */
uint64_t address_watch_resyncs(const struct address_watch *watch);

/* How many addresses beyond ADDRESS_MAX were left out. */
uint64_t address_watch_overflow(const struct address_watch *watch);

/* Is this one of the host's own addresses?  127/8 and ::1 always are.  O(1).  Any other family: false. */
bool address_set_contains(const struct address_set *set, uint8_t family, const uint8_t *bytes);

/* The number of addresses; one that two interfaces bear counts twice. */
size_t address_set_count(const struct address_set *set);

/* Calls visit for each address, in no particular order.  The set must not change meanwhile. */
void address_set_walk(const struct address_set *set, address_visit_fn visit, void *context);

/*
 * May this address, having appeared now, be a virtual one?  Not when its lifetime is finite or the kernel
 * made it itself.  On kernels that don't tell the maker (before 5.18) a link-local address counts as made by
 * the kernel.
 */
bool address_may_be_virtual(const struct address *address);

#endif
