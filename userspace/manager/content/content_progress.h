/* SPDX-License-Identifier: Apache-2.0 */
/* Long work says how far it is: one at a time, and not too often; and it learns that it was
 * cancelled. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

/* Long work says how far it is: `done` of `total` bytes (-1: not known). Called by any thread of
 * it, one at a time, not too often, and at the end of each piece. */
struct content_progress_report {
	const char *action; /* "copy", "fetch", "unpack", "pack", "push" */
	const char *what; /* a digest, or a record */
	int64_t done_bytes, total_bytes;
};

struct content_watch {
	const atomic_bool *cancelled; /* may be NULL */
	int (*progress)(const struct content_progress_report *progress,
			void *user); /* may be NULL */
	void *user;
};

struct content_progress;
struct content_progress *content_progress_new(const struct content_watch *watch);
void content_progress_free(struct content_progress *p);
DEFINE_CLEANUP(struct content_progress *, content_progress_free)

/* -ECANCELED, also when nobody listens any more. */
int content_progress_say(struct content_progress *p, const char *action, const char *what,
			 int64_t done_bytes, int64_t total_bytes);

/* The same without a word. */
int content_progress_check(struct content_progress *p);

/* As if it were cancelled: other threads of the same work come to their end. */
void content_progress_end(struct content_progress *p);

/* Set when the caller has cancelled, or nobody listens: the functions above look. */
const atomic_bool *content_progress_stop(struct content_progress *p);
static inline bool content_is_cancelled(const struct content_watch *watch)
{
	return watch->cancelled && atomic_load(watch->cancelled);
}
