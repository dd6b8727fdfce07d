/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The configuration: run from the top of the source tree, for it reads conf/examples and
 * tests/unit/config_cases. Each accept/NAME.conf must load.  Each reject/NAME.conf must give exactly the
 * mistakes in reject/NAME.expected, LINE: TEXT each.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include <cmocka.h>

#include "conf/config.h"
#include "conf/schema.h"

#define CASES    "tests/unit/config_cases/"
#define EXAMPLES "conf/examples/"

/* The least that is valid; line 6 is its last. */
#define VALID "[node]\nid = 1\n[sync]\nkey-file = /k\n[link a]\ngroup = 239.1.2.3\n"

static struct config config;
static struct config_errors errors;

static int load(const char *text)
{
	memset(&config, 0x5a, sizeof(config));
	return config_load_memory(text, strlen(text), "test", &config, &errors);
}

/* Loads text that must be right. */
static const struct config *loaded(const char *text)
{
	if (load(text) != 0) {
		config_errors_print(&errors, stderr);
		fail_msg("refused: %s", text);
	}
	assert_int_equal(errors.count, 0);
	return &config;
}

/* Loads a valid file with one section more. */
static const struct config *loaded_with(const char *more)
{
	char text[1024];

	snprintf(text, sizeof(text), "%s%s\n", VALID, more);
	return loaded(text);
}

/* Loads text with one mistake, whose message must hold `words`. */
static void assert_refused(const char *text, int line, const char *words)
{
	assert_int_equal(load(text), -EINVAL);
	assert_int_equal(errors.count, 1);
	assert_int_equal(errors.list[0].line, line);
	if (strstr(errors.list[0].text, words) == NULL)
		fail_msg("\"%s\" isn't in \"%s\"", words, errors.list[0].text);
}

static void assert_section_refused(const char *more, const char *words)
{
	char text[1024];

	snprintf(text, sizeof(text), "%s%s\n", VALID, more);
	assert_refused(text, 8, words);
}

static char *read_whole(const char *path)
{
	const size_t room = 65536;
	char *text = malloc(room);
	FILE *file = fopen(path, "r");
	size_t size;

	assert_non_null(text);
	if (file == NULL)
		fail_msg("%s: %s", path, strerror(errno));
	size = fread(text, 1, room - 1, file);
	fclose(file);
	text[size] = '\0';
	return text;
}

/* Calls `check` for each .conf of a folder; returns how many there were. */
static unsigned for_each_conf(const char *folder, void (*check)(const char *path))
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	unsigned count = 0;

	if (dir == NULL)
		fail_msg("%s: %s; run this from the top of the source tree", folder, strerror(errno));
	while ((entry = readdir(dir)) != NULL) {
		const char *dot = strrchr(entry->d_name, '.');
		char path[512];

		if (dot == NULL || strcmp(dot, ".conf") != 0)
			continue;
		snprintf(path, sizeof(path), "%s%s", folder, entry->d_name);
		check(path);
		count++;
	}
	closedir(dir);
	return count;
}

static void check_accepted(const char *path)
{
	int result = config_load(path, &config, &errors);

	if (result != 0)
		config_errors_print(&errors, stderr);
	assert_int_equal(result, 0);
	assert_int_equal(errors.count, 0);
	assert_true(config.link_count >= 1);
}

static void check_rejected(const char *path)
{
	struct config before;
	char expected_path[512], *expected, found[65536];
	size_t used = 0;

	memset(&config, 0x5a, sizeof(config));
	before = config;
	assert_int_equal(config_load(path, &config, &errors), -EINVAL);
	assert_memory_equal(&config, &before, sizeof(config));
	for (size_t i = 0; i < errors.count; i++)
		used += (size_t)snprintf(found + used, sizeof(found) - used, "%d: %s\n", errors.list[i].line,
					 errors.list[i].text);
	snprintf(expected_path, sizeof(expected_path), "%.*s.expected", (int)(strlen(path) - strlen(".conf")),
		 path);
	expected = read_whole(expected_path);
	if (strcmp(found, expected) != 0)
		fail_msg("%s gives\n%sinstead of\n%s", path, found, expected);
	free(expected);
}

static void every_accept_file_loads(void **state)
{
	(void)state;
	assert_true(for_each_conf(CASES "accept/", check_accepted) >= 5);
}

static void every_reject_file_gives_its_messages(void **state)
{
	(void)state;
	assert_true(for_each_conf(CASES "reject/", check_rejected) >= 19);
}

