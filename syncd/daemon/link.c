/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/link.h"

#include "syncd/daemon/link_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	/* room for the largest that a peer may send; a longer datagram is cut, and then fails authentication
	 */
	DATAGRAM_SIZE = FRAME_PAYLOAD_MAX + 8,
	RECEIVE_CONTROL_SIZE = CMSG_SPACE(sizeof(uint32_t)),
};

/* A batch of datagrams, made once.  Sending and receiving each have one, for all links. */
struct batch {
	struct mmsghdr messages[LINK_BATCH];
	struct iovec vectors[LINK_BATCH];
	union link_address addresses[LINK_BATCH];
	_Alignas(struct cmsghdr) uint8_t control[LINK_BATCH][RECEIVE_CONTROL_SIZE];
	uint8_t bytes[LINK_BATCH][DATAGRAM_SIZE];
};

struct link {
	const struct config_link *config;
	int fd;
	unsigned index; /* the interface's, as the socket was bound to it */
	uint32_t mtu;
	size_t targets_count; /* who a datagram for the group goes to */
	union link_address targets[CONFIG_PEERS_MAX];
	_Alignas(struct cmsghdr) uint8_t source[LINK_CONTROL_SIZE];
	size_t source_length;
	uint32_t overflow_seen; /* SO_RXQ_OVFL's counter, 32 bits, of this socket */
	struct link_statistics statistics;
};

struct link_set {
	const struct interface_watch *watch;
	struct log *log;
	unsigned count;
	struct link links[CONFIG_LINKS_MAX];
	unsigned queued, queued_link; /* datagrams in `out`, all for that link */
	struct batch out, in;
};

size_t link_payload_of_mtu(uint32_t mtu, int family)
{
	size_t headers = (family == AF_INET ? 20 : 40) + 8;
	size_t payload = mtu > headers ? mtu - headers : 0;
	return payload < FRAME_PAYLOAD_MAX ? payload : FRAME_PAYLOAD_MAX;
}

static void set_targets(struct link *link)
{
	const struct config_link *config = link->config;
	if (config->group.family != 0) {
		link->targets[0] = link_address_make(&config->group, config->port, link->index);
		link->targets_count = 1;
		return;
	}
	link->targets_count = config->peer_count;
	for (size_t i = 0; i < config->peer_count; i++)
		link->targets[i] = link_address_make(&config->peer[i], config->port, link->index);
}

static size_t read_buffer_size(int fd, int option)
{
	int size = 0;
	socklen_t length = sizeof(size);
	getsockopt(fd, SOL_SOCKET, option, &size, &length);
	return (size_t)size;
}

static void close_socket(struct link *link)
{
	if (link->fd >= 0)
		close(link->fd);
	link->fd = -1;
	link->statistics.is_open = false;
}

/* Opens the socket if the interface allows it.  0 or a negative errno, *step: what failed. */
static int open_socket(struct link *link, const struct interface_state *state, const char **step)
{
	link->index = state->index;
	link->mtu = link->config->mtu_bytes != 0 ? link->config->mtu_bytes : state->mtu;
	link->fd = link_socket_open(link->config, state->index, step);
	if (link->fd < 0) {
		link->statistics.problem = LINK_SOCKET_FAILED;
		link->statistics.error = link->fd;
		return link->fd;
	}
	link->overflow_seen = 0;
	link->source_length = link_source_control(link->config, state->index, link->source);
	set_targets(link);
	link->statistics.is_open = true;
	link->statistics.problem = LINK_GOOD;
	link->statistics.mtu = link->mtu;
	link->statistics.send_buffer = read_buffer_size(link->fd, SO_SNDBUF);
	link->statistics.receive_buffer = read_buffer_size(link->fd, SO_RCVBUF);
	return 0;
}

static enum link_problem_kind judge(const struct interface_state *state)
{
	if (state->index == 0)
		return LINK_INTERFACE_MISSING;
	if (!state->is_up)
		return LINK_INTERFACE_DOWN;
	return state->has_carrier ? LINK_GOOD : LINK_NO_CARRIER;
}

