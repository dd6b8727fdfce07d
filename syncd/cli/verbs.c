/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of verbs: what each is called with, and what its help says. */
#include "syncd/cli/cli.h"

#define JSON_OPTION                                                                                          \
	{                                                                                                    \
		"json", NULL, "print what the daemon says as one JSON object"                                \
	}

const struct cli_verb cli_verbs[] = {
    {
	.name = "status",
	.summary = "would a failover now be safe? roles, peers, links, problems",
	.help = "Shows the state of this node and of its peers.  The first line says whether a failover\n"
		"now would keep the connections; what stands in its way follows.\n",
	.options = {JSON_OPTION},
	.run = status_run,
    },
    {
	.name = "top",
	.summary = "the same live: peers, links, rates, lag; for a terminal",
	.help =
	    "Shows on a terminal, again and again, whether a failover now would keep the connections, the\n"
	    "peers with the age of each proof of equality, the links with what they lose, and rates over\n"
	    "time.  A daemon that does not answer is asked again.  The last line names the keys: q quits, p\n"
	    "pauses, + and - change the interval, the space bar looks at once, the arrows go through the peers.\n"
	    "Exit code 2: there is no terminal; 3: --once, and no daemon.\n",
	.options = {{"interval", "T", "look each T: 500ms, 2s, from 100ms to 60m (default: 2s)"},
		    {"once", NULL, "print it as text, once, after one interval; needs no terminal"}},
	.run = top_run,
    },
    {
	.name = "primary",
	.summary = "take over: commit the peers' flows, open the fence",
	.help = "Makes this node the primary: what it holds for its peers goes into the kernel, then the\n"
		"fence opens.  The wanted role is written down first, so that a daemon that is down or dies\n"
		"meanwhile takes it at its start (exit code 3).  To repeat it does no harm.\n"
		"Flows that clash or that the kernel refuses are counted; they are no failure.\n",
	.options = {JSON_OPTION},
	.run = steps_run_role,
    },
    {
	.name = "backup",
	.summary = "step back: close the fence, follow the primary",
	.help = "Makes this node a backup.  The wanted role is written down first, so that a daemon that is\n"
		"down or dies meanwhile takes it at its start (exit code 3).\n",
	.options = {JSON_OPTION},
	.run = steps_run_role,
    },
    {
	.name = "fault",
	.summary = "as backup, and ask not to be promoted",
	.help = "Like backup, but tells the peers that this node had better not be promoted.\n",
	.options = {JSON_OPTION},
	.run = steps_run_role,
    },
    {
	.name = "commit",
	.summary = "write the peers' flows into the kernel, and nothing else",
	.help = "Commits the external tables into the kernel without a change of role.\n",
	.options = {JSON_OPTION},
	.run = steps_run,
    },
    {
	.name = "resync",
	.summary = "fetch the peers' whole tables anew",
	.help = "Asks the peers for a full catch-up.  What is held for them stays until it is complete.\n",
	.options = {{"peer", "N", "only from the node with this id"}, JSON_OPTION},
	.run = steps_run,
    },
    {
	.name = "flush",
	.operand = "internal|external|kernel",
	.summary = "empty a table: internal, external or kernel",
	.help = "internal   forget the internal table, and read it anew from the kernel\n"
		"external   forget what is held for the peers; from those that live it is fetched anew\n"
		"kernel     delete every flow of this host's kernel: connections may break\n",
	.options = {JSON_OPTION},
	.run = steps_run_flush,
    },
    {
	.name = "health",
	.summary = "one line and an exit code, for keepalived and pacemaker",
	.help =
	    "Says whether this node may hold or take the address: 0 yes, 1 no, 3 no daemon.\n"
	    "A primary may, with or without peers; a backup may not while a live primary exists and their\n"
	    "tables are not proven equal.\n",
	.options = {{"strict", NULL, "1 for any degradation: unprotected, suspect, full, no fence ..."}},
	.run = steps_run_health,
    },
    {
	.name = "wait-synced",
	.summary = "wait until the peers are proven equal, both ways",
	.help =
	    "Waits until at least N live peers and this node are proven to hold equal tables, both ways.\n"
	    "0: they are; 1: not in time; 3: no daemon answers when it starts to wait.\n",
	.options = {{"timeout", "T", "at most this long: 30s, 500ms, 2m (default: 60s)"},
		    {"peers", "N", "how many peers (default: 1)"}},
	.run = wait_run,
    },
    {
	.name = "metrics",
	.summary = "counters and states as OpenMetrics text",
	.help =
	    "Prints the daemon's counters and states in the OpenMetrics text format, or in the older one that\n"
	    "node_exporter's textfile collector reads.\n",
	.options = {{"textfile", NULL, "the older text format of Prometheus, for a textfile collector"}},
	.run = steps_run_metrics,
    },
    {
	.name = "exporter",
	.summary = "serve metrics, health and a page over HTTP",
	.help =
	    "Serves /metrics for Prometheus, /healthz (200 or 503), and / , a page that shows the pair, until\n"
	    "SIGTERM.  It is a process without rights, asks the daemon like every reader, and as root goes on\n"
	    "as the user nobody.  Whoever reaches the address may read: keep it on the loopback, or filter.\n",
	.options = {{"listen", "ADDR:PORT", "where to listen (default: 127.0.0.1:9789)"}},
	.run = exporter_run,
    },
    {
	.name = "verify",
	.summary = "compare kernel and tables, here and at the peers",
	.help = "Dumps the kernel, compares it with the internal table, and our digests with the peers'.\n"
		"0: equal; 1: not, and in what.\n",
	.run = steps_run,
    },
    {
	.name = "reload",
	.summary = "read the configuration anew",
	.help = "Takes over what may change in a running daemon, and names what needs a restart.\n",
	.options = {JSON_OPTION},
	.run = steps_run,
    },
    {
	.name = "genkey",
	.operand = "FILE",
	.summary = "make a key file for [sync] key-file",
	.help = "Writes 32 random bytes to a new file with mode 0600.  Never overwrites a file.\n"
		"Every node needs the same key: copy it over a secure channel.\n",
	.run = local_run_genkey,
    },
    {
	.name = "check-config",
	.operand = "FILE",
	.summary = "check a configuration file of twintrackd",
	.help = "Prints each mistake as FILE:LINE: what is wrong, what is allowed.  0: none; 2: some.\n",
	.run = local_run_check_config,
    },
    {
	.name = "import-config",
	.operand = "FILE",
	.summary = "translate a conntrackd.conf into our configuration",
	.help =
	    "Prints our configuration, made from FILE, conntrackd's own, on standard output; and on standard\n"
	    "error, line by line, what has no counterpart or another meaning here, and why.\n"
	    "0: done; 2: FILE cannot be read.\n",
	.options = {{"id", "N", "the id of the node that it is for (default: 1)"}},
	.run = import_run,
    },
    {
	.name = "version",
	.summary = "print the version of this command",
	.help = "Prints the version of this command; `twintrack status' shows that of the peers' daemons.\n",
	.run = local_run_version,
    },
    {0},
};
