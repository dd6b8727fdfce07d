/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon as a whole: its parts, in the order in which they are opened.  Created by daemon_open(), which
 * either has everything or leaves nothing behind.
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include "conf/config.h"
#include "syncd/daemon/ageing.h"
#include "syncd/daemon/control.h"
#include "syncd/daemon/drive.h"
#include "syncd/daemon/guard_fence.h"
#include "syncd/daemon/subscribe.h"
#include "syncd/daemon/transition.h"
#include "syncd/kernel/commit.h"
#include "syncd/kernel/timeouts.h"

struct daemon {
	const char *config_path;
	struct config config;
	struct log *log;
	struct loop *loop;
	struct control *control;
	struct interface_watch *interfaces;
	struct link_set *links;
	struct address_watch *addresses;
	struct loop_source *address_source;
	struct filter filter;
	struct commit *commit;
	struct watch *watch;
	struct audit *audit;
	struct ageing ageing;
	struct expectations expectations;
	struct guard_fence guard_fence;
	struct guard guard;
	struct node_config node_config; /* as the node has it */
	struct drive *drive;
	struct transition *transition;
	struct subscribers *subscribers; /* who listens for what happens to the tables */
	unsigned verifications;          /* that run */
	struct loop_timer housekeeping, guard_timer, log_timer;
	struct monotime started, links_due;
	struct limits limits;
	uint32_t conntrack_max, conntrack_buckets;
	long conntrack_events;                    /* the sysctl; -1: can't be read */
	bool is_open;                             /* all parts, the role is taken up */
	struct state saved_state;                 /* as we last wrote the state file, or tried to */
	enum frame_role file_role;                /* the wanted role that we last wrote or saw there */
	int state_error;                          /* of the last write of the state file */
	uint32_t term_before;                     /* highest term known from before this start */
	bool link_lacks_source[CONFIG_LINKS_MAX]; /* as the log was last told */
	uint64_t address_generation;              /* that the last pass has taken into account */
	uint64_t watchdog_us;                     /* systemd's; 0: none */
};

/* Opens everything and resumes the role.  On failure says why in `why`, and nothing is left.  0 or a negative
 * errno. */
int daemon_open(struct daemon *daemon, char *why, size_t size);
/* Runs until a signal ends it.  Returns the program's exit code. */
int daemon_run(struct daemon *daemon);
/* Closes everything that is open. */
void daemon_close(struct daemon *daemon);

/* What the node is to be told of the configuration, limits and links as they are now. */
void daemon_fill_node_config(struct daemon *daemon, struct node_config *config);
/* Has the node take daemon->node_config anew, if anything in it changed. */
void daemon_configure_node(struct daemon *daemon);
/* The kernel leaves out of its events what the filter, as it is now, keeps out for ever. */
void daemon_filter_events(struct daemon *daemon);

#endif