static void every_example_loads(void **state)
{
	(void)state;
	assert_int_equal(for_each_conf(EXAMPLES, check_accepted), 4);
}

static void note_change(void *context, const struct config_change *change)
{
	char *list = context;
	size_t used = strlen(list);

	snprintf(list + used, 2048 - used, "%s%s%s%s ", change->section, change->key != NULL ? "." : "",
		 change->key != NULL ? change->key : "", change->is_reloadable ? "" : "!");
}

static void the_reference_names_every_key_and_shows_the_defaults(void **state)
{
	struct config defaults;
	char changes[2048] = "", *text = read_whole(EXAMPLES "twintrackd.conf");

	(void)state;
	for (size_t i = 0; i < config_key_count; i++) {
		char setting[128];

		snprintf(setting, sizeof(setting), "\n%s = ", config_keys[i].name);
		if (strstr(text, setting) != NULL)
			continue;
		snprintf(setting, sizeof(setting), "\n;%s = ", config_keys[i].name);
		if (strstr(text, setting) == NULL)
			fail_msg("%s isn't in the reference", config_keys[i].name);
		assert_null(config_keys[i].fallback);
	}
	free(text);
	config_set_defaults(&defaults);
	assert_int_equal(config_load(EXAMPLES "twintrackd.conf", &config, &errors), 0);
	config_diff(&defaults, &config, note_change, changes);
	assert_string_equal(changes, "node.id! sync.key-file link sync0! ");
	assert_string_equal(config.links[0].interface, "sync0");
	assert_int_equal(config.links[0].port, 9788);
	assert_int_equal(config.links[0].send_buffer_bytes, 16 << 20);
	assert_int_equal(config.links[0].receive_buffer_bytes, 16 << 20);
}

static void the_reference_loads_with_its_optional_keys_too(void **state)
{
	char *text = read_whole(EXAMPLES "twintrackd.conf"), *at;

	(void)state;
	at = strstr(text, ";peer = ");
	at[0] = '#'; /* either a group or peers */
	for (at = strstr(text, "\n;"); at != NULL; at = strstr(at + 1, "\n;"))
		if (at[2] >= 'a' && at[2] <= 'z')
			memmove(at + 1, at + 2, strlen(at + 2) + 1);
	loaded(text);
	free(text);
	assert_string_equal(config.sync.accept_key_file[0], "/etc/twintrack/key.new");
	assert_int_equal(config.links[0].address.family, AF_INET);
	assert_int_equal(config.links[0].mtu_bytes, 1500);
	assert_int_equal(config.fence.address_count, 1);
	assert_string_equal(config.fence.accept_interface[0], "mgmt0");
}

static void a_minimal_file_gives_the_documented_defaults(void **state)
{
	const struct config *c = loaded(VALID);

	(void)state;
	assert_int_equal(c->node.id, 1);
	assert_int_equal(c->node.mode, CONFIG_MODE_ACTIVE_BACKUP);
	assert_string_equal(c->sync.key_file, "/k");
	assert_int_equal(c->sync.accept_key_file_count, 0);
	assert_int_equal(c->sync.cipher, CONFIG_CIPHER_AES_256_GCM);
	assert_int_equal(c->sync.heartbeat_us, 200000);
	assert_int_equal(c->sync.peer_timeout_us, 1000000);
	assert_int_equal(c->link_count, 1);
	assert_string_equal(c->links[0].interface, "a");
	assert_int_equal(c->links[0].group.family, AF_INET);
	assert_int_equal(c->links[0].group.v4.s_addr, inet_addr("239.1.2.3"));
	assert_int_equal(c->links[0].peer_count, 0);
	assert_int_equal(c->links[0].port, 9788);
	assert_int_equal(c->links[0].address.family, 0);
	assert_int_equal(c->links[0].mtu_bytes, 0);
	assert_int_equal(c->links[0].send_buffer_bytes, 16777216);
	assert_int_equal(c->links[0].receive_buffer_bytes, 16777216);
	assert_int_equal(c->kernel.event_buffer_bytes, 33554432);
	assert_int_equal(c->kernel.event_buffer_max_bytes, 134217728);
	assert_int_equal(c->kernel.audit_interval_us, 60000000);
	assert_int_equal(c->table.max_flows, 0);
	assert_true(c->filter.ignore_local);
	assert_int_equal(c->commit.timeout_s, 0);
	assert_false(c->fence.enable);
	assert_int_equal(c->fence.timeout_us, 3000000);
	assert_int_equal(c->fence.max_wait_us, 10000000);
	assert_int_equal(c->fence.address_count, 0);
	assert_int_equal(c->fence.accept_interface_count, 0);
	assert_string_equal(c->control.socket, CONFIG_DEFAULT_SOCKET);
	assert_string_equal(c->control.group, "twintrack");
	assert_false(c->control.group_is_given);
	assert_int_equal(c->process.scheduler.policy, CONFIG_SCHEDULER_OTHER);
	assert_int_equal(c->process.scheduler.priority, 0);
	assert_string_equal(c->control.reader_group, "");
	assert_string_equal(c->process.user, "");
	assert_true(c->process.sandbox);
	assert_int_equal(c->log.level, LOG_INFO);
	assert_int_equal(c->log.target.destination, CONFIG_LOG_STDERR);
}

