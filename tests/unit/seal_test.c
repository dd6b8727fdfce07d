/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>

#include "proto/seal.h"
#include "tests/unit/random_flow.h"

static const enum seal_cipher ciphers[] = {SEAL_AES_256_GCM, SEAL_CHACHA20_POLY1305};
static const uint8_t header[] = "clear header";
static const uint8_t message[] = "twins on two tracks";
enum { HEADER_LENGTH = sizeof(header) - 1, LENGTH = sizeof(message) - 1, SEALED = LENGTH + SEAL_TAG_SIZE };

struct setting {
	uint8_t key[SEAL_KEY_SIZE];
	uint8_t nonce[SEAL_NONCE_SIZE];
	struct seal_session_id session;
	enum seal_cipher cipher;
	uint8_t protocol_version;
	uint16_t node_id;
};

static struct setting setting_of(enum seal_cipher cipher)
{
	struct setting s = {.cipher = cipher, .protocol_version = 1, .node_id = 0x1234};

	for (uint8_t i = 0; i < SEAL_KEY_SIZE; i++)
		s.key[i] = i;
	for (uint8_t i = 0; i < SEAL_NONCE_SIZE; i++)
		s.nonce[i] = i;
	for (uint8_t i = 0; i < SEAL_SESSION_SIZE; i++)
		s.session.bytes[i] = (uint8_t)(100 + i);
	return s;
}

static struct seal *create(const struct setting *s)
{
	struct seal *seal = seal_create(s->key, s->cipher, s->protocol_version, s->node_id, &s->session);

	assert_non_null(seal);
	return seal;
}

static void seal_message(const struct setting *s, uint8_t sealed[SEALED])
{
	struct seal *seal = create(s);

	memcpy(sealed, message, LENGTH);
	assert_int_equal(seal_close(seal, s->nonce, header, HEADER_LENGTH, sealed, LENGTH), 0);
	seal_destroy(seal);
}

static int open_message(const struct setting *s, const uint8_t *clear, const uint8_t *sealed,
			uint8_t plain[SEALED])
{
	struct seal *seal = create(s);
	int rc = seal_open(seal, s->nonce, clear, HEADER_LENGTH, sealed, SEALED, plain);

	seal_destroy(seal);
	return rc;
}

static size_t from_hex(const char *hex, uint8_t *bytes)
{
	size_t length = strlen(hex) / 2;

	for (size_t i = 0; i < length; i++) {
		unsigned byte;

		assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
		bytes[i] = (uint8_t)byte;
	}
	return length;
}

