/* SPDX-License-Identifier: Apache-2.0 */
/* The one worker that Varve shows to BuildKit's clients: this store on this machine. */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "control.pb-c.h"

struct manager;

struct control_worker;

int control_worker_new(struct manager *m, struct control_worker **ret_worker, struct error *e);
void control_worker_free(struct control_worker *w);
DEFINE_CLEANUP(struct control_worker *, control_worker_free)
/* Whether BuildKit's filters, of `id` and `labels."key"`, match the worker. -EINVAL. */
int control_worker_match(const struct control_worker *w, const char *const *filters, size_t count,
			 bool *ret_matches, struct error *e);
/* Borrowed: valid as long as the worker. */
Moby__Buildkit__V1__WorkerRecord *control_worker_record(struct control_worker *w);
void control_worker_fill_version(Moby__Buildkit__V1__BuildkitVersion *version);
