/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Expectations, printed: default and xml byte for byte as conntrack(8) 1.4.7 does, which knows no other
 * formats of them; json besides.
 */
#include "syncd/cli/conntrack/expectation.h"
#include "syncd/cli/conntrack/format_parts.h"

#include <string.h>
#include <sys/time.h>

static const struct {
	uint32_t bit;
	const char *word, *element;
} flag_names[] = {
    {EXPECTATION_PERMANENT, "PERMANENT", "<permanent/>"},
    {EXPECTATION_INACTIVE, "INACTIVE", "<inactive/>"},
    {EXPECTATION_USERSPACE, "USERSPACE", "<userspace/>"},
};
enum { FLAGS = sizeof(flag_names) / sizeof(flag_names[0]) };

/* ---- default ---- */

static char *put_prefixed(char *at, const char *prefix, const struct expectation *expectation,
			  const struct expectation_tuple *from)
{
	at = put_text(put_text(at, prefix), "-src=");
	at = put_text(format_put_address(at, expectation->family, from->tuple.src), " ");
	at = put_text(put_text(at, prefix), "-dst=");
	at = format_put_address(at, expectation->family, from->tuple.dst);
	return format_put_ports(at, from->protocol, &from->tuple);
}

static char *put_flags(char *at, uint32_t flags)
{
	const char *before = "";

	for (unsigned i = 0; i < FLAGS; i++) {
		if (!(flags & flag_names[i].bit))
			continue;
		at = put_text(put_text(at, before), flag_names[i].word);
		before = ",";
	}
	return *before ? put_text(at, " ") : at;
}

static char *put_attributes(char *at, const struct expectation *expectation)
{
	if (expectation->has_zone)
		at = put_text(put_u64(put_text(at, "zone="), expectation->zone), " ");
	at = put_flags(at, expectation->flags);
	if (expectation->has_class)
		at = put_text(put_u64(put_text(at, "class="), expectation->class), " ");
	if (*expectation->helper)
		at = format_put_foreign(put_text(at, "helper="), expectation->helper, EXPECTATION_NAME_SIZE);
	return at;
}

static char *put_now(char *at)
{
	struct timeval now;

	gettimeofday(&now, NULL);
	return format_put_time(at, now.tv_sec, (uint32_t)now.tv_usec);
}

static void print_default(struct format_dump *dump, const struct expectation *expectation)
{
	char *at = output_room(dump->output);

	if (dump->flags & FORMAT_TIMESTAMP)
		at = put_now(at);
	if (dump->event)
		at = format_put_kind(at, dump->event->kind);
	at = put_text(put_u64(at, expectation->timeout_s), " proto=");
	at = put_text(put_u64(at, expectation->expected.protocol), " ");
	at = format_put_tuple(at, expectation->family, expectation->expected.protocol,
			      &expectation->expected.tuple);
	at = put_prefixed(at, "mask", expectation, &expectation->mask);
	at = put_prefixed(at, "master", expectation, &expectation->master);
	at = put_attributes(at, expectation);
	at[-1] = '\n'; /* the last blank */
	output_commit(dump->output, at);
}

const struct expectation_format expectation_default = {.row = print_default};

/* ---- xml ---- */

static char *put_layer3(char *at, const char *name, uint8_t family, const struct expectation_tuple *from)
{
	at = put_text(put_text(put_text(at, "<"), name), "><src>");
	at = put_text(format_put_address(at, family, from->tuple.src), "</src><dst>");
	at = put_text(format_put_address(at, family, from->tuple.dst), "</dst></");
	return put_text(put_text(at, name), ">");
}

static char *put_layer4(char *at, const char *name, const struct expectation_tuple *from)
{
	at = put_text(put_text(put_text(at, "<"), name), ">");
	if (flow_has_ports(from->protocol)) {
		at = format_xml_put_number(at, "sport", from->tuple.sport);
		at = format_xml_put_number(at, "dport", from->tuple.dport);
	} else if (from->protocol == PROTOCOL_GRE) {
		at = put_text(put_hex(put_text(at, "<srckey>0x"), from->tuple.sport), "</srckey>");
		at = put_text(put_hex(put_text(at, "<dstkey>0x"), from->tuple.dport), "</dstkey>");
	}
	return put_text(put_text(put_text(at, "</"), name), ">");
}

