/* SPDX-License-Identifier: Apache-2.0 */
/* The threads that fetch the blobs of a chain, lowest first, ahead of the thread that unpacks them.
 */
#pragma once

#include "manager/content/content_chain.h"

#define CONTENT_FETCHERS_MAX 3 /* more would make some registries refuse the client */

struct content_fetchers {
	struct content_chain *chain;
	pthread_t threads[CONTENT_FETCHERS_MAX];
	size_t thread_count;
	struct ranked_lock lock; /* guards what follows */
	pthread_cond_t changed;
	size_t next; /* the layer to be fetched next */
	int code; /* the first failure */
	struct error error; /* of that */
};

/* The chain is borrowed until the end. *ret_fetchers does not move: the threads use it. -EAGAIN. */
int content_fetchers_begin(struct content_chain *chain, struct content_fetchers *ret_fetchers,
			   struct error *e);
/* Waits until the layer's blob is here. Fails with the first failure of any thread, since the
 * threads fetch no more after that; -ECANCELED. Without the lock. */
int content_fetchers_wait(struct content_fetchers *f, const struct content_chain_layer *l,
			  struct error *e);
/* Waits for the threads, which content_progress_end() of the chain's progress stops. */
void content_fetchers_end(struct content_fetchers *f);
DEFINE_CLEANUP_VALUE(struct content_fetchers, content_fetchers_end)