/* One id for good and bad news of a link: so the last line that the log shows is how it is. */
static void tell(const struct link_set *set, const struct link *link)
{
	const char *interface = link->config->interface;
	char text[160], id[8 + CONFIG_INTERFACE_SIZE];
	struct log_subject subject = {0};
	snprintf(subject.link, sizeof(subject.link), "%s", interface);
	link_problem_text(&link->statistics, text, sizeof(text));
	snprintf(id, sizeof(id), "link-%s", interface);
	if (link->statistics.problem == LINK_GOOD)
		log_write_about(set->log, LOG_NOTICE, id, &subject, "link %s works again", interface);
	else
		log_write_about(set->log, LOG_WARNING, id, &subject, "link %s: %s", interface, text);
}

/* An interface that is not there yet, or down, is no failure: the link comes with it (link_follow()). */
static int open_at_start(struct link_set *set, struct link *link, char *why, size_t size)
{
	const char *name = link->config->interface, *step = "";
	struct interface_state state = interface_state(set->watch, name);
	link->statistics.ifindex = state.index;
	link->statistics.problem = judge(&state);
	if (link->statistics.problem == LINK_INTERFACE_MISSING ||
	    link->statistics.problem == LINK_INTERFACE_DOWN) {
		tell(set, link);
		return 0;
	}
	int error = open_socket(link, &state, &step);
	if (error == -EADDRINUSE)
		snprintf(
		    why, size,
		    "link %s: UDP port %u is taken on this interface; end the other program or set `port`",
		    name, link->config->port);
	else if (error < 0)
		snprintf(why, size, "link %s: %s failed: %s", name, step, strerror(-error));
	if (error < 0)
		return error;
	size_t payload = link_payload_of_mtu(link->mtu, link_family(link->config));
	if (payload < FRAME_PAYLOAD_MIN) {
		snprintf(why, size, "link %s: an MTU of %u is too small; it takes at least 1280", name,
			 link->mtu);
		return -EMSGSIZE;
	}
	return 0;
}

static void prepare_batch(struct batch *batch)
{
	for (unsigned i = 0; i < LINK_BATCH; i++) {
		batch->vectors[i] = (struct iovec){.iov_base = batch->bytes[i], .iov_len = DATAGRAM_SIZE};
		batch->messages[i].msg_hdr.msg_name = &batch->addresses[i];
		batch->messages[i].msg_hdr.msg_iov = &batch->vectors[i];
		batch->messages[i].msg_hdr.msg_iovlen = 1;
	}
}

/* The kernel has written over these: what it found, and how much. */
static void prepare_to_receive(struct batch *batch, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct msghdr *header = &batch->messages[i].msg_hdr;
		header->msg_namelen = sizeof(batch->addresses[i]);
		header->msg_control = batch->control[i];
		header->msg_controllen = RECEIVE_CONTROL_SIZE;
	}
}

int link_set_open(struct link_set **result, const struct config *config, const struct interface_watch *watch,
		  struct log *log, char *why, size_t size)
{
	struct link_set *set = calloc(1, sizeof(*set));
	if (set == NULL) {
		snprintf(why, size, "out of memory");
		return -ENOMEM;
	}
	set->watch = watch;
	set->log = log;
	set->count = (unsigned)config->link_count;
	prepare_batch(&set->out);
	prepare_batch(&set->in);
	prepare_to_receive(&set->in, LINK_BATCH);
	for (unsigned i = 0; i < set->count; i++) {
		set->links[i].config = &config->links[i];
		set->links[i].fd = -1;
		memcpy(set->links[i].statistics.interface, config->links[i].interface, CONFIG_INTERFACE_SIZE);
	}
	for (unsigned i = 0; i < set->count; i++) {
		int error = open_at_start(set, &set->links[i], why, size);
		if (error < 0) {
			link_set_close(set);
			return error;
		}
	}
	*result = set;
	return 0;
}

void link_set_close(struct link_set *set)
{
	if (set == NULL)
		return;
	for (unsigned i = 0; i < set->count; i++)
		close_socket(&set->links[i]);
	free(set);
}

unsigned link_count(const struct link_set *set)
{
	return set->count;
}

