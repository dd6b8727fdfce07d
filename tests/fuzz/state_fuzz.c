/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state file.  A line "boot @" of the input stands for this boot's id, which no corpus can know.  What
 * was read is written and read again.
 */
#include "syncd/control/state.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_ROOM = 100 };

static const char placeholder[] = "\nboot @\n";

static void write_file(const char *path, const uint8_t *bytes, size_t length)
{
	FILE *file = fopen(path, "w");
	const uint8_t *at = memmem(bytes, length, placeholder, sizeof(placeholder) - 1);
	size_t before = at ? (size_t)(at - bytes) : length;
	char boot_id[STATE_BOOT_ID_SIZE];

	FUZZ_REQUIRE(file && state_read_boot_id(boot_id) == 0);
	fwrite(bytes, 1, before, file);
	if (at) {
		size_t skip = before + sizeof(placeholder) - 1;

		fprintf(file, "\nboot %s\n", boot_id);
		fwrite(bytes + skip, 1, length - skip, file);
	}
	FUZZ_REQUIRE(fclose(file) == 0);
}

static void check_state(const char *socket, int error, const struct state *state)
{
	struct state *back = malloc(sizeof(*back));
	char boot_id[STATE_BOOT_ID_SIZE];

	FUZZ_REQUIRE(back && state_read_boot_id(boot_id) == 0);
	FUZZ_REQUIRE(error == 0 || error == -EINVAL);
	FUZZ_REQUIRE(!strcmp(state->boot_id, boot_id)); /* set whole in any case */
	FUZZ_REQUIRE((unsigned)state->role < FRAME_ROLES && state->address_count <= STATE_ADDRESSES_MAX);
	if (error)
		FUZZ_REQUIRE(state->role == FRAME_ROLE_INIT && !state->term && !state->address_count);
	FUZZ_REQUIRE(state_write(socket, state) == 0 && state_read(socket, back) == 0);
	FUZZ_REQUIRE(back->role == state->role && back->term == state->term);
	FUZZ_REQUIRE(back->has_addresses == state->has_addresses);
	if (state->has_addresses) {
		FUZZ_REQUIRE(back->address_count == state->address_count);
		FUZZ_REQUIRE(!memcmp(back->addresses, state->addresses,
				     state->address_count * sizeof(state->addresses[0])));
	}
	free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	char folder[] = "/dev/shm/twintrack-fuzz-XXXXXX", socket[PATH_ROOM], path[PATH_ROOM];
	struct state *state = malloc(sizeof(*state));

	FUZZ_REQUIRE(state && mkdtemp(folder));
	snprintf(socket, sizeof(socket), "%s/s", folder);
	snprintf(path, sizeof(path), "%s/s.state", folder);
	write_file(path, bytes, length);
	check_state(socket, state_read(socket, state), state);
	FUZZ_REQUIRE(unlink(path) == 0 && rmdir(folder) == 0); /* nothing else was left there */
	free(state);
	return 0;
}
