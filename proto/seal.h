/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sealing: AEAD over a datagram with a key derived for its session, and the ring of keys that are accepted.
 * The only file of proto/ that calls libcrypto.
 *
 * session key = HKDF-SHA256 (RFC 5869; ikm = the 32 bytes of the key file, salt = session,
 *               info = "twintrack" | protocol version | cipher | node id)
 * nonce       = salt (4) | packet number (8), 12 bytes; the whole clear header is associated data.
 */
#ifndef PROTO_SEAL_H
#define PROTO_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	SEAL_KEY_SIZE = 32,
	SEAL_TAG_SIZE = 16,
	SEAL_NONCE_SIZE = 12,
	SEAL_SESSION_SIZE = 16,
	SEAL_RING_MAX = 9
};

enum seal_cipher { SEAL_AES_256_GCM = 1, SEAL_CHACHA20_POLY1305 = 2 };

struct seal_session_id {
	uint8_t bytes[SEAL_SESSION_SIZE];
};

/* Keys as read from their files, the first is the one to send with.  Plain data; wipe with seal_ring_wipe().
 */
struct seal_ring {
	size_t count;
	struct {
		uint8_t key[SEAL_KEY_SIZE];
		uint32_t id; /* seal_key_id(key) */
	} keys[SEAL_RING_MAX];
};

/* Adds a key (at the end); 0, -EEXIST when it is there already, -ENOSPC. */
int seal_ring_add(struct seal_ring *ring, const uint8_t key[SEAL_KEY_SIZE]);
void seal_ring_wipe(struct seal_ring *ring);
/* The key with that id; NULL if the ring has none. */
const uint8_t *seal_ring_find(const struct seal_ring *ring, uint32_t id);

/* A public name for a key: the first 4 bytes of HKDF(key, info = "twintrack key id").  Tells nothing of the
 * key. */
uint32_t seal_key_id(const uint8_t key[SEAL_KEY_SIZE]);

/* HKDF-SHA256 (RFC 5869), extract and expand; a NULL salt or info is an empty one.  0, or -EIO. */
int seal_hkdf(const uint8_t *key, size_t key_length, const uint8_t *salt, size_t salt_length,
	      const uint8_t *info, size_t info_length, uint8_t *out, size_t out_length);

/* A key at work: derived, expanded, ready.  Used for sealing or for opening, one session of one node. */
struct seal;

/* Returns NULL when out of memory, or if libcrypto doesn't have the cipher. */
struct seal *seal_create(const uint8_t key[SEAL_KEY_SIZE], enum seal_cipher cipher, uint8_t protocol_version,
			 uint16_t node_id, const struct seal_session_id *session);
/* Wipes and frees; NULL is fine. */
void seal_destroy(struct seal *seal);

/*
 * Encrypts `length` bytes in place and writes the tag behind them (room for SEAL_TAG_SIZE must be there).
 * 0, or -EIO when libcrypto fails.
 */
int seal_close(struct seal *seal, const uint8_t nonce[SEAL_NONCE_SIZE], const uint8_t *header,
	       size_t header_length, uint8_t *bytes, size_t length);

/*
 * Checks and decrypts `length` bytes, tag included, from `sealed` into `plain` (may be the same place; length
 * - SEAL_TAG_SIZE bytes). 0, or -EBADMSG when it isn't authentic (plain is then wiped).
 */
int seal_open(struct seal *seal, const uint8_t nonce[SEAL_NONCE_SIZE], const uint8_t *header,
	      size_t header_length, const uint8_t *sealed, size_t length, uint8_t *plain);

#endif
