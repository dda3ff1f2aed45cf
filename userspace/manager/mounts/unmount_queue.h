/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left to do when a record's end, or its commit, is in the database already: unmount, which
 * syncs a file system, and move the layer to the trash. Threads of its own do it, in the order in
 * which it came; after a crash recover does.
 */
#pragma once

#include "manager/state/manager_state.h"

struct unmount_task {
	char layer[LAYER_NAME_LENGTH + 1];
	char id[RECORD_ID_LENGTH + 1];
	bool mounted, read_only_clone; /* at the record's mount points */
	bool discard; /* the layer */
};

int unmount_queue_start(struct manager *m, struct error *e);

/* Does what is left to do first. */
void unmount_queue_stop(struct manager *m);

/* Waits while too much is left to do. Without memory the task is done at once. */
void unmount_queue_add(struct manager *m, const struct unmount_task *what);

/* Whether there is a task with this layer, or with this record's id. */
bool unmount_queue_has(struct manager *m, const char *layer_or_id);

/* Until nothing is left to do with the layer. */
void unmount_queue_wait(struct manager *m, const char *layer);

/* Until everything is done that was there when it was called. */
void unmount_queue_drain(struct manager *m);