static void hkdf_gives_the_vectors_of_rfc_5869(void **state)
{
	static const struct {
		int key_from, key_step;
		size_t key_length, salt_length, info_length;
		int salt_from, info_from;
		const char *okm;
	} cases[] = {
	    {0x0b, 0, 22, 13, 10, 0x00, 0xf0,
	     "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
	    {0x00, 1, 80, 80, 80, 0x60, 0xb0,
	     "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275"
	     "600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"},
	    {0x0b, 0, 22, 0, 0, 0, 0,
	     "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
	};

	(void)state;
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		uint8_t key[80], salt[80], info[80], okm[82], out[82];
		size_t length = from_hex(cases[c].okm, okm);

		for (int i = 0; i < 80; i++) {
			key[i] = (uint8_t)(cases[c].key_from + i * cases[c].key_step);
			salt[i] = (uint8_t)(cases[c].salt_from + i);
			info[i] = (uint8_t)(cases[c].info_from + i);
		}
		assert_int_equal(seal_hkdf(key, cases[c].key_length, salt, cases[c].salt_length, info,
					   cases[c].info_length, out, length),
				 0);
		assert_memory_equal(out, okm, length);
	}
}

/* Reckoned by another implementation (Python's hmac and cryptography): what travels must not change unawares.
 */
static void sealed_bytes_are_what_the_protocol_says(void **state)
{
	static const char *const expected[] = {
	    "0903bc4e2a7273e31a20a3a7be4ccb28c3ac29eaef5407029edd168b52beceeec34e09",
	    "eb242d2e5b28e2f072f5593e0dae6ef06d06684f1b2e761f078045392350c819cb210f",
	};
	struct setting s = setting_of(SEAL_AES_256_GCM);

	(void)state;
	assert_int_equal(seal_key_id(s.key), 0x0bad2866);
	for (size_t i = 0; i < 2; i++) {
		uint8_t bytes[SEALED], sealed[SEALED];

		s.cipher = ciphers[i];
		assert_int_equal(from_hex(expected[i], bytes), SEALED);
		seal_message(&s, sealed);
		assert_memory_equal(sealed, bytes, SEALED);
	}
}

static void what_is_sealed_opens_to_what_it_was(void **state)
{
	struct random random = {51};

	(void)state;
	for (size_t c = 0; c < 2; c++) {
		struct setting s = setting_of(ciphers[c]);
		struct seal *sender = create(&s), *receiver = create(&s);

		for (size_t length = 0; length < 1500; length += 37) {
			uint8_t plain[1500], bytes[1500 + SEAL_TAG_SIZE], opened[1500];

			random_fill(&random, plain, sizeof(plain));
			random_fill(&random, s.nonce, sizeof(s.nonce));
			memcpy(bytes, plain, length);
			assert_int_equal(seal_close(sender, s.nonce, header, HEADER_LENGTH, bytes, length),
					 0);
			if (length > 16)
				assert_memory_not_equal(bytes, plain, length);
			assert_int_equal(seal_open(receiver, s.nonce, header, HEADER_LENGTH, bytes,
						   length + SEAL_TAG_SIZE, opened),
					 0);
			assert_memory_equal(opened, plain, length);
			/* in place too */
			assert_int_equal(seal_open(receiver, s.nonce, header, HEADER_LENGTH, bytes,
						   length + SEAL_TAG_SIZE, bytes),
					 0);
			assert_memory_equal(bytes, plain, length);
		}
		seal_destroy(sender);
		seal_destroy(receiver);
	}
}

static void another_key_session_node_version_cipher_or_nonce_does_not_open_it(void **state)
{
	(void)state;
	for (size_t c = 0; c < 2; c++) {
		struct setting right = setting_of(ciphers[c]), wrong[6];
		uint8_t sealed[SEALED], plain[SEALED];

		for (size_t i = 0; i < 6; i++)
			wrong[i] = right;
		wrong[0].key[31] ^= 1;
		wrong[1].session.bytes[0] ^= 1;
		wrong[2].node_id++;
		wrong[3].protocol_version++;
		wrong[4].cipher = ciphers[!c];
		wrong[5].nonce[11] ^= 1;
		seal_message(&right, sealed);
		for (size_t i = 0; i < 6; i++)
			assert_int_equal(open_message(&wrong[i], header, sealed, plain), -EBADMSG);
		assert_int_equal(open_message(&right, header, sealed, plain), 0);
		assert_memory_equal(plain, message, LENGTH);
	}
}

static void any_bit_flipped_in_header_or_body_is_noticed_and_plain_is_wiped(void **state)
{
	(void)state;
	for (size_t c = 0; c < 2; c++) {
		struct setting s = setting_of(ciphers[c]);
		struct seal *seal = create(&s);
		uint8_t sealed[SEALED], clear[HEADER_LENGTH], plain[SEALED], zeros[LENGTH] = {0};

		seal_message(&s, sealed);
		memcpy(clear, header, HEADER_LENGTH);
		for (size_t bit = 0; bit < 8 * (HEADER_LENGTH + SEALED); bit++) {
			size_t at = bit / 8;
			uint8_t *byte = at < HEADER_LENGTH ? &clear[at] : &sealed[at - HEADER_LENGTH];

			*byte ^= (uint8_t)(1 << bit % 8);
			memset(plain, 0xee, sizeof(plain));
			assert_int_equal(
			    seal_open(seal, s.nonce, clear, HEADER_LENGTH, sealed, SEALED, plain), -EBADMSG);
			assert_memory_equal(plain, zeros, LENGTH);
			*byte ^= (uint8_t)(1 << bit % 8);
		}
		assert_int_equal(seal_open(seal, s.nonce, clear, HEADER_LENGTH, sealed, SEALED, plain), 0);
		seal_destroy(seal);
	}
}

static void what_is_cut_short_does_not_open(void **state)
{
	(void)state;
	for (size_t c = 0; c < 2; c++) {
		struct setting s = setting_of(ciphers[c]);
		struct seal *seal = create(&s);
		uint8_t sealed[SEALED], plain[SEALED];

		seal_message(&s, sealed);
		for (size_t length = 0; length < SEALED; length++)
			assert_int_equal(
			    seal_open(seal, s.nonce, header, HEADER_LENGTH, sealed, length, plain), -EBADMSG);
		seal_destroy(seal);
	}
}

static void an_unknown_cipher_is_refused(void **state)
{
	struct setting s = setting_of(SEAL_AES_256_GCM);

	(void)state;
	assert_null(seal_create(s.key, (enum seal_cipher)7, 1, 1, &s.session));
	seal_destroy(NULL);
}

static void the_ring_finds_keys_by_their_id_and_takes_each_once(void **state)
{
	struct seal_ring ring = {0}, wiped = {0};
	uint8_t key[SEAL_KEY_SIZE] = {0};

	(void)state;
	assert_null(seal_ring_find(&ring, 0));
	for (uint8_t i = 0; i < SEAL_RING_MAX; i++) {
		key[0] = i;
		assert_int_equal(seal_ring_add(&ring, key), 0);
		assert_int_equal(seal_ring_add(&ring, key), -EEXIST);
	}
	key[0] = SEAL_RING_MAX;
	assert_int_equal(seal_ring_add(&ring, key), -ENOSPC);
	assert_null(seal_ring_find(&ring, seal_key_id(key)));
	key[0] = 3;
	assert_ptr_equal(seal_ring_find(&ring, seal_key_id(key)), ring.keys[3].key);
	seal_ring_wipe(&ring);
	assert_memory_equal(&ring, &wiped, sizeof(ring));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(hkdf_gives_the_vectors_of_rfc_5869),
	    cmocka_unit_test(sealed_bytes_are_what_the_protocol_says),
	    cmocka_unit_test(what_is_sealed_opens_to_what_it_was),
	    cmocka_unit_test(another_key_session_node_version_cipher_or_nonce_does_not_open_it),
	    cmocka_unit_test(any_bit_flipped_in_header_or_body_is_noticed_and_plain_is_wiped),
	    cmocka_unit_test(what_is_cut_short_does_not_open),
	    cmocka_unit_test(an_unknown_cipher_is_refused),
	    cmocka_unit_test(the_ring_finds_keys_by_their_id_and_takes_each_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
