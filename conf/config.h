/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef CONF_CONFIG_H
#define CONF_CONFIG_H
/*
 * The configuration of twintrackd: one file in, one plain struct out, and every mistake in the file named
 * with its line, what is wrong and what is allowed.  The keys stand in the table of schema.c.
 *
 * struct config holds no pointers: it may be copied, kept and thrown away without a free.
 */
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifndef TWINTRACK_SYSCONFDIR
#define TWINTRACK_SYSCONFDIR "/etc"
#endif
#ifndef TWINTRACK_RUNSTATEDIR
#define TWINTRACK_RUNSTATEDIR "/run"
#endif

#define CONFIG_DEFAULT_PATH   TWINTRACK_SYSCONFDIR "/twintrack/twintrackd.conf"
#define CONFIG_DEFAULT_SOCKET TWINTRACK_RUNSTATEDIR "/twintrack/control.sock"

enum {
	CONFIG_LINKS_MAX = 4,
	CONFIG_PEERS_MAX = 15, /* for each link: 16 nodes, less ourselves */
	CONFIG_ACCEPT_KEY_FILES_MAX = 8,
	CONFIG_FENCE_ADDRESSES_MAX = 32,
	CONFIG_ACCEPT_INTERFACES_MAX = 16,
	CONFIG_HELPERS_MAX = 15,

	CONFIG_FILTER_ADDRESSES_MAX = 64,
	CONFIG_FILTER_ZONES_MAX = 32,
	CONFIG_FILTER_MARKS_MAX = 16,
	CONFIG_PROTOCOL_BYTES = 32,
	CONFIG_TCP_STATE_BYTES = 2,

	/* sizes of strings, with the final NUL */
	CONFIG_INTERFACE_SIZE = 16, /* IFNAMSIZ */
	CONFIG_PATH_SIZE = 192,
	CONFIG_SOCKET_SIZE = 108, /* sun_path, unix(7) */
	CONFIG_HELPER_SIZE = 16,  /* NF_CT_HELPER_NAME_LEN */
	CONFIG_GROUP_SIZE = 33,

	CONFIG_ERRORS_MAX = 64,
	CONFIG_ERROR_SIZE = 512,
	CONFIG_FILE_NAME_SIZE = 256,
};

enum config_mode { CONFIG_MODE_ACTIVE_BACKUP, CONFIG_MODE_ACTIVE_ACTIVE };
enum config_cipher { CONFIG_CIPHER_AES_256_GCM, CONFIG_CIPHER_CHACHA20_POLY1305 };
enum config_commit_mode { CONFIG_COMMIT_ON_FAILOVER, CONFIG_COMMIT_WARM };
enum config_scheduler_policy { CONFIG_SCHEDULER_OTHER, CONFIG_SCHEDULER_RR, CONFIG_SCHEDULER_FIFO };
enum config_log_destination { CONFIG_LOG_STDERR, CONFIG_LOG_SYSLOG, CONFIG_LOG_JOURNAL };

/* These two have no padding, and what an IPv4 address leaves of the union is zero: memcmp compares them. */
struct config_address {
	uint32_t family; /* AF_INET, AF_INET6; 0: not given */
	union {
		struct in_addr v4;
		struct in6_addr v6;
	};
};

struct config_prefix {
	struct config_address address; /* host bits are zero */
	uint32_t length;               /* bits */
};

struct config_scheduler {
	enum config_scheduler_policy policy;
	int priority; /* 1..99; 0 with CONFIG_SCHEDULER_OTHER */
};

struct config_log_target {
	enum config_log_destination destination;
	int facility; /* LOG_DAEMON and so on; 0 unless CONFIG_LOG_SYSLOG */
};

/* Either group.family != 0, or peer_count > 0, never both; all addresses of a link are of one family. */
struct config_link {
	char interface[CONFIG_INTERFACE_SIZE];
	struct config_address group;
	size_t peer_count;
	struct config_address peer[CONFIG_PEERS_MAX];
	uint16_t port;
	struct config_address address; /* family 0: the interface's */
	uint32_t mtu_bytes;            /* 0: the interface's */
	size_t send_buffer_bytes;
	size_t receive_buffer_bytes;
};

/* A flow's mark matches when (mark & mask) == value. */
struct config_mark {
	uint32_t value, mask;
};

/* What is given of [filter], in an accept and an ignore form.  All zero: it says nothing. */
struct config_match {
	uint8_t protocols[CONFIG_PROTOCOL_BYTES];   /* a bit for each number */
	uint8_t tcp_states[CONFIG_TCP_STATE_BYTES]; /* a bit for each of the kernel's states */
	size_t address_count, zone_count, mark_count;
	struct config_prefix address[CONFIG_FILTER_ADDRESSES_MAX];
	uint16_t zone[CONFIG_FILTER_ZONES_MAX];
	struct config_mark mark[CONFIG_FILTER_MARKS_MAX];
};

