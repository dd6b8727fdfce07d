/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Each function that reads a value returns -1, or the exit code after having said what is wrong. */
#include "syncd/cli/conntrack/values.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static int refuse_number(const struct reading *reading, const char *option, const char *text, uint32_t most)
{
	return request_refuse(reading->cli, "bad value `%s' for `%s': a number from 0 to %u is needed", text,
			      option, most);
}

static int read_number(const struct reading *reading, const char *option, const char *text, uint32_t most,
		       uint32_t *number)
{
	return request_read_number(text, most, number) ? -1 : refuse_number(reading, option, text, most);
}

static int read_decimal(const struct reading *reading, const char *option, const char *text, uint32_t most,
			uint32_t *number)
{
	return request_read_decimal(text, most, number) ? -1 : refuse_number(reading, option, text, most);
}

/* The family of an address must be that of those before. */
static int join_family(const struct reading *reading, uint8_t family)
{
	struct flow *flow = &reading->request->flow;

	if (flow->family && flow->family != family)
		return request_refuse(reading->cli, "mismatched address family");
	flow->family = family;
	return -1;
}

/* inet_aton() takes what conntrack(8) takes for IPv4: 10.1 for 10.0.0.1. */
static bool parse_address(const char *text, uint8_t address[16], uint8_t *family)
{
	struct in_addr ipv4;

	memset(address, 0, 16);
	if (text[0] && strspn(text, "0123456789.") == strlen(text) && inet_aton(text, &ipv4)) {
		memcpy(address, &ipv4, sizeof(ipv4));
		*family = FLOW_IPV4;
		return true;
	}
	*family = FLOW_IPV6;
	return inet_pton(AF_INET6, text, address) == 1;
}

static int read_address(const struct reading *reading, const char *text, uint8_t address[16])
{
	uint8_t family;

	if (!parse_address(text, address, &family))
		return request_refuse(reading->cli, "Invalid IP address `%s'", text);
	return join_family(reading, family);
}

static void fill_mask(uint8_t mask[16], unsigned bits)
{
	memset(mask, 0, 16);
	for (unsigned i = 0; i < bits; i++)
		mask[i / 8] = (uint8_t)(mask[i / 8] | 0x80 >> i % 8);
}

/* ADDRESS or, where `mask` is, ADDRESS/BITS. */
static int read_prefix(const struct reading *reading, const char *option, const char *text,
		       uint8_t address[16], uint8_t *mask, enum request_option mask_option)
{
	const char *slash = strchr(text, '/');
	char copy[INET6_ADDRSTRLEN + 1];
	uint32_t bits;
	int code;

	if (!slash)
		return read_address(reading, text, address);
	if (!mask)
		return request_refuse(reading->cli, "CIDR notation unavailable for `%s'", option);
	if ((size_t)(slash - text) >= sizeof(copy))
		return request_refuse(reading->cli, "Invalid IP address `%s'", text);
	memcpy(copy, text, (size_t)(slash - text));
	copy[slash - text] = 0;
	code = read_address(reading, copy, address);
	if (code >= 0)
		return code;
	if (!request_read_decimal(slash + 1, reading->request->flow.family == FLOW_IPV4 ? 32 : 128, &bits))
		return request_refuse(reading->cli, "Invalid netmask");
	/* the whole address is no mask to conntrack(8) */
	if (bits == (reading->request->flow.family == FLOW_IPV4 ? 32 : 128))
		return -1;
	fill_mask(mask, bits);
	reading->request->options |= 1u << mask_option;
	return -1;
}

