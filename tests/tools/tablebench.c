/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tables cost: ns an operation and bytes a flow, for IPv4 TCP flows behind SNAT with a mark.
 * usage: tablebench [FLOWS]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proto/table.h"

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static size_t resident_bytes(void)
{
	unsigned long size = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (f && fscanf(f, "%lu %lu", &size, &resident) != 2)
		resident = 0;
	if (f)
		fclose(f);
	return resident * (size_t)sysconf(_SC_PAGESIZE);
}

static struct flow flow_number(uint32_t i)
{
	struct flow flow = {.family = FLOW_IPV4, .protocol = PROTOCOL_TCP};

	memcpy(flow.orig.src, (uint8_t[]){10, (uint8_t)(i >> 24), (uint8_t)(i >> 16), 1}, 4);
	memcpy(flow.orig.dst, (uint8_t[]){198, 51, 100, 2}, 4);
	flow.orig.sport = (uint16_t)i;
	flow.orig.dport = 443;
	flow.reply = flow_tuple_mirror(&flow.orig, flow.protocol);
	memcpy(flow.reply.dst, (uint8_t[]){192, 0, 2, 1}, 4);
	flow.reply.dport = (uint16_t)(i * 7 + 1);
	flow.present = FLOW_HAS_REPLY | FLOW_HAS_STATUS | FLOW_HAS_TIMEOUT | FLOW_HAS_MARK | FLOW_HAS_TCP;
	flow.status = 0x19e;
	flow.timeout_s = 432000;
	flow.mark = 0x10;
	flow.tcp.state = FLOW_TCP_ESTABLISHED;
	return flow;
}

static uint32_t scattered(uint32_t i, uint32_t flows)
{
	return (uint32_t)((uint64_t)i * 2654435761u % flows);
}

static void report(const char *what, double start_ns, uint32_t count)
{
	printf("%-28s %8.1f ns\n", what, (now_ns() - start_ns) / count);
}

static void bench_record(uint32_t flows)
{
	uint8_t record[RECORD_MAX];
	struct flow flow = flow_number(1);
	uint64_t sum = 0;
	size_t length;
	double start = now_ns();

	for (uint32_t i = 0; i < flows; i++) {
		flow.orig.sport = (uint16_t)i;
		sum += record_encode(&flow, record);
	}
	report("record_encode", start, flows);
	start = now_ns();
	for (uint32_t i = 0; i < flows; i++)
		sum += record_check(record, sizeof(record), &length);
	report("record_check", start, flows);
	start = now_ns();
	for (uint32_t i = 0; i < flows; i++) {
		record_decode(record, &flow);
		sum += flow.mark;
	}
	report("record_decode", start, flows);
	start = now_ns();
	for (uint32_t i = 0; i < flows; i++) {
		record[5] = (uint8_t)i;
		sum += record_hash(record);
	}
	report("record_hash", start, flows);
	printf("%-28s %8zu bytes (checksum %" PRIx64 ")\n", "record", record_length(record), sum);
}

static double slowest(double before, double start)
{
	double took = now_ns() - start;

	return took > before ? took : before;
}

static void bench_put(struct table *table, uint32_t flows, uint32_t status, const char *what)
{
	uint8_t record[RECORD_MAX];
	struct table_entry *entry;
	double start = now_ns(), worst = 0;

	for (uint32_t i = 0; i < flows; i++) {
		struct flow flow = flow_number(scattered(i, flows));
		double begin;

		flow.status = status;
		record_encode(&flow, record);
		begin = now_ns();
		table_put(table, record, &entry);
		worst = slowest(worst, begin);
		entry->flags |= TABLE_ENTRY_EXPOSED;
	}
	report(what, start, flows);
	printf("%-28s %8.1f us\n", "  slowest put", worst / 1000);
}

static void bench_find(const struct table *table, uint32_t flows)
{
	uint8_t key[RECORD_KEY_MAX];
	uint32_t found = 0;
	double start = now_ns();

	for (uint32_t i = 0; i < flows; i++) {
		struct flow flow = flow_number(scattered(i * 3 + 1, flows));
		struct record_key k = {.bytes = key, .length = record_encode_key(&flow, key)};

		found += table_find(table, k) != NULL;
	}
	report("encode key and find", start, flows);
	if (found != flows)
		printf("only %u of %u found\n", found, flows);
}

static void bench_walk(const struct table *table)
{
	struct table_walk walk = table_walk_after(table, 0, true);
	uint32_t count = 0;
	double start = now_ns();

	while (table_walk_next(&walk))
		count++;
	report("walk", start, count);
}

static void bench_seek(const struct table *table, uint32_t flows)
{
	uint64_t newest = table_newest(table), sum = 0;
	double start = now_ns();

	for (uint32_t i = 0; i < flows; i++) {
		struct table_walk walk = table_walk_after(table, scattered(i, (uint32_t)newest), true);

		sum += table_walk_next(&walk) != NULL;
	}
	report("start a walk", start, flows);
	if (sum != flows)
		printf("%" PRIu64 " walks found an entry\n", sum);
}

static void bench_remove(struct table *table, uint32_t flows)
{
	uint8_t key[RECORD_KEY_MAX];
	double start = now_ns(), worst = 0;

	for (uint32_t i = 0; i < flows; i++) {
		struct flow flow = flow_number(scattered(i, flows));
		struct record_key k = {.bytes = key, .length = record_encode_key(&flow, key)};
		double begin = now_ns();

		table_remove(table, table_find(table, k));
		worst = slowest(worst, begin);
	}
	report("find and remove", start, flows);
	printf("%-28s %8.1f us\n", "  slowest removal", worst / 1000);
}

static void print_memory(const struct table *table, size_t before, uint32_t flows)
{
	printf("%-28s %8.1f bytes a flow, resident %.1f\n", "memory", (double)table_memory(table) / flows,
	       (double)(resident_bytes() - before) / flows);
}

int main(int argc, char **argv)
{
	uint32_t flows = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
	size_t before = resident_bytes();
	struct table *table = table_create(flows, flows / 2, 0x5eed);

	if (!table || !flows)
		return 1;
	printf("%u flows; puts and finds include building the flow and encoding\n", flows);
	bench_record(flows);
	bench_put(table, flows, 0x188, "put, new");
	print_memory(table, before, flows);
	bench_put(table, flows, 0x18e, "put, replacing");
	print_memory(table, before, flows);
	bench_put(table, flows, 0x18e, "put, same");
	bench_put(table, flows / 2, 0x188, "put, replacing half");
	print_memory(table, before, flows);
	bench_find(table, flows);
	bench_walk(table);
	bench_seek(table, flows);
	bench_remove(table, flows);
	print_memory(table, before, flows);
	table_destroy(table);
	return 0;
}