/* Neither all nor any name: none. */
struct config_helpers {
	bool all;
	uint8_t count;
	char name[CONFIG_HELPERS_MAX][CONFIG_HELPER_SIZE];
};

struct config {
	struct {
		uint16_t id;
		enum config_mode mode;
	} node;
	struct {
		char key_file[CONFIG_PATH_SIZE];
		size_t accept_key_file_count;
		char accept_key_file[CONFIG_ACCEPT_KEY_FILES_MAX][CONFIG_PATH_SIZE];
		enum config_cipher cipher;
		int64_t heartbeat_us;
		int64_t peer_timeout_us;
	} sync;
	size_t link_count; /* 1..CONFIG_LINKS_MAX, in the order of the file */
	struct config_link links[CONFIG_LINKS_MAX];
	struct {
		size_t event_buffer_bytes;
		size_t event_buffer_max_bytes;
		int64_t audit_interval_us;
	} kernel;
	struct {
		uint32_t max_flows; /* 0: auto */
	} table;
	struct {
		bool ignore_local;
		struct config_match accept, ignore;
	} filter;
	struct config_helpers expect; /* whose expectations are replicated */
	struct {
		enum config_commit_mode mode;
		uint32_t timeout_s; /* 0: auto */
		int tcp_strict;     /* 0: liberal */
	} commit;
	struct {
		bool enable;
		int64_t timeout_us;
		int64_t max_wait_us;
		size_t address_count; /* 0: learnt */
		struct config_prefix address[CONFIG_FENCE_ADDRESSES_MAX];
		size_t accept_interface_count;
		char accept_interface[CONFIG_ACCEPT_INTERFACES_MAX][CONFIG_INTERFACE_SIZE];
	} fence;
	struct {
		char socket[CONFIG_SOCKET_SIZE];
		char group[CONFIG_GROUP_SIZE];
		bool group_is_given; /* false: `group` is the default, which need not exist on this machine */
		char reader_group[CONFIG_GROUP_SIZE]; /* empty: everybody may read */
	} control;
	struct {
		struct config_scheduler scheduler;
		char user[CONFIG_GROUP_SIZE]; /* empty: the one that it was started as */
		bool sandbox;
	} process;
	struct {
		int level; /* LOG_ERR, LOG_WARNING, LOG_NOTICE, LOG_INFO or LOG_DEBUG */
		struct config_log_target target;
	} log;
};

struct config_error {
	int line; /* from 1; 0 when the file could not be read at all */
	char text[CONFIG_ERROR_SIZE];
};

/* The mistakes of one file by line; those beyond CONFIG_ERRORS_MAX are counted only.  About 33 KB. */
struct config_errors {
	char file[CONFIG_FILE_NAME_SIZE];
	size_t count;   /* kept in list[] */
	size_t dropped; /* not kept */
	struct config_error list[CONFIG_ERRORS_MAX];
};

/* What a file without any key would give; such a file is not valid, for it names no node, key and link. */
void config_set_defaults(struct config *config);

/*
 * Reads a configuration.  0; or -EINVAL when the content is wrong, or the negative errno of opening or
 * reading. On failure *config is untouched and *errors names at least one mistake; on success *errors is
 * empty. The file given to config_load_file() stays the caller's; `name` is what the messages call the
 * source.
 */
int config_load(const char *path, struct config *config, struct config_errors *errors);
int config_load_file(FILE *file, const char *name, struct config *config, struct config_errors *errors);
int config_load_memory(const void *data, size_t size, const char *name, struct config *config,
		       struct config_errors *errors);

/* Writes mistake number `index` as FILE:LINE: TEXT into out, cut to `size` bytes.  index < errors->count. */
void config_errors_format(const struct config_errors *errors, size_t index, char *out, size_t size);

/* Prints all mistakes, one line each, and how many more there were. */
void config_errors_print(const struct config_errors *errors, FILE *to);

/* One key that two configurations set differently. */
struct config_change {
	char section[8 + CONFIG_INTERFACE_SIZE]; /* "sync", "link eth1" */
	const char *key;                         /* static; NULL: this link was added or removed */
	bool is_reloadable;                      /* false: needs a restart */
};

typedef void config_change_fn(void *context, const struct config_change *change);

/* Calls `report` for each key that differs, in the order of the schema.  Returns the number of changes. */
size_t config_diff(const struct config *before, const struct config *after, config_change_fn *report,
		   void *context);

/* Takes over from `fresh` what may change in a running daemon, and nothing else. */
void config_merge_reload(struct config *running, const struct config *fresh);

#endif
