/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The configuration file: whole or not at all, and every mistake a line of its own that a terminal survives.
 */
#include "conf/config.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void unexpected_change(void *context, const struct config_change *change)
{
	(void)context;
	FUZZ_REQUIRE(change == NULL); /* a configuration does not differ from itself */
}

static void check_good(const struct config *config, const struct config_errors *errors)
{
	FUZZ_REQUIRE(errors->count == 0 && errors->dropped == 0);
	FUZZ_REQUIRE(config->node.id >= 1);
	FUZZ_REQUIRE(config->link_count >= 1 && config->link_count <= CONFIG_LINKS_MAX);
	for (size_t i = 0; i < config->link_count; i++) {
		const struct config_link *link = &config->links[i];

		FUZZ_REQUIRE(memchr(link->interface, 0, sizeof(link->interface)) && link->interface[0]);
		FUZZ_REQUIRE(link->peer_count <= CONFIG_PEERS_MAX && link->port);
		FUZZ_REQUIRE((link->group.family != 0) != (link->peer_count > 0));
	}
	FUZZ_REQUIRE(config->sync.accept_key_file_count <= CONFIG_ACCEPT_KEY_FILES_MAX);
	FUZZ_REQUIRE(config->fence.address_count <= CONFIG_FENCE_ADDRESSES_MAX);
	FUZZ_REQUIRE(config->fence.accept_interface_count <= CONFIG_ACCEPT_INTERFACES_MAX);
	FUZZ_REQUIRE(memchr(config->control.socket, 0, sizeof(config->control.socket)));
	FUZZ_REQUIRE(config->sync.heartbeat_us > 0 &&
		     config->sync.peer_timeout_us >= config->sync.heartbeat_us);
	FUZZ_REQUIRE(config_diff(config, config, unexpected_change, NULL) == 0);
}

static void check_errors(const struct config_errors *errors, size_t length)
{
	FUZZ_REQUIRE(errors->count > 0 && errors->count <= CONFIG_ERRORS_MAX);
	for (size_t i = 0; i < errors->count; i++) {
		char line[CONFIG_ERROR_SIZE + CONFIG_FILE_NAME_SIZE + 32];
		const struct config_error *error = &errors->list[i];

		FUZZ_REQUIRE(error->line >= 0 && (size_t)error->line <= length + 1);
		FUZZ_REQUIRE(!i || errors->list[i - 1].line <= error->line);
		config_errors_format(errors, i, line, sizeof(line));
		for (const char *at = line; *at; at++)
			FUZZ_REQUIRE((unsigned char)*at >= 0x20 && *at != 0x7f);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	struct config_errors *errors = malloc(sizeof(*errors));
	struct config *config = malloc(2 * sizeof(*config)), *again = config + 1;
	uint8_t *copy = fuzz_copy(bytes, length);
	int error;

	FUZZ_REQUIRE(errors && config);
	memset(config, 0xa5, sizeof(*config));
	error = config_load_memory(copy, length, "input", config, errors);
	FUZZ_REQUIRE(error == 0 || error == -EINVAL);
	if (error) {
		memset(again, 0xa5, sizeof(*again));
		FUZZ_REQUIRE(!memcmp(config, again, sizeof(*config))); /* untouched */
		check_errors(errors, length);
	} else {
		check_good(config, errors);
		config_set_defaults(again);
		FUZZ_REQUIRE(config_load_memory(copy, length, "input", again, errors) == 0);
		FUZZ_REQUIRE(config_diff(config, again, unexpected_change, NULL) == 0);
		config_merge_reload(again, config);
	}
	free(copy);
	free(config);
	free(errors);
	return 0;
}
