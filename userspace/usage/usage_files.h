/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes the files that were read out of the kernel. A buffer in use is put aside: an empty one
 * takes its place, so that no program writes to it any more, and it stays pinned until its reader
 * has made durable what it read, also when that is interrupted. A few of them can wait.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "usage/usage_reader.h"

struct usage_taken;

/* Puts the buffer in use aside, unless nothing was read, or too many wait already: then it goes on
 * until it is full. Any thread. */
int usage_files_put_aside(struct usage_bpf *u, struct error *e);
/* How many wait. */
size_t usage_files_waiting(struct usage_bpf *u);
/* Opens the one that waits longest; NULL in *ret_taken: none does. One reader at a time. */
int usage_files_take(struct usage_bpf *u, struct usage_taken **ret_taken, struct error *e);
/* Tells it from others of this boot. */
uint32_t usage_files_id(const struct usage_taken *taken);
/* Visits each; a visitor's negative return ends the walk and is returned. */
int usage_files_read(struct usage_taken *taken,
		     int (*visit)(const struct usage_file *file, void *user), void *user,
		     struct error *e);
/* When all has been read, and is durable. */
int usage_files_drop(struct usage_bpf *u, const struct usage_taken *taken, struct error *e);
void usage_files_free(struct usage_taken *taken); /* it waits on, unless it was dropped */
DEFINE_CLEANUP(struct usage_taken *, usage_files_free)

/* A descriptor that can be read when a buffer fills, for poll(2); -1: nothing is counted. */
int usage_files_event_fd(struct usage_bpf *u);
/* Until the next buffer fills. */
void usage_files_clear_events(struct usage_bpf *u);
