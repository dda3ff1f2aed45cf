/* SPDX-License-Identifier: Apache-2.0 */
/* Blobs are fetched by threads ahead of the one that unpacks, parents first. */
#pragma once

#include "manager/content/content_chain.h"

/* A thread. */
void *content_fetchers_run(void *chain);

/* 0 when the blob is here. What another thread could not fetch ends this layer, too, when nobody
 * will come to it any more. */
int content_fetchers_wait(struct content_chain *job, const struct content_chain_layer *l,
			  struct error *e);