static char *put_meta(char *at, const struct format_dump *dump, const struct expectation *expectation)
{
	struct timeval now;

	at = put_text(at, "<meta>");
	if (*expectation->helper)
		at = format_xml_put_string(at, "helper-name", expectation->helper, EXPECTATION_NAME_SIZE);
	at = format_xml_put_number(at, "timeout", expectation->timeout_s);
	if (expectation->has_class)
		at = format_xml_put_number(at, "class", expectation->class);
	if (expectation->has_zone)
		at = format_xml_put_number(at, "zone", expectation->zone);
	if (dump->flags & FORMAT_TIMESTAMP) {
		gettimeofday(&now, NULL);
		at = format_xml_put_when(at, now.tv_sec);
	}
	for (unsigned i = 0; i < FLAGS; i++)
		if (expectation->flags & flag_names[i].bit)
			at = put_text(at, flag_names[i].element);
	return put_text(at, "</meta>");
}

static void print_xml(struct format_dump *dump, const struct expectation *expectation)
{
	static const char *const starts[] = {"<flow type=\"new\">", "<flow type=\"update\">",
					     "<flow type=\"destroy\">"};
	uint8_t family = expectation->family;
	char *at = output_room(dump->output);

	if (!dump->has_begun)
		at = put_text(at, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<expect>\n");
	dump->has_begun = true;
	at = put_text(at, dump->event ? starts[dump->event->kind] : "<flow>");
	at = put_text(at, family == FLOW_IPV6 ? "<layer3 protonum=\"10\" protoname=\"ipv6\">"
					      : "<layer3 protonum=\"2\" protoname=\"ipv4\">");
	at = put_layer3(at, "expected", family, &expectation->expected);
	at = put_layer3(at, "mask", family, &expectation->mask);
	at = put_layer3(at, "master", family, &expectation->master);
	at = put_u64(put_text(at, "</layer3><layer4 protonum=\""), expectation->expected.protocol);
	at = put_text(put_text(at, "\" protoname=\""), format_protocol_name(expectation->expected.protocol));
	at = put_layer4(put_text(at, "\">"), "expected", &expectation->expected);
	at = put_layer4(at, "mask", &expectation->mask);
	at = put_layer4(at, "master", &expectation->master);
	at = put_meta(put_text(at, "</layer4>"), dump, expectation);
	output_commit(dump->output, put_text(at, "</flow>\n"));
}

static void end_xml(struct format_dump *dump)
{
	if (dump->has_begun)
		output_commit(dump->output, put_text(output_room(dump->output), "</expect>\n"));
}

const struct expectation_format expectation_xml = {.row = print_xml, .end = end_xml};

/* ---- json ---- */

static char *put_json_tuple(char *at, const char *name, uint8_t family, const struct expectation_tuple *from)
{
	at = format_json_put_tuple(at, name, family, from->protocol, &from->tuple);
	return format_json_put_close(format_json_put_number(at, "protonum", from->protocol), "},");
}

static char *put_json_flags(char *at, uint32_t flags)
{
	at = put_text(format_json_put_name(at, "flags"), "[");
	for (unsigned i = 0; i < FLAGS; i++)
		if (flags & flag_names[i].bit)
			at = put_text(put_text(put_text(at, "\""), flag_names[i].word), "\",");
	return format_json_put_close(at, "],");
}

static void print_json(struct format_dump *dump, const struct expectation *expectation)
{
	uint8_t family = expectation->family, protocol = expectation->expected.protocol;
	char *at = output_room(dump->output);

	*at++ = '{';
	if (dump->event)
		at = format_json_put_event(at, dump->event);
	if (dump->node)
		at = format_json_put_number(at, "node", dump->node);
	at = format_json_put_word(at, "family", family == FLOW_IPV6 ? "ipv6" : "ipv4");
	at = format_json_put_word(at, "protocol", format_protocol_name(protocol));
	at = format_json_put_number(at, "protonum", protocol);
	at = put_json_tuple(at, "expected", family, &expectation->expected);
	at = put_json_tuple(at, "mask", family, &expectation->mask);
	at = put_json_tuple(at, "master", family, &expectation->master);
	at = format_json_put_number(at, "timeout", expectation->timeout_s);
	at = put_json_flags(at, expectation->flags);
	if (expectation->has_class)
		at = format_json_put_number(at, "class", expectation->class);
	if (expectation->has_zone)
		at = format_json_put_number(at, "zone", expectation->zone);
	if (*expectation->helper)
		at = format_json_put_string(at, "helper", expectation->helper, EXPECTATION_NAME_SIZE);
	if (*expectation->function)
		at = format_json_put_string(at, "function", expectation->function, EXPECTATION_NAME_SIZE);
	if (expectation->has_nat) {
		at = put_json_tuple(at, "nat", family, &expectation->nat);
		at = format_json_put_number(at, "nat_direction", expectation->nat_direction);
	}
	if (expectation->id)
		at = format_json_put_number(at, "id", expectation->id);
	output_commit(dump->output, format_json_put_close(at, "}\n"));
}

const struct expectation_format expectation_json = {.row = print_json};