int link_fd(const struct link_set *set, unsigned link)
{
	return set->links[link].fd;
}

size_t link_payload_max(const struct link_set *set)
{
	size_t smallest = FRAME_PAYLOAD_MAX;
	for (unsigned i = 0; i < set->count; i++) {
		const struct link *link = &set->links[i];
		size_t payload = link_payload_of_mtu(link->mtu, link_family(link->config));
		if (link->fd >= 0 && payload < smallest)
			smallest = payload;
	}
	/* a link that shrank below the least is broken (its sends are counted); it must not stop the others
	 */
	return smallest < FRAME_PAYLOAD_MIN ? FRAME_PAYLOAD_MIN : smallest;
}

static void count_failure(struct link *link, int error)
{
	if (error == EAGAIN || error == ENOBUFS) {
		link->statistics.send_full++;
		return;
	}
	link->statistics.send_failed++;
	link->statistics.send_error = -error;
}

void link_flush(struct link_set *set)
{
	struct link *link = &set->links[set->queued_link];
	unsigned at = 0;
	while (at < set->queued) {
		int sent = link->fd < 0
			       ? -1
			       : sendmmsg(link->fd, &set->out.messages[at], set->queued - at, MSG_DONTWAIT);
		if (sent <= 0) {
			/* the first of them could not be sent: it is lost like any datagram, repair is the
			 * protocol's work */
			if (link->fd < 0)
				errno = ENETDOWN;
			if (errno != EINTR) {
				count_failure(link, errno);
				at++;
			}
			continue;
		}
		for (unsigned i = at; i < at + (unsigned)sent; i++)
			link->statistics.sent_bytes += set->out.vectors[i].iov_len;
		link->statistics.sent += (unsigned)sent;
		at += (unsigned)sent;
	}
	set->queued = 0;
}

static void queue(struct link_set *set, const union link_address *to, socklen_t to_length,
		  const uint8_t *bytes, size_t length)
{
	const struct link *link = &set->links[set->queued_link];
	unsigned i = set->queued++;
	struct msghdr *header = &set->out.messages[i].msg_hdr;
	memcpy(set->out.bytes[i], bytes, length);
	set->out.vectors[i].iov_len = length;
	set->out.addresses[i] = *to;
	header->msg_namelen = to_length;
	header->msg_control = link->source_length > 0 ? (void *)link->source : NULL;
	header->msg_controllen = link->source_length;
	if (set->queued == LINK_BATCH)
		link_flush(set);
}

void link_send(struct link_set *set, unsigned number, const struct node_endpoint *to, const uint8_t *bytes,
	       size_t length)
{
	if (number >= set->count || length > DATAGRAM_SIZE)
		return;
	if (set->queued_link != number)
		link_flush(set);
	set->queued_link = number;
	struct link *link = &set->links[number];
	if (to != NULL) {
		union link_address address;
		memset(&address, 0, sizeof(address));
		memcpy(&address, to->bytes, to->length <= sizeof(address) ? to->length : sizeof(address));
		queue(set, &address, to->length, bytes, length);
		return;
	}
	for (size_t i = 0; i < link->targets_count; i++)
		queue(set, &link->targets[i], link_address_size(link_family(link->config)), bytes, length);
}

/* The kernel tells with each datagram how many it has dropped on this socket so far. */
static void note_overflow(struct link *link, struct msghdr *header)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
		uint32_t total;
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SO_RXQ_OVFL)
			continue;
		memcpy(&total, CMSG_DATA(c), sizeof(total));
		link->statistics.receive_dropped += total - link->overflow_seen;
		link->overflow_seen = total;
	}
}

