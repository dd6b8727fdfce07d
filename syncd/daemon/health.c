/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/health.h"

#include "syncd/daemon/clock.h"
#include "syncd/daemon/problems.h"

#include <stdio.h>

/* The first live primary whose table we can't prove to hold.  False: none. */
static bool find_unproven(const struct daemon *daemon, const struct node_view *view, struct monotime now,
			  struct node_peer_view *peer)
{
	for (unsigned i = 0; i < view->peers; i++) {
		node_peer_view(drive_node(daemon->drive), now, i, peer);
		if (peer->alive && peer->role == FRAME_ROLE_PRIMARY && !peer->holds.in_sync)
			return true;
	}
	return false;
}

int health_judge(const struct daemon *daemon, bool strict, char line[HEALTH_LINE_SIZE])
{
	struct monotime now = clock_now();
	struct node_view view;
	struct node_peer_view peer;
	node_view(drive_node(daemon->drive), now, &view);
	const char *role = frame_role_name(view.role);
	if (view.role != FRAME_ROLE_PRIMARY && find_unproven(daemon, &view, now, &peer)) {
		snprintf(line, HEALTH_LINE_SIZE, "%s: our copy of the primary, node %u, is not proven: %s",
			 role, peer.id, peer.holds.reason);
		return 1;
	}
	int exit_code = 0;
	snprintf(line, HEALTH_LINE_SIZE, "%s: healthy", role);
	struct problems *problems = problems_find(daemon, &view, now);
	for (size_t i = 0; problems != NULL && i < problems->count; i++) {
		if (!problems->list[i].is_degradation)
			continue;
		exit_code = strict ? 1 : 0;
		snprintf(line, HEALTH_LINE_SIZE, "%s: %s%s", role,
			 strict ? "" : "may hold or take the address; ", problems->list[i].text);
		break;
	}
	problems_free(problems);
	return exit_code;
}