/* ADDRESS, ADDRESS:PORT, [ADDRESS]:PORT or nothing; brackets without a port are none to conntrack(8) */
static int read_nat(const struct reading *reading, const char *text, struct request_nat *nat)
{
	char copy[INET6_ADDRSTRLEN + 3];
	char *address = copy, *port = NULL;
	uint32_t number = 0;
	int code;

	if (!text)
		return -1;
	if (strlen(text) >= sizeof(copy))
		return request_refuse(reading->cli, "Invalid IP address `%s'", text);
	strcpy(copy, text);
	if (*copy == '[') {
		char *close = strchr(copy, ']');

		if (!close)
			return request_refuse(reading->cli, "No closing ']' around IPv6 address");
		if (close == copy + 1)
			return request_refuse(reading->cli, "No IPv6 address specified");
		address = copy + 1;
		port = close[1] == ':' ? close + 1 : NULL;
		if (!port)
			return request_refuse(reading->cli, "Invalid IP address `%s'", text);
		*close = 0;
	} else if (strchr(copy, ':') == strrchr(copy, ':')) {
		port = strchr(copy, ':');
	}
	if (port) {
		*port++ = 0;
		if (!*port)
			return request_refuse(reading->cli, "No port specified after `:'");
		if (!request_read_decimal(port, UINT16_MAX, &number))
			return request_refuse(reading->cli, "Invalid port `%s'", port);
	}
	code = read_address(reading, address, nat->address);
	nat->has_address = true;
	nat->has_port = port != NULL;
	nat->port = (uint16_t)number;
	return code;
}

static int read_mark(const struct reading *reading, const char *text)
{
	struct request *request = reading->request;
	char value[24];
	size_t length = strcspn(text, "/");

	if (length >= sizeof(value))
		length = sizeof(value) - 1;
	memcpy(value, text, length);
	value[length] = 0;
	request->mark_mask = UINT32_MAX;
	if (!request_read_number(value, UINT32_MAX, &request->flow.mark) ||
	    (text[length] && !request_read_number(text + length + 1, UINT32_MAX, &request->mark_mask)))
		return request_refuse(reading->cli,
				      "bad mark `%s': MARK or MARK/MASK, of 32 bits each, is needed", text);
	return -1;
}

/* Calls `take` for each word of a list; it returns false for one that it doesn't know. */
static int read_list(const struct reading *reading, const char *text,
		     bool (*take)(struct request *request, const char *word))
{
	char word[32];

	for (;;) {
		size_t length = strcspn(text, ",");

		snprintf(word, sizeof(word), "%.*s", (int)(length < 31 ? length : 31), text);
		if (length > 31 || !take(reading->request, word))
			return request_refuse(reading->cli, "Bad parameter `%s'", word);
		if (!text[length])
			return -1;
		text += length + 1;
	}
}

struct word {
	const char *name;
	unsigned value;
};

static const struct word *find_word(const struct word *words, const char *name)
{
	while (words->name && strcasecmp(words->name, name))
		words++;
	return words->name ? words : NULL;
}

static bool take_status(struct request *request, const char *name)
{
	static const struct word words[] = {
	    {"ASSURED", FLOW_STATUS_ASSURED},
	    {"SEEN_REPLY", FLOW_STATUS_SEEN_REPLY},
	    {"FIXED_TIMEOUT", FLOW_STATUS_FIXED_TIMEOUT},
	    {"EXPECTED", FLOW_STATUS_EXPECTED},
	    {"OFFLOAD", FLOW_STATUS_OFFLOAD},
	    {"HW_OFFLOAD", FLOW_STATUS_HW_OFFLOAD},
	    {"SRC_NAT", 0},
	    {"DST_NAT", 0},
	    {"UNREPLIED", 0},
	    {"UNSET", 0},
	    {NULL, 0},
	};
	const struct word *word = find_word(words, name);

	if (!word)
		return false;
	request->flow.status |= word->value;
	if (!strcmp(word->name, "UNSET"))
		request->status_unset = true;
	if (!strcmp(word->name, "UNREPLIED"))
		request->status_unreplied = true;
	if (strstr(word->name, "_NAT"))
		request->status_nat = word->name;
	return true;
}

static bool take_event(struct request *request, const char *name)
{
	static const struct word words[] = {{"ALL", EVENT_ALL},
					    {"NEW", EVENT_NEW},
					    {"UPDATES", EVENT_UPDATE},
					    {"DESTROY", EVENT_DESTROY},
					    {NULL, 0}};
	const struct word *word = find_word(words, name);

	if (word)
		request->events |= word->value;
	return word != NULL;
}

