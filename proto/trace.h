/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events and datagrams as one readable line each, for tests that compare runs and for people who debug them.
 */
#ifndef PROTO_TRACE_H
#define PROTO_TRACE_H

#include "proto/node.h"

enum { TRACE_LINE_SIZE = 512 };

/* "12.345678 flow-new tcp 192.0.2.1:1 -> 198.51.100.1:80".  Returns `line`. */
char *trace_event(const struct node_event *event, char line[TRACE_LINE_SIZE]);

/* A datagram's clear header: "node 1 session 0a1b2c3d packet 7 length 1400".  Returns `line`. */
char *trace_datagram(const uint8_t *bytes, size_t length, char line[TRACE_LINE_SIZE]);

#endif
