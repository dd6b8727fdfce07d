/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state file: what must survive the daemon within one boot.  It lies beside the control socket
 * (SOCKET.state); the command writes the wanted role there before it tells the daemon, so that a daemon that
 * is down, or dies meanwhile, finds it at its start.  Text, one "name value" a line; unknown names are left
 * out.  Written to a new file, then renamed: a reader sees the old one or the new one, whole.  On a full file
 * system the old file's room is written over instead.
 */
#ifndef CONTROL_STATE_H
#define CONTROL_STATE_H

#include "proto/frame.h"

#include <netinet/in.h>

enum { STATE_ADDRESSES_MAX = 1024, STATE_BOOT_ID_SIZE = 37 };

struct state_address {
	uint8_t family; /* AF_INET, AF_INET6 */
	uint8_t bytes[16];
};

struct state {
	char boot_id[STATE_BOOT_ID_SIZE]; /* as /proc/sys/kernel/random/boot_id has it */
	enum frame_role role;             /* wanted; FRAME_ROLE_INIT: none was asked for */
	enum frame_role reached; /* that the daemon had; another than the wanted: it did not get there */
	uint32_t term;           /* the highest that is known */
	uint32_t own_term;       /* of our own last takeover in this boot; 0: none */
	bool
	    leftovers; /* the kernel may hold flows of a time as primary, or of a takeover that did not end */
	uint64_t
	    netns_cookie; /* of the network namespace whose kernel that is (SO_NETNS_COOKIE); 0: unknown */
	bool has_addresses;
	size_t address_count; /* own addresses as last known; those that are virtual are not among them */
	struct state_address addresses[STATE_ADDRESSES_MAX];
};

/* This boot's id.  0 or a negative errno. */
int state_read_boot_id(char boot_id[STATE_BOOT_ID_SIZE]);

/*
 * Reads the state file that belongs to a control socket.  A file of another boot yields the term alone, all
 * else as if it were not there.  0; -ENOENT: there is none; -EINVAL: it is none of ours, or damaged; or
 * another negative errno. *state is set whole in any case, with this boot's id.
 */
int state_read(const char *socket, struct state *state);

/* Forgets all that speaks of a kernel: what the daemon does when it finds another one than the file's. */
void state_forget_kernel(struct state *state);

/* Writes it, mode 0600, and makes its directory if that is missing.  0 or a negative errno; on failure the
 * old file stays. */
int state_write(const char *socket, const struct state *state);

/* Changes the wanted role alone: read, change, write.  0 or a negative errno. */
int state_write_role(const char *socket, enum frame_role role);

/* Makes the directory that the socket and the state file lie in, mode 0755 (parents too).  0 or a negative
 * errno. */
int state_make_directory(const char *socket);

#endif
