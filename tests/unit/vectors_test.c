/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The vectors in tests/vectors are what this code makes, and what they say opens and reads as it should.
 * `vectors_test --write FOLDER` writes them.
 */
#include "tests/unit/vectors.h"

#include "proto/frame.h"

#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FOLDER "tests/vectors"
enum { PATH_ROOM = 4096, TEXT_MAX = 64 << 10 };

static char *read_file(const char *name)
{
	char path[PATH_ROOM], *text = calloc(1, TEXT_MAX);
	FILE *file;

	snprintf(path, sizeof(path), FOLDER "/%s", name);
	file = fopen(path, "r");
	assert_non_null(text);
	assert_non_null(file); /* run from the top of the tree */
	assert_true(fread(text, 1, TEXT_MAX - 1, file) < TEXT_MAX - 1);
	fclose(file);
	return text;
}

static void the_files_are_what_this_code_makes(void **state)
{
	(void)state;
	for (unsigned i = 0; i < VECTORS_FILES; i++) {
		char *there = read_file(vectors_files[i].name), *made = NULL;
		size_t length = 0;
		FILE *file = open_memstream(&made, &length);

		assert_non_null(file);
		vectors_files[i].write(file);
		fclose(file);
		assert_string_equal(made, there);
		free(made);
		free(there);
	}
}

/* The bytes of "name = hex" in the block that starts at `block`; how many. */
static size_t hex_of(const char *block, const char *name, uint8_t *bytes, size_t size)
{
	const char *end = strstr(block + 1, "\n["), *at;
	char wanted[64];
	size_t length = 0;
	unsigned byte;

	snprintf(wanted, sizeof(wanted), "\n%s = ", name);
	at = strstr(block, wanted);
	assert_true(at && (!end || at < end));
	for (at += strlen(wanted); sscanf(at, "%2x", &byte) == 1 && *at != '\n'; at += 2) {
		assert_true(length < size);
		bytes[length++] = (uint8_t)byte;
	}
	return length;
}

/* The blocks of a kind, one after the other. */
static const char *next_block(const char *text, const char *kind)
{
	char wanted[64];

	snprintf(wanted, sizeof(wanted), "\n[%s ", kind);
	return strstr(text + 1, wanted);
}

/* Opened by libcrypto alone, with the key as keys.txt has it: seal.c is not asked. */
static void a_datagram_opens_with_the_derived_key_and_its_header(void **state)
{
	char *keys = read_file("keys.txt"), *text = read_file("datagrams.txt");
	const char *key_block = keys, *block = text;
	unsigned count = 0;

	(void)state;
	while ((block = next_block(block, "datagram")) &&
	       (key_block = next_block(key_block, "session-key"))) {
		uint8_t bytes[2048], sealed[2048], nonce[SEAL_NONCE_SIZE], key[SEAL_KEY_SIZE], plain[2048];
		size_t length = hex_of(block, "bytes", bytes, sizeof(bytes));
		size_t inner = hex_of(block, "sealed", sealed, sizeof(sealed));
		EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
		int done = 0;

		assert_int_equal(hex_of(block, "nonce", nonce, sizeof(nonce)), sizeof(nonce));
		assert_int_equal(hex_of(key_block, "session-key", key, sizeof(key)), sizeof(key));
		assert_int_equal(length, FRAME_HEADER_SIZE + inner + SEAL_TAG_SIZE);
		assert_memory_equal(bytes + 28, nonce, sizeof(nonce)); /* as it stands in the header */
		assert_int_equal(
		    EVP_DecryptInit_ex(ctx, bytes[5] == 1 ? EVP_aes_256_gcm() : EVP_chacha20_poly1305(), NULL,
				       key, nonce),
		    1);
		assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_SIZE,
						     bytes + FRAME_HEADER_SIZE + inner),
				 1);
		assert_int_equal(EVP_DecryptUpdate(ctx, NULL, &done, bytes, FRAME_HEADER_SIZE), 1);
		assert_int_equal(EVP_DecryptUpdate(ctx, plain, &done, bytes + FRAME_HEADER_SIZE, (int)inner),
				 1);
		assert_int_equal(EVP_DecryptFinal_ex(ctx, plain + done, &done), 1);
		assert_memory_equal(plain, sealed, inner);
		EVP_CIPHER_CTX_free(ctx);
		count++;
	}
	assert_int_equal(count, 2);
	free(keys);
	free(text);
}

