/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record's chain of layers as one extraction sees it: a copy, with the blobs of the layers that
 * lack files pinned. It belongs to content_extract.c, whose threads share it.
 */
#pragma once

#include "graph/record_content.h"
#include "manager/content/content_blobs.h"
#include "manager/content/content_progress.h"
#include "manager/state/manager_state.h"

enum content_chain_blob {
	CONTENT_CHAIN_BLOB_WANTED,
	CONTENT_CHAIN_BLOB_HERE,
	CONTENT_CHAIN_BLOB_FAILED,
};

/* A layer that lacks files. */
struct content_chain_layer {
	char layer[LAYER_NAME_LENGTH + 1], record[RECORD_ID_LENGTH + 1];
	struct record_content *content;
	size_t below; /* how many of the chain's layers it lies on */
	enum content_chain_blob blob; /* guarded by the lock of the fetchers, as is the next */
	int64_t fetch_ns; /* that bringing the blob took; 0: it was here */
	struct blob_pin pin;
};

struct content_chain {
	struct manager *m;
	struct content_progress *progress;
	struct content_chain_layer *layers; /* lowest first */
	size_t count;
	char (*names)[LAYER_NAME_LENGTH + 1]; /* of all layers of the chain, lowest first */
};

/* Copies the chain of a record that stays meanwhile, once no other thread works on it. Unless
 * `without_blobs`, -ENODATA when a blob is not here and has no source. *ret_chain is zeros before
 * and the caller's to close, also on failure. Without the lock. */
int content_chain_open(struct manager *m, struct record *r, const struct content_watch *watch,
		       bool without_blobs, struct content_chain *ret_chain, struct error *e);
void content_chain_close(struct content_chain *chain);
DEFINE_CLEANUP_VALUE(struct content_chain, content_chain_close)