static void node_and_sync_keys_arrive(void **state)
{
	const struct config *c =
	    loaded("[node]\nid = 65535\nmode = active-active\n[sync]\nkey-file = /etc/key\n"
		   "accept-key-file = /etc/new\naccept-key-file = /etc/newer\n"
		   "cipher = chacha20-poly1305\nheartbeat = 50ms\npeer-timeout = 2s\n"
		   "[link a]\ngroup = ff02::1\n");

	(void)state;
	assert_int_equal(c->node.id, 65535);
	assert_int_equal(c->node.mode, CONFIG_MODE_ACTIVE_ACTIVE);
	assert_string_equal(c->sync.key_file, "/etc/key");
	assert_int_equal(c->sync.accept_key_file_count, 2);
	assert_string_equal(c->sync.accept_key_file[0], "/etc/new");
	assert_string_equal(c->sync.accept_key_file[1], "/etc/newer");
	assert_int_equal(c->sync.cipher, CONFIG_CIPHER_CHACHA20_POLY1305);
	assert_int_equal(c->sync.heartbeat_us, 50000);
	assert_int_equal(c->sync.peer_timeout_us, 2000000);
	assert_int_equal(c->links[0].group.family, AF_INET6);
	assert_int_equal(c->links[0].group.v6.s6_addr[15], 1);
}

static void link_keys_arrive(void **state)
{
	const struct config *c = loaded_with("[link eth1]\npeer = 2001:db8::2\npeer = 2001:db8::3\nport = 1\n"
					     "address = 2001:db8::1\nmtu = 9000\nsend-buffer = 1M\n"
					     "receive-buffer = 70000");
	const struct config_link *link = &c->links[1];

	(void)state;
	assert_int_equal(c->link_count, 2);
	assert_string_equal(link->interface, "eth1");
	assert_int_equal(link->group.family, 0);
	assert_int_equal(link->peer_count, 2);
	assert_int_equal(link->peer[0].family, AF_INET6);
	assert_int_equal(link->peer[0].v6.s6_addr[15], 2);
	assert_int_equal(link->peer[1].v6.s6_addr[15], 3);
	assert_int_equal(link->port, 1);
	assert_int_equal(link->address.v6.s6_addr[15], 1);
	assert_int_equal(link->mtu_bytes, 9000);
	assert_int_equal(link->send_buffer_bytes, 1 << 20);
	assert_int_equal(link->receive_buffer_bytes, 70000);
	assert_int_equal(c->links[0].port, 9788);
}

static void kernel_table_filter_and_commit_keys_arrive(void **state)
{
	const struct config *c =
	    loaded_with("[kernel]\nevent-buffer = 1M\nevent-buffer-max = 1G\n"
			"audit-interval = 90s\n[table]\nmax-flows = 1000000\n"
			"[filter]\nignore-local = no\n[expect]\nhelpers = none\n"
			"[commit]\nmode = on-failover\ntimeout = 180\ntcp-window = liberal");

	(void)state;
	assert_int_equal(c->kernel.event_buffer_bytes, 1 << 20);
	assert_int_equal(c->kernel.event_buffer_max_bytes, 1 << 30);
	assert_int_equal(c->kernel.audit_interval_us, 90000000);
	assert_int_equal(c->table.max_flows, 1000000);
	assert_false(c->filter.ignore_local);
	assert_int_equal(c->commit.timeout_s, 180);
	assert_int_equal(loaded_with("[commit]\ntimeout = 3m")->commit.timeout_s, 180);
	assert_int_equal(loaded_with("[commit]\ntimeout = auto")->commit.timeout_s, 0);
}

