/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "proto/seal.h"

#include <errno.h>
#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

#include "proto/buf.h"

/* Each direction has its context: the expanded key stays, a datagram sets only the nonce. */
struct seal {
	EVP_CIPHER_CTX *closing, *opening;
};

/* libcrypto takes what it only reads through pointers that aren't const */
static OSSL_PARAM octets(const char *name, const void *bytes, size_t length)
{
	return OSSL_PARAM_construct_octet_string(name, (void *)(uintptr_t)bytes, length);
}

int seal_hkdf(const uint8_t *key, size_t key_length, const uint8_t *salt, size_t salt_length,
	      const uint8_t *info, size_t info_length, uint8_t *out, size_t out_length)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[5], *p = params;
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	int rc;

	*p++ = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0);
	*p++ = octets(OSSL_KDF_PARAM_KEY, key, key_length);
	if (salt_length) /* RFC 5869, 2.2: without a salt, zeros are used; so does libcrypto */
		*p++ = octets(OSSL_KDF_PARAM_SALT, salt, salt_length);
	if (info_length)
		*p++ = octets(OSSL_KDF_PARAM_INFO, info, info_length);
	*p = OSSL_PARAM_construct_end();
	rc = ctx && EVP_KDF_derive(ctx, out, out_length, params) == 1 ? 0 : -EIO;
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return rc;
}

uint32_t seal_key_id(const uint8_t key[SEAL_KEY_SIZE])
{
	static const char info[] = "twintrack key id";
	uint8_t out[4] = {0};
	struct reader r = reader_over(out, sizeof(out));

	if (seal_hkdf(key, SEAL_KEY_SIZE, NULL, 0, (const uint8_t *)info, sizeof(info) - 1, out,
		      sizeof(out)) < 0)
		return 0;
	return reader_u32(&r);
}

int seal_ring_add(struct seal_ring *ring, const uint8_t key[SEAL_KEY_SIZE])
{
	for (size_t i = 0; i < ring->count; i++)
		if (CRYPTO_memcmp(ring->keys[i].key, key, SEAL_KEY_SIZE) == 0)
			return -EEXIST;
	if (ring->count == SEAL_RING_MAX)
		return -ENOSPC;
	memcpy(ring->keys[ring->count].key, key, SEAL_KEY_SIZE);
	ring->keys[ring->count].id = seal_key_id(key);
	ring->count++;
	return 0;
}

void seal_ring_wipe(struct seal_ring *ring)
{
	OPENSSL_cleanse(ring, sizeof(*ring));
}

const uint8_t *seal_ring_find(const struct seal_ring *ring, uint32_t id)
{
	for (size_t i = 0; i < ring->count; i++)
		if (ring->keys[i].id == id)
			return ring->keys[i].key;
	return NULL;
}

static const char *cipher_name(enum seal_cipher cipher)
{
	switch (cipher) {
	case SEAL_AES_256_GCM:
		return "AES-256-GCM";
	case SEAL_CHACHA20_POLY1305:
		return "ChaCha20-Poly1305";
	}
	return NULL;
}

static int derive(const uint8_t key[SEAL_KEY_SIZE], enum seal_cipher cipher, uint8_t protocol_version,
		  uint16_t node_id, const struct seal_session_id *session, uint8_t derived[SEAL_KEY_SIZE])
{
	uint8_t info[16];
	struct writer w = writer_over(info, sizeof(info));

	writer_bytes(&w, "twintrack", 9);
	writer_u8(&w, protocol_version);
	writer_u8(&w, (uint8_t)cipher);
	writer_u16(&w, node_id);
	return seal_hkdf(key, SEAL_KEY_SIZE, session->bytes, SEAL_SESSION_SIZE, info, writer_length(&w),
			 derived, SEAL_KEY_SIZE);
}

static EVP_CIPHER_CTX *context_create(const EVP_CIPHER *cipher, const uint8_t key[SEAL_KEY_SIZE],
				      int is_closing)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	if (ctx && EVP_CipherInit_ex(ctx, cipher, NULL, key, NULL, is_closing) == 1 &&
	    EVP_CIPHER_CTX_get_iv_length(ctx) == SEAL_NONCE_SIZE)
		return ctx;
	EVP_CIPHER_CTX_free(ctx);
	return NULL;
}

struct seal *seal_create(const uint8_t key[SEAL_KEY_SIZE], enum seal_cipher cipher, uint8_t protocol_version,
			 uint16_t node_id, const struct seal_session_id *session)
{
	const char *name = cipher_name(cipher);
	EVP_CIPHER *fetched = name ? EVP_CIPHER_fetch(NULL, name, NULL) : NULL;
	struct seal *seal = calloc(1, sizeof(*seal));
	uint8_t derived[SEAL_KEY_SIZE];

	if (fetched && seal && derive(key, cipher, protocol_version, node_id, session, derived) == 0) {
		seal->closing = context_create(fetched, derived, 1);
		seal->opening = context_create(fetched, derived, 0);
	}
	OPENSSL_cleanse(derived, sizeof(derived));
	EVP_CIPHER_free(fetched);
	if (seal && seal->closing && seal->opening)
		return seal;
	seal_destroy(seal);
	return NULL;
}

void seal_destroy(struct seal *seal)
{
	if (!seal)
		return;
	EVP_CIPHER_CTX_free(seal->closing); /* wipes the expanded key */
	EVP_CIPHER_CTX_free(seal->opening);
	free(seal);
}

int seal_close(struct seal *seal, const uint8_t nonce[SEAL_NONCE_SIZE], const uint8_t *header,
	       size_t header_length, uint8_t *bytes, size_t length)
{
	EVP_CIPHER_CTX *ctx = seal->closing;
	int done = 0;

	if (header_length > INT_MAX || length > INT_MAX)
		return -EIO;
	if (EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, nonce) != 1 ||
	    EVP_EncryptUpdate(ctx, NULL, &done, header, (int)header_length) != 1 ||
	    EVP_EncryptUpdate(ctx, bytes, &done, bytes, (int)length) != 1 ||
	    EVP_EncryptFinal_ex(ctx, bytes + length, &done) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_SIZE, bytes + length) != 1)
		return -EIO;
	return 0;
}

int seal_open(struct seal *seal, const uint8_t nonce[SEAL_NONCE_SIZE], const uint8_t *header,
	      size_t header_length, const uint8_t *sealed, size_t length, uint8_t *plain)
{
	EVP_CIPHER_CTX *ctx = seal->opening;
	uint8_t tag[SEAL_TAG_SIZE];
	size_t plain_length;
	int done = 0;

	if (header_length > INT_MAX || length > INT_MAX || length < SEAL_TAG_SIZE)
		return -EBADMSG;
	plain_length = length - SEAL_TAG_SIZE;
	memcpy(tag, sealed + plain_length, SEAL_TAG_SIZE);
	if (EVP_DecryptInit_ex(ctx, NULL, NULL, NULL, nonce) == 1 &&
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_SIZE, tag) == 1 &&
	    EVP_DecryptUpdate(ctx, NULL, &done, header, (int)header_length) == 1 &&
	    EVP_DecryptUpdate(ctx, plain, &done, sealed, (int)plain_length) == 1 &&
	    EVP_DecryptFinal_ex(ctx, plain + plain_length, &done) == 1)
		return 0;
	OPENSSL_cleanse(plain, plain_length);
	return -EBADMSG;
}
