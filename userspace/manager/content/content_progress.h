/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The progress of long work. All threads of one work share a content_progress: reports reach the
 * client one at a time and not too often, and a cancellation reaches every thread.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/ranked_lock.h"

struct content_progress_report {
	const char *action; /* "copy", "fetch", "unpack", "pack", "push" */
	const char *what; /* a digest, or a record */
	int64_t done_bytes, total_bytes; /* total -1: not known */
};

/* How a caller follows and cancels long work. */
struct content_watch {
	const atomic_bool *cancelled; /* may be NULL */
	/* Called by any thread of the work, one at a time, and at the end of each piece; a negative
	 * return cancels the work. May be NULL. */
	int (*progress)(const struct content_progress_report *progress, void *user);
	void *user;
};

struct content_progress;

/* The watch is copied; what it points to is borrowed. NULL when out of memory. */
struct content_progress *content_progress_new(const struct content_watch *watch);
void content_progress_free(struct content_progress *p);
DEFINE_CLEANUP(struct content_progress *, content_progress_free)

/* Reports, unless the last report was a moment ago. -ECANCELED: also when the report failed. */
int content_progress_say(struct content_progress *p, const char *action, const char *what,
			 int64_t done_bytes, int64_t total_bytes);

/* Like content_progress_say(), but reports nothing. */
int content_progress_check(struct content_progress *p);

/* With `lock`, which it releases meanwhile: returns when the condition is signalled, or after a
 * moment, so that the caller looks again at what it waits for. -ECANCELED. */
int content_progress_wait(struct content_progress *p, struct ranked_lock *lock,
			  pthread_cond_t *condition);

/* Ends the work of all threads as if the caller had cancelled it. */
void content_progress_end(struct content_progress *p);

/* A flag that the functions above set when the work is to end. It lives as long as `p`. */
const atomic_bool *content_progress_stop(struct content_progress *p);
