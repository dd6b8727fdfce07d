/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names of connection labels, from the file that iptables and conntrack(8) use: a bit and a name on each
 * line.
 */
#ifndef CLI_LABELS_H
#define CLI_LABELS_H

#include <stdbool.h>
#include <stdint.h>

enum { LABEL_BITS = 128, LABEL_NAME_MAX = 64 };
#define LABELS_PATH "/etc/xtables/connlabel.conf"

struct labels {
	bool is_open;
	char name[LABEL_BITS][LABEL_NAME_MAX]; /* "": the bit has none */
};

/* Reads the file, once.  0 or a negative errno. */
int labels_open(struct labels *labels, const char *path);

/* The bit of a name; -1: there is none. */
int labels_find(const struct labels *labels, const char *name);

#endif