static void fence_keys_arrive(void **state)
{
	const struct config *c = loaded_with("[fence]\nenable = yes\ntimeout = 1500ms\nmax-wait = 1m\n"
					     "address = 198.51.100.1\naddress = 2001:db8::/64\n"
					     "accept-interface = mgmt0\naccept-interface = br-lan.7");

	(void)state;
	assert_true(c->fence.enable);
	assert_int_equal(c->fence.timeout_us, 1500000);
	assert_int_equal(c->fence.max_wait_us, 60000000);
	assert_int_equal(c->fence.address_count, 2);
	assert_int_equal(c->fence.address[0].address.v4.s_addr, inet_addr("198.51.100.1"));
	assert_int_equal(c->fence.address[0].length, 32);
	assert_int_equal(c->fence.address[1].address.family, AF_INET6);
	assert_int_equal(c->fence.address[1].length, 64);
	assert_int_equal(c->fence.accept_interface_count, 2);
	assert_string_equal(c->fence.accept_interface[0], "mgmt0");
	assert_string_equal(c->fence.accept_interface[1], "br-lan.7");
}

static void control_process_and_log_keys_arrive(void **state)
{
	const struct config *c = loaded_with(
	    "[control]\nsocket = /run/tt/s\ngroup = twintrack\n"
	    "reader-group = adm\n[process]\nscheduler = fifo:99\nuser = tt\nsandbox = no\n[log]\nlevel = error\ntarget = journal");

	(void)state;
	assert_string_equal(c->control.socket, "/run/tt/s");
	assert_string_equal(c->control.group, "twintrack");
	assert_true(c->control.group_is_given);
	assert_int_equal(c->process.scheduler.policy, CONFIG_SCHEDULER_FIFO);
	assert_int_equal(c->process.scheduler.priority, 99);
	assert_string_equal(c->control.reader_group, "adm");
	assert_string_equal(c->process.user, "tt");
	assert_false(c->process.sandbox);
	assert_int_equal(c->log.level, LOG_ERR);
	assert_int_equal(c->log.target.destination, CONFIG_LOG_JOURNAL);
	c = loaded_with("[process]\nscheduler = rr:1\n[log]\nlevel = debug\ntarget = syslog:local7");
	assert_int_equal(c->process.scheduler.policy, CONFIG_SCHEDULER_RR);
	assert_int_equal(c->process.scheduler.priority, 1);
	assert_int_equal(c->log.level, LOG_DEBUG);
	assert_int_equal(c->log.target.destination, CONFIG_LOG_SYSLOG);
	assert_int_equal(c->log.target.facility, LOG_LOCAL7);
	assert_int_equal(loaded_with("[log]\ntarget = syslog")->log.target.facility, LOG_DAEMON);
	assert_int_equal(loaded_with("[log]\nlevel = warning")->log.level, LOG_WARNING);
	assert_int_equal(loaded_with("[log]\nlevel = notice")->log.level, LOG_NOTICE);
}

static void ranges_are_those_of_the_manual(void **state)
{
	(void)state;
	assert_section_refused("[fence]\ntimeout = 999ms", "from 1s to 1m");
	assert_section_refused("[fence]\ntimeout = 61s", "from 1s to 1m");
	loaded_with("[fence]\ntimeout = 1s");
	loaded_with("[fence]\ntimeout = 60s");
	assert_section_refused("[fence]\nmax-wait = 601s", "from 1s to 10m");
	assert_section_refused("[process]\nscheduler = rr:0", "from 1 to 99");
	assert_section_refused("[process]\nscheduler = fifo:100", "from 1 to 99");
	assert_section_refused("[process]\nscheduler = fifo:", "not understood");
	assert_section_refused("[process]\nscheduler = rr", "not understood");
	assert_refused("[node]\nid = 65536\n[sync]\nkey-file = /k\n[link a]\ngroup = 239.1.2.3\n", 2,
		       "from 1 to 65535");
	assert_refused(
	    "[node]\nid = 1\n[sync]\nkey-file = /k\nheartbeat = 19999us\n[link a]\ngroup = 239.1.2.3\n", 5,
	    "from 20ms to 10s");
	assert_refused(
	    "[node]\nid = 1\n[sync]\nkey-file = /k\nheartbeat = 10001ms\n[link a]\ngroup = 239.1.2.3\n", 5,
	    "from 20ms to 10s");
	loaded("[node]\nid = 1\n[sync]\nkey-file = /k\nheartbeat = 10s\npeer-timeout = 30s\n"
	       "[link a]\ngroup = 239.1.2.3\n");
}