static void a_record_is_good_and_comes_back_as_it_stands(void **state)
{
	char *text = read_file("records.txt");
	unsigned count = 0;

	(void)state;
	for (const char *block = text; (block = next_block(block, "record"));) {
		uint8_t bytes[RECORD_MAX], again[RECORD_MAX], hash[8];
		size_t length = hex_of(block, "bytes", bytes, sizeof(bytes)), taken = 0;
		struct reader r;
		struct flow flow;

		assert_int_equal(record_check(bytes, length, &taken), RECORD_GOOD);
		assert_int_equal(taken, length);
		record_decode(bytes, &flow);
		assert_int_equal(record_encode(&flow, again), length);
		assert_memory_equal(again, bytes, length);
		assert_int_equal(hex_of(block, "hash", hash, sizeof(hash)), sizeof(hash));
		r = reader_over(hash, sizeof(hash));
		assert_true(reader_u64(&r) == record_hash(bytes));
		count++;
	}
	assert_true(count >= 10);
	free(text);
}

static void what_is_no_record_is_refused(void **state)
{
	static const struct {
		const char *kind;
		enum record_verdict verdict;
		unsigned least;
	} kinds[] = {{"malformed", RECORD_MALFORMED, 10}, {"incompatible", RECORD_INCOMPATIBLE, 1}};
	char *text = read_file("records.txt");

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		unsigned count = 0;

		for (const char *block = text; (block = next_block(block, kinds[i].kind)); count++) {
			uint8_t bytes[RECORD_MAX];
			size_t length = hex_of(block, "bytes", bytes, sizeof(bytes)), taken = 0;

			assert_int_equal(record_check(bytes, length, &taken), kinds[i].verdict);
		}
		assert_true(count >= kinds[i].least);
	}
	free(text);
}

/* The digest of a table is the sum of the hashes of its records. */
static void the_digest_of_a_data_is_the_sum_of_its_records(void **state)
{
	char *text = read_file("messages.txt");
	const char *block = next_block(text, "data");
	uint8_t bytes[2048];
	size_t length = hex_of(block, "bytes", bytes, sizeof(bytes));
	struct frame_entry entry;
	struct frame_data data;
	uint64_t sum = 0;

	(void)state;
	assert_int_equal(bytes[0], FRAME_DATA);
	assert_int_equal(bytes[1] << 8 | bytes[2], length - FRAME_MESSAGE_HEADER_SIZE);
	assert_int_equal(
	    frame_data_read(
		reader_over(bytes + FRAME_MESSAGE_HEADER_SIZE, length - FRAME_MESSAGE_HEADER_SIZE), &data),
	    0);
	while (frame_entry_read(&data.entries, &entry) > 0)
		if (entry.kind == FRAME_ENTRY_UPSERT)
			sum += record_hash(entry.record);
	assert_true(sum == data.digest);
	free(text);
}

/* Written from the specification alone, in another language. */
static void another_implementation_reads_them_alike(void **state)
{
	(void)state;
	assert_int_equal(system(FOLDER "/check.py >/dev/null"), 0);
}

static int write_files(const char *folder)
{
	for (unsigned i = 0; i < VECTORS_FILES; i++) {
		char path[PATH_ROOM];
		FILE *file;

		snprintf(path, sizeof(path), "%s/%s", folder, vectors_files[i].name);
		file = fopen(path, "w");
		if (!file)
			return 1;
		vectors_files[i].write(file);
		if (fclose(file))
			return 1;
	}
	return 0;
}

int main(int count, char **arguments)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_files_are_what_this_code_makes),
	    cmocka_unit_test(a_datagram_opens_with_the_derived_key_and_its_header),
	    cmocka_unit_test(a_record_is_good_and_comes_back_as_it_stands),
	    cmocka_unit_test(what_is_no_record_is_refused),
	    cmocka_unit_test(the_digest_of_a_data_is_the_sum_of_its_records),
	    cmocka_unit_test(another_implementation_reads_them_alike),
	};

	if (count == 3 && !strcmp(arguments[1], "--write"))
		return write_files(arguments[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