static bool take_output(struct request *request, const char *name)
{
	static const struct word words[] = {{"xml", OUTPUT_XML},
					    {"extended", OUTPUT_EXTENDED},
					    {"timestamp", OUTPUT_TIMESTAMP},
					    {"id", OUTPUT_ID},
					    {"ktimestamp", OUTPUT_KTIMESTAMP},
					    {"labels", OUTPUT_LABELS},
					    {"userspace", OUTPUT_USERSPACE},
					    {"save", OUTPUT_SAVE},
					    {"json", OUTPUT_JSON},
					    {NULL, 0}};
	const struct word *word = find_word(words, name);

	if (word)
		request->output |= word->value;
	return word != NULL;
}

static int read_output(const struct reading *reading, const char *text)
{
	static const unsigned alone[] = {OUTPUT_SAVE, OUTPUT_JSON};
	int code = read_list(reading, text, take_output);

	for (unsigned i = 0; code < 0 && i < 2; i++) {
		if (!(reading->request->output & alone[i]) || reading->request->output == alone[i])
			continue;
		request_say(reading->cli,
			    "cannot combine %s output with any other output type, use -o %s only",
			    i ? "json" : "save", i ? "json" : "save");
		code = CLI_FAILED;
	}
	return code;
}

static int open_labels(const struct reading *reading)
{
	const char *path = reading->labelmap ? reading->labelmap : LABELS_PATH;
	int error = labels_open(reading->labels, path);

	if (!error)
		return -1;
	request_say(reading->cli, "cannot read the names of labels from %s: %s", path, strerror(-error));
	return CLI_USAGE;
}

static int read_labels(const struct reading *reading, const char *text, uint8_t bits[FLOW_LABELS_SIZE])
{
	int code = open_labels(reading);
	char name[LABEL_NAME_MAX];

	while (code < 0) {
		size_t length = strcspn(text, ",");
		int bit;

		snprintf(name, sizeof(name), "%.*s", (int)(length < sizeof(name) ? length : sizeof(name)),
			 text);
		bit = labels_find(reading->labels, name);
		if (bit < 0)
			return request_refuse(reading->cli, "unknown label '%s'", name);
		bits[bit / 8] = (uint8_t)(bits[bit / 8] | 1u << bit % 8);
		if (!text[length])
			break;
		text += length + 1;
	}
	return code;
}

/* The word after an option whose value may be left out. */
static const char *optional_value(const struct reading *reading)
{
	if (optarg)
		return optarg;
	if (optind < reading->argc && reading->argv[optind][0] != '-')
		return reading->argv[optind++];
	return NULL;
}

/* Both at once are refused before all else. */
static int check_label_changes(const struct reading *reading)
{
	const struct request *request = reading->request;

	if (!request_has(request, OPTION_LABEL_ADD) || !request_has(request, OPTION_LABEL_DEL))
		return -1;
	request_say(reading->cli, "cannot use --label-add and --label-del at the same time");
	return CLI_FAILED;
}

static int read_label_changes(const struct reading *reading, enum request_option option)
{
	struct request *request = reading->request;
	const char *names = option == OPTION_LABEL_ADD ? optarg : optional_value(reading);
	int code = check_label_changes(reading);

	if (code >= 0)
		return code;
	if (option == OPTION_LABEL_DEL)
		request->label_del_all = !names;
	return names ? read_labels(reading, names, request->label_changes) : open_labels(reading);
}

static int read_protocol(struct reading *reading, const char *text)
{
	struct request *request = reading->request;
	const struct option *more;
	unsigned count = reading->common;

	request->protocol = protocol_find(text, &request->flow.protocol);
	if (!request->protocol)
		return request_refuse(reading->cli, "`%s' unsupported protocol", text);
	for (more = protocol_options(request->protocol); more->name; more++)
		reading->options[count++] = *more;
	reading->options[count] = (struct option){0};
	return -1;
}

static int read_family(const struct reading *reading, const char *text)
{
	if (!strcmp(text, "ipv4"))
		return join_family(reading, FLOW_IPV4);
	if (!strcmp(text, "ipv6"))
		return join_family(reading, FLOW_IPV6);
	return request_refuse(reading->cli, "`%s' unsupported protocol", text);
}