int link_receive(struct link_set *set, unsigned number, link_datagram *datagram, void *context)
{
	struct link *link = &set->links[number];
	struct batch *in = &set->in;
	if (link->fd < 0)
		return 0;
	int count = recvmmsg(link->fd, in->messages, LINK_BATCH, MSG_DONTWAIT, NULL);
	if (count < 0)
		return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -errno;
	for (int i = 0; i < count; i++) {
		struct node_endpoint from = {0};
		if (in->addresses[i].any.sa_family == AF_INET6)
			in->addresses[i].v6.sin6_flowinfo = 0;
		if (in->messages[i].msg_hdr.msg_namelen >= link_address_size(in->addresses[i].any.sa_family))
			from = link_endpoint_of(&in->addresses[i]);
		note_overflow(link, &in->messages[i].msg_hdr);
		link->statistics.received++;
		link->statistics.received_bytes += in->messages[i].msg_len;
		datagram(context, number, &from, in->bytes[i], in->messages[i].msg_len);
	}
	/* only these: mostly one of 32 was used, and each lies in lines of the cache of its own */
	prepare_to_receive(in, (unsigned)count);
	return count;
}

/* Follows one interface.  True when the descriptor changed. */
static bool follow(struct link_set *set, struct link *link)
{
	struct interface_state state = interface_state(set->watch, link->config->interface);
	enum link_problem_kind problem = judge(&state), before = link->statistics.problem;
	const char *step;
	bool changed = false;
	/* memberships and SO_BINDTODEVICE go by index: an interface of the same name that was made anew is
	 * another one. One that was merely down keeps its memberships (net/ipv4/igmp.c, ip_mc_down()), and so
	 * its socket. */
	if (link->fd >= 0 && state.index != link->index) {
		close_socket(link);
		changed = true;
	}
	if (link->fd < 0 && (problem == LINK_GOOD || problem == LINK_NO_CARRIER)) {
		changed = true;
		if (open_socket(link, &state, &step) < 0)
			problem = LINK_SOCKET_FAILED;
	}
	if (state.index != 0 && link->config->mtu_bytes == 0)
		link->statistics.mtu = link->mtu = state.mtu;
	link->statistics.ifindex = state.index;
	link->statistics.problem = problem;
	if (problem != before)
		tell(set, link);
	return changed;
}

unsigned link_follow(struct link_set *set)
{
	unsigned changed = 0;
	link_flush(set);
	for (unsigned i = 0; i < set->count; i++)
		if (follow(set, &set->links[i]))
			changed |= 1u << i;
	return changed;
}

void link_statistics(const struct link_set *set, unsigned link, struct link_statistics *statistics)
{
	*statistics = set->links[link].statistics;
}

void link_problem_text(const struct link_statistics *statistics, char *text, size_t size)
{
	switch (statistics->problem) {
	case LINK_GOOD:
		text[0] = '\0';
		return;
	case LINK_INTERFACE_MISSING:
		snprintf(text, size,
			 "there is no interface of that name; the link comes with it, or correct [link %s]",
			 statistics->interface);
		return;
	case LINK_INTERFACE_DOWN:
		snprintf(text, size, "the interface is down (ip link set %s up)", statistics->interface);
		return;
	case LINK_NO_CARRIER:
		snprintf(text, size, "no carrier: cable, switch port, or the other end is down");
		return;
	case LINK_SOCKET_FAILED:
		snprintf(text, size, "its socket can't be opened: %s", strerror(-statistics->error));
		return;
	}
}

char *link_endpoint_print(const struct node_endpoint *endpoint, char text[LINK_ENDPOINT_TEXT_SIZE])
{
	char address[INET6_ADDRSTRLEN] = "";
	union link_address from;
	text[0] = '\0';
	if (endpoint->length < sizeof(struct sockaddr_in))
		return text;
	memset(&from, 0, sizeof(from));
	memcpy(&from, endpoint->bytes, endpoint->length <= sizeof(from) ? endpoint->length : sizeof(from));
	if (from.any.sa_family == AF_INET) {
		inet_ntop(AF_INET, &from.v4.sin_addr, address, sizeof(address));
		snprintf(text, LINK_ENDPOINT_TEXT_SIZE, "%s:%u", address, ntohs(from.v4.sin_port));
	} else {
		inet_ntop(AF_INET6, &from.v6.sin6_addr, address, sizeof(address));
		snprintf(text, LINK_ENDPOINT_TEXT_SIZE, "[%s]:%u", address, ntohs(from.v6.sin6_port));
	}
	return text;
}