static void strings_of_the_full_length_fit_and_one_byte_more_is_refused(void **state)
{
	char text[512], path[CONFIG_SOCKET_SIZE + 1];

	(void)state;
	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[CONFIG_SOCKET_SIZE - 1] = '\0';
	snprintf(text, sizeof(text), "[control]\nsocket = %s", path);
	assert_string_equal(loaded_with(text)->control.socket, path);
	snprintf(text, sizeof(text), "[control]\nsocket = %sx", path);
	assert_section_refused(text, "too long; allowed: the absolute path of a file, of at most 107 bytes");
	assert_string_equal(
	    loaded_with("[control]\ngroup = a2345678901234567890123456789012")->control.group + 30, "12");
	assert_section_refused("[control]\ngroup = a23456789012345678901234567890123", "too long");
	loaded_with("[fence]\naccept-interface = a23456789012345");
	assert_section_refused("[fence]\naccept-interface = a234567890123456", "too long");
}

static void a_line_of_the_limit_is_whole_and_one_byte_more_is_refused(void **state)
{
	char line[256], text[512];

	(void)state;
	/* "accept-key-file = /" and x up to 190 bytes */
	memset(line, 'x', sizeof(line));
	memcpy(line, "accept-key-file = /", 19);
	line[190] = '\0';
	snprintf(text, sizeof(text),
		 "[sync]\nkey-file = /k\n%s\n[node]\nid = 1\n[link a]\ngroup = 239.1.2.3\n", line);
	assert_int_equal(strlen(loaded(text)->sync.accept_key_file[0]), 190 - 18);
	line[190] = 'x';
	line[191] = '\0';
	snprintf(text, sizeof(text),
		 "[sync]\nkey-file = /k\n%s\n[node]\nid = 1\n[link a]\ngroup = 239.1.2.3\n", line);
	assert_refused(text, 3, "at most 190 bytes");
}

static void a_file_is_read_whole_up_to_1_mib_and_refused_beyond(void **state)
{
	const size_t room = (1 << 20) + 64;
	char *text = malloc(room);
	size_t valid = strlen(VALID);

	(void)state;
	assert_non_null(text);
	/* 100000 and more comment lines, then the settings: their lines are counted right */
	memset(text, '\n', room);
	memcpy(text + (1 << 20) - valid, VALID, valid);
	assert_int_equal(config_load_memory(text, 1 << 20, "test", &config, &errors), 0);
	memcpy(text + (1 << 20) - valid, "[bad]\n", 6);
	assert_int_equal(config_load_memory(text, 1 << 20, "test", &config, &errors), -EINVAL);
	assert_int_equal(errors.list[0].line, (1 << 20) - (int)valid + 1);
	memcpy(text, VALID, valid);
	memset(text + valid, '\n', room - valid);
	assert_int_equal(config_load_memory(text, room, "test", &config, &errors), -EINVAL);
	assert_int_equal(errors.count, 1);
	assert_non_null(strstr(errors.list[0].text, "at most 1 MiB"));
	/* one endless line */
	memset(text, '#', room);
	assert_int_equal(config_load_memory(text, room, "test", &config, &errors), -EINVAL);
	assert_int_equal(errors.list[0].line, 1);
	free(text);
}

static void an_endless_device_is_refused(void **state)
{
	(void)state;
	assert_int_equal(config_load("/dev/zero", &config, &errors), -EINVAL);
	assert_non_null(strstr(errors.list[0].text, "at most 1 MiB"));
}

static void mistakes_beyond_the_collector_are_counted(void **state)
{
	char text[4096] = VALID;
	size_t used = strlen(text);
	char *printed = NULL;
	size_t printed_size;
	FILE *stream;

	(void)state;
	used += (size_t)snprintf(text + used, sizeof(text) - used, "[log]\n");
	for (int i = 0; i < CONFIG_ERRORS_MAX + 10; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "nonsense\n");
	assert_int_equal(load(text), -EINVAL);
	assert_int_equal(errors.count, CONFIG_ERRORS_MAX);
	assert_int_equal(errors.dropped, 10);
	stream = open_memstream(&printed, &printed_size);
	assert_non_null(stream);
	config_errors_print(&errors, stream);
	fclose(stream);
	assert_non_null(strstr(printed, "test:8: not understood; allowed: "));
	assert_non_null(strstr(printed, "test:71: and 10 more mistakes\n"));
	free(printed);
}

