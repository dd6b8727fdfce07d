/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs a target without libFuzzer: over files, over all files of folders, or over standard input when nothing
 * is named.  For AFL++ (`afl-fuzz ... -- NAME @@`), to replay a finding, and to measure a corpus.
 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { INPUT_MAX = 1 << 20, PATH_ROOM = 4096 };

size_t LLVMFuzzerMutate(uint8_t *bytes, size_t length, size_t max)
{
	(void)bytes, (void)max;
	return length;
}

static int run_file(FILE *file)
{
	uint8_t *room = malloc(INPUT_MAX), *bytes;
	size_t length = room ? fread(room, 1, INPUT_MAX, file) : 0;
	int error = !room ? -ENOMEM : ferror(file) ? -EIO : 0;

	if (!error) {
		bytes = fuzz_copy(room, length);
		LLVMFuzzerTestOneInput(bytes, length);
		free(bytes);
	}
	free(room);
	return error;
}

static int run_path(const char *path);

static int run_folder(const char *path, DIR *folder)
{
	const struct dirent *entry;
	char inner[PATH_ROOM];
	int error = 0;

	while (!error && (entry = readdir(folder))) {
		if (entry->d_name[0] == '.')
			continue;
		if (snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name) >= (int)sizeof(inner))
			error = -ENAMETOOLONG;
		else
			error = run_path(inner);
	}
	return error;
}

static int run_path(const char *path)
{
	DIR *folder = opendir(path);
	FILE *file = folder ? NULL : fopen(path, "rb");
	int error;

	if (folder) {
		error = run_folder(path, folder);
		closedir(folder);
		return error;
	}
	error = file ? run_file(file) : -errno;
	if (file)
		fclose(file);
	if (error)
		fprintf(stderr, "%s: %s\n", path, strerror(-error));
	return error;
}

int main(int count, char **arguments)
{
	int error = count > 1 ? 0 : run_file(stdin);

	for (int i = 1; i < count && !error; i++)
		error = run_path(arguments[i]);
	return error ? 1 : 0;
}
