/* SPDX-License-Identifier: Apache-2.0 */
/* The directories of layers, and directories for what is only needed for a while. Without the lock.
 */
#pragma once

#include <dirent.h>

#include "manager/state/manager_state.h"

#define STORE_FILES_PATH_SIZE 64

/* The path of the layer's files within the store. */
void store_files_layer_path(const char *layer, char path[STORE_FILES_PATH_SIZE]);

/* What the layer's short link l/<layer> must say. */
void store_files_link_target(const char *layer, char path[STORE_FILES_PATH_SIZE]);

int store_files_make(struct manager *m, const char *layer, struct error *e);

/* Before the rows of a layer are deleted: a crash then leaves a layer that looks like one without
 * rows, and not like one of another database. */
void store_files_leave(struct manager *m, const char *layer);

/* Moves a layer out of sight, to be deleted in the background. A layer that is gone is success. */
int store_files_discard(struct manager *m, const char *layer, struct error *e);

/* Makes l/<layer> what it has to be; 1 when it was not. */
int store_files_link(struct manager *m, const char *layer, struct error *e);

int store_files_open_layer(struct manager *m, const char *layer, int *ret_fd, struct error *e);

/* A new directory for what is only needed for a while; *ret_path is within the store, and the
 * caller's to free. What a crash leaves of them is gone at the next start. */
int store_files_make_scratch(struct manager *m, char **ret_path, struct error *e);
void store_files_drop_scratch(struct manager *m, const char *path);
int store_files_clear_scratch(struct manager *m, struct error *e);
