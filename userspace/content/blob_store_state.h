/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What blob_store.c and blob_writer.c share: the directories, and the names in ingest/ that are
 * being written. A name is claimed before its file is touched. Nobody else includes this.
 */
#pragma once

#include <pthread.h>

#include "base/hashmap.h"
#include "content/blob_store.h"

struct blob_store {
	int blobs_fd; /* blobs/sha256 */
	int ingest_fd;
	pthread_mutex_t lock; /* guards what follows; never held across I/O */
	pthread_cond_t released; /* a claim is gone */
	struct hashmap *claims; /* by name in ingest/ */
	uint64_t unnamed; /* how many blobs without a known digest there were */
};

#define BLOB_NAME_SIZE 80

struct blob_claim {
	char name[BLOB_NAME_SIZE];
};

/* -EBUSY: somebody else has it. The claim must outlive it. */
int blob_claim_try(struct blob_store *s, struct blob_claim *claim);
/* Waits for whoever has it. -ECANCELED, -ENOMEM. */
int blob_claim_take(struct blob_store *s, struct blob_claim *claim, const atomic_bool *cancelled);
void blob_claim_release(struct blob_store *s, struct blob_claim *claim);