static void a_message_reads_file_line_text(void **state)
{
	char line[600];

	(void)state;
	assert_refused(VALID "port = 0\n", 7,
		       "[link a] port = 0: out of range; allowed: a number from 1 to 65535");
	config_errors_format(&errors, 0, line, sizeof(line));
	assert_string_equal(line,
			    "test:7: [link a] port = 0: out of range; allowed: a number from 1 to 65535");
	config_errors_format(&errors, 0, line, 8);
	assert_string_equal(line, "test:7:");
}

static void a_file_that_is_not_there_is_named(void **state)
{
	(void)state;
	assert_int_equal(config_load("/nonexistent/twintrackd.conf", &config, &errors), -ENOENT);
	assert_int_equal(errors.count, 1);
	assert_int_equal(errors.list[0].line, 0);
	assert_string_equal(errors.file, "/nonexistent/twintrackd.conf");
	assert_non_null(strstr(errors.list[0].text, "cannot open: No such file or directory"));
}

static void a_directory_is_no_file(void **state)
{
	(void)state;
	assert_int_equal(config_load("/tmp", &config, &errors), -EISDIR);
	assert_int_equal(errors.count, 1);
	assert_non_null(strstr(errors.list[0].text, "Is a directory"));
}

static void a_file_and_memory_read_alike(void **state)
{
	struct config from_memory = *loaded(VALID "[log]\nlevel = debug");
	FILE *file = tmpfile();

	(void)state;
	assert_non_null(file);
	fputs(VALID "[log]\nlevel = debug", file);
	rewind(file);
	assert_int_equal(config_load_file(file, "test", &config, &errors), 0);
	assert_int_equal(fgetc(file), EOF);
	fclose(file);
	assert_memory_equal(&config, &from_memory, sizeof(config));
}

/* Every byte of a valid file cut off, and every byte replaced: an answer each time, and never a crash. */
static void damaged_files_are_answered(void **state)
{
	static const char bytes[] = {0, '\n', '\r', ' ', '[', ']', '=', ';', ':', '\xff'};
	char text[sizeof(VALID)];

	(void)state;
	for (size_t size = 0; size < sizeof(VALID); size++)
		config_load_memory(VALID, size, "test", &config, &errors);
	for (size_t at = 0; at + 1 < sizeof(VALID); at++) {
		for (size_t i = 0; i < sizeof(bytes); i++) {
			int result;

			memcpy(text, VALID, sizeof(text));
			text[at] = bytes[i];
			result = config_load_memory(text, sizeof(VALID) - 1, "test", &config, &errors);
			assert_true(result == 0 ? errors.count == 0 : result == -EINVAL && errors.count > 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(every_accept_file_loads),
	    cmocka_unit_test(every_reject_file_gives_its_messages),
	    cmocka_unit_test(every_example_loads),
	    cmocka_unit_test(the_reference_names_every_key_and_shows_the_defaults),
	    cmocka_unit_test(the_reference_loads_with_its_optional_keys_too),
	    cmocka_unit_test(a_minimal_file_gives_the_documented_defaults),
	    cmocka_unit_test(node_and_sync_keys_arrive),
	    cmocka_unit_test(link_keys_arrive),
	    cmocka_unit_test(kernel_table_filter_and_commit_keys_arrive),
	    cmocka_unit_test(fence_keys_arrive),
	    cmocka_unit_test(control_process_and_log_keys_arrive),
	    cmocka_unit_test(ranges_are_those_of_the_manual),
	    cmocka_unit_test(strings_of_the_full_length_fit_and_one_byte_more_is_refused),
	    cmocka_unit_test(a_line_of_the_limit_is_whole_and_one_byte_more_is_refused),
	    cmocka_unit_test(a_file_is_read_whole_up_to_1_mib_and_refused_beyond),
	    cmocka_unit_test(an_endless_device_is_refused),
	    cmocka_unit_test(mistakes_beyond_the_collector_are_counted),
	    cmocka_unit_test(a_message_reads_file_line_text),
	    cmocka_unit_test(a_file_that_is_not_there_is_named),
	    cmocka_unit_test(a_directory_is_no_file),
	    cmocka_unit_test(a_file_and_memory_read_alike),
	    cmocka_unit_test(damaged_files_are_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
