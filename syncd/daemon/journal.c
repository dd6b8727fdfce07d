/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "syncd/daemon/journal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <xxhash.h>

void journal_message_id(const struct journal_entry *entry, char text[JOURNAL_ID_SIZE])
{
	char name[96];
	size_t id = strlen(entry->id), link = strlen(entry->subject.link);
	if (link > 0 && id > link + 1 && strcmp(entry->id + id - link, entry->subject.link) == 0)
		id -= link + 1;
	int length = snprintf(name, sizeof(name), "twintrack:%.*s", (int)(id < 64 ? id : 64), entry->id);
	XXH128_hash_t hash = XXH3_128bits(name, (size_t)length);
	snprintf(text, JOURNAL_ID_SIZE, "%016" PRIx64 "%016" PRIx64, (uint64_t)hash.high64,
		 (uint64_t)hash.low64);
}

/* Appends a field, or nothing where it has no room. */
__attribute__((format(printf, 3, 4))) static void add(char *fields, size_t *length, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	size_t room = JOURNAL_ENTRY_MAX - *length;
	int wrote = vsnprintf(fields + *length, room, format, arguments);
	va_end(arguments);
	if (wrote > 0 && (size_t)wrote < room)
		*length += (size_t)wrote;
}

size_t journal_format(const struct journal_entry *entry, char fields[JOURNAL_ENTRY_MAX])
{
	const struct log_subject *subject = &entry->subject;
	char message_id[JOURNAL_ID_SIZE];
	size_t length = 0;
	journal_message_id(entry, message_id);
	add(fields, &length, "MESSAGE=%s\nPRIORITY=%d\nSYSLOG_IDENTIFIER=twintrackd\n", entry->text,
	    entry->level & 7);
	add(fields, &length, "MESSAGE_ID=%s\nTWINTRACK_MESSAGE=%s\n", message_id, entry->id);
	if (entry->node != 0)
		add(fields, &length, "TWINTRACK_NODE=%u\n", entry->node);
	if (subject->peer != 0)
		add(fields, &length, "TWINTRACK_PEER=%u\n", subject->peer);
	if (subject->link[0] != '\0')
		add(fields, &length, "TWINTRACK_LINK=%s\n", subject->link);
	if (subject->has_client)
		add(fields, &length, "TWINTRACK_CLIENT_UID=%u\nTWINTRACK_CLIENT_PID=%d\n", subject->uid,
		    subject->pid);
	if (entry->held > 0)
		add(fields, &length, "TWINTRACK_HELD_BACK=%" PRIu64 "\n", entry->held);
	return length;
}

int journal_open(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd < 0 ? -errno : fd;
}

int journal_send(int fd, const char *path, const struct journal_entry *entry)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char fields[JOURNAL_ENTRY_MAX];
	if (fd < 0)
		return -EBADF;
	if (snprintf(address.sun_path, sizeof(address.sun_path), "%s", path) >= (int)sizeof(address.sun_path))
		return -ENAMETOOLONG;
	size_t length = journal_format(entry, fields);
	ssize_t sent = sendto(fd, fields, length, MSG_DONTWAIT | MSG_NOSIGNAL,
			      (const struct sockaddr *)&address, sizeof(address));
	return sent < 0 ? -errno : 0;
}

bool journal_is_stream(int fd)
{
	const char *named = getenv("JOURNAL_STREAM");
	struct stat found;
	char text[48];
	if (named == NULL || fstat(fd, &found) < 0)
		return false;
	snprintf(text, sizeof(text), "%ju:%ju", (uintmax_t)found.st_dev, (uintmax_t)found.st_ino);
	return strcmp(named, text) == 0;
}
