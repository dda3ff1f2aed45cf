/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names in ingest/ that are being written: a name is claimed before its file is touched. Every
 * function may be called from any thread; no lock is held when it returns.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/hashmap.h"

struct blob_claims {
	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t released; /* a claim is gone */
	struct hashmap *claims; /* by name */
	uint64_t unnamed; /* how many blobs without a known digest there were */
};

#define BLOB_NAME_SIZE 80

/* Must outlive its being claimed. */
struct blob_claim {
	char name[BLOB_NAME_SIZE];
};

int blob_claims_init(struct blob_claims *c); /* -ENOMEM */
void blob_claims_destroy(struct blob_claims *c);

/* -EBUSY: another one has it. */
int blob_claims_try(struct blob_claims *c, struct blob_claim *claim);
/* Waits until no thread has it. -ECANCELED, -ENOMEM. `cancelled` may be NULL. */
int blob_claims_take(struct blob_claims *c, struct blob_claim *claim, const atomic_bool *cancelled);
void blob_claims_release(struct blob_claims *c, struct blob_claim *claim);
/* A number that no other blob without a digest has. */
uint64_t blob_claims_next_number(struct blob_claims *c);
