/* SPDX-License-Identifier: Apache-2.0 */
/* The layers below a record, and itself, as one extraction sees them. */
#pragma once

#include "graph/record_content.h"
#include "manager/content/content_progress.h"
#include "manager/state/manager_state.h"

struct content_chain_layer {
	char layer[LAYER_NAME_LENGTH + 1];
	struct record_content *content;
	size_t below; /* how many of the chain's layers it lies on */
	enum { BLOB_WANTED, BLOB_HERE, BLOB_FAILED } blob; /* with the job's lock */
	bool pinned;
};

struct content_chain {
	struct manager *m;
	struct content_progress *progress;
	struct content_chain_layer *layers; /* lowest first; those that lack files */
	size_t count;
	char (*chain)[LAYER_NAME_LENGTH + 1]; /* all of the chain, lowest first */
	struct ranked_lock lock;
	pthread_cond_t changed;
	size_t next; /* to be fetched */
	const char *adopt; /* a directory that has the files of the only layer already, or NULL */
	int code; /* the first failure of a fetch */
	struct error error;
};

/* With the lock. */
int content_chain_list(struct record *r, struct content_chain *job);
int content_chain_pin(struct content_chain *job);
void content_chain_free(struct content_chain *job);

/* With the given lock: woken, or a moment later. */
void content_chain_wait(struct ranked_lock *lock, pthread_cond_t *condition);