/* What follows the number is left out, as conntrack(8) does, but with a warning: there are scripts with "-w
 * 11-s". */
static int read_zone(const struct reading *reading, enum request_option option, const char *name,
		     const char *text)
{
	struct flow *flow = &reading->request->flow;
	const char *rest;
	uint32_t zone;

	if (!request_read_prefix(text, UINT16_MAX, &zone, &rest))
		return refuse_number(reading, name, text, UINT16_MAX);
	if (*rest)
		fprintf(stderr, "WARNING: `%s' for `%s' is taken for %u.\n", text, name, zone);
	if (option == OPTION_REPLY_ZONE) {
		flow->reply_zone = (uint16_t)zone;
		flow->present |= FLOW_HAS_REPLY_ZONE;
	} else {
		flow->zone = (uint16_t)zone;
		flow->zone_scope = option == OPTION_ZONE ? FLOW_ZONE_BOTH : FLOW_ZONE_ORIGINAL;
	}
	return -1;
}

/* A flat table of what each option's value means. */
int values_take(struct reading *reading, enum request_option option, const char *name)
{
	struct request *request = reading->request;
	struct flow *flow = &request->flow;

	switch (option) {
	case OPTION_ORIG_SRC:
		return read_prefix(reading, name, optarg, flow->orig.src, request->src_mask, OPTION_MASK_SRC);
	case OPTION_ORIG_DST:
		return read_prefix(reading, name, optarg, flow->orig.dst, request->dst_mask, OPTION_MASK_DST);
	case OPTION_REPLY_SRC:
		return read_prefix(reading, "--reply-src", optarg, flow->reply.src, NULL, 0);
	case OPTION_REPLY_DST:
		return read_prefix(reading, "--reply-dst", optarg, flow->reply.dst, NULL, 0);
	case OPTION_TUPLE_SRC:
		return read_prefix(reading, name, optarg, request->expected.src, request->src_mask,
				   OPTION_MASK_SRC);
	case OPTION_TUPLE_DST:
		return read_prefix(reading, name, optarg, request->expected.dst, request->dst_mask,
				   OPTION_MASK_DST);
	case OPTION_MASK_SRC:
		return read_prefix(reading, "--mask-src", optarg, request->src_mask, NULL, 0);
	case OPTION_MASK_DST:
		return read_prefix(reading, "--mask-dst", optarg, request->dst_mask, NULL, 0);
	case OPTION_PROTOCOL:
		return read_protocol(reading, optarg);
	case OPTION_TIMEOUT:
		return read_decimal(reading, name, optarg, VALUES_TIMEOUT_MAX, &flow->timeout_s);
	case OPTION_STATUS:
		return read_list(reading, optarg, take_status);
	case OPTION_EVENT_MASK:
		return read_list(reading, optarg, take_event);
	case OPTION_MARK:
		return read_mark(reading, optarg);
	case OPTION_ID:
		return read_number(reading, name, optarg, UINT32_MAX, &flow->id);
	case OPTION_FAMILY:
		return read_family(reading, optarg);
	case OPTION_SRC_NAT:
		return read_nat(reading, optional_value(reading), &request->src_nat);
	case OPTION_DST_NAT:
		return read_nat(reading, optional_value(reading), &request->dst_nat);
	case OPTION_ANY_NAT:
		return read_nat(reading, optional_value(reading), &request->src_nat);
	case OPTION_OUTPUT:
		return read_output(reading, optarg);
	case OPTION_SECMARK:
		return read_number(reading, name, optarg, UINT32_MAX, &request->secmark);
	case OPTION_BUFFER_SIZE:
		return read_decimal(reading, name, optarg, INT32_MAX / 2, &request->buffer_size);
	case OPTION_ZONE:
	case OPTION_ORIG_ZONE:
	case OPTION_REPLY_ZONE:
		return read_zone(reading, option, name, optarg);
	case OPTION_LABEL:
		return read_labels(reading, optarg, request->labels);
	case OPTION_LABEL_ADD:
	case OPTION_LABEL_DEL:
		return read_label_changes(reading, option);
	default:
		return -1;
	}
}
