/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One nf_tables transaction: messages are gathered, sent in one go, and applied all or none.  And the socket
 * it goes through, whose life is the life of the tables that it owns.  For the fence.
 */
#ifndef SYNCD_KERNEL_NFT_BATCH_H
#define SYNCD_KERNEL_NFT_BATCH_H

#include <libmnl/libmnl.h>
#include <stdint.h>

/* the longest message that a caller may build into what nft_batch_add() returns */
#define NFT_MESSAGE_MAX 16384

struct nft_batch;

/* Opens a socket in the network namespace of the caller.  Returns 0 or a negative errno. */
int nft_batch_open(struct nft_batch **batch);

/* Closes it; the kernel removes at once the tables that it owns.  NULL is allowed. */
void nft_batch_close(struct nft_batch *batch);

/* The netlink port id: the owner of tables made with NFT_TABLE_F_OWNER. */
uint32_t nft_batch_port(const struct nft_batch *batch);

/* Begins a transaction; what was gathered before and not committed is forgotten. */
void nft_batch_begin(struct nft_batch *batch);

/*
 * Starts the next message (NFT_MSG_...; flags beyond NLM_F_REQUEST) of the inet family.  The label says in
 * words what it asks for; it must outlive the commit.  The result is valid until the next call.  NULL when
 * there is no memory; the commit will then fail as after nft_batch_fail(), so a caller may simply leave the
 * message out.
 */
struct nlmsghdr *nft_batch_add(struct nft_batch *batch, uint16_t type, uint16_t flags, const char *label);

/* A message could not be built (-ENOMEM): the commit will send nothing, and return this error. */
void nft_batch_fail(struct nft_batch *batch, int error);

/*
 * Sends the transaction and reads the kernel's answer, which it gives within the sending call.  Returns 0, or
 * the negative errno of the first message refused, with its label in *refused (NULL when it was none of
 * them).
 */
int nft_batch_commit(struct nft_batch *batch, const char **refused);

/*
 * Asks for one object (flags 0) or for all (NLM_F_DUMP): build (at most 512 bytes)(message, context) adds
 * what is asked for, and answer(message, context) is called for each answer.  Returns 0 or a negative errno,
 * as -ENOENT.
 */
typedef void (*nft_build_fn)(struct nlmsghdr *message, void *context);
int nft_batch_get(struct nft_batch *batch, uint16_t type, uint16_t flags, nft_build_fn build, mnl_cb_t answer,
		  void *context);

#endif
