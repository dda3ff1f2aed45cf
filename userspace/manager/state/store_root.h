/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's own directory: made, closed to everybody but root, and locked against other agents.
 * Called while the manager opens.
 */
#pragma once

#include <dirent.h>

#include "manager/state/manager_state.h"

/* A path of the store and its longest file must fit where the kernel cuts: options, sockets. */
#define STORE_ROOT_MAX 200

/* Makes what is missing and sets m->root_fd and m->mounts_fd. Nobody but root may pass through the
 * store's directories, whatever an earlier version has left: below them are programs of images with
 * a set-user-ID bit, and files of all clients. */
int store_root_open(struct manager *m, struct error *e);
/* Sets m->lock_fd, and gives back the space that the last agent had reserved for a start on a full
 * disk. -EBUSY: another agent has the store. */
int store_root_lock(struct manager *m, struct error *e);
/* Takes that space again. Where there is too little, there is no reserve until the next start. */
void store_root_reserve(const struct manager *m);

/* A directory of the store, such as "layers"; NULL with errno. */
DIR *store_root_open_directory(struct manager *m, const char *name);
