/* SPDX-License-Identifier: Apache-2.0 */
/* The mounts that the manager knows, and where they are to be seen. */
#pragma once

#include "base/cleanup.h"
#include "manager/state/manager_state.h"

#define MOUNT_POINT_NAME_SIZE (RECORD_ID_LENGTH + 4)
void mount_list_point_name(const struct record *r, bool read_only_clone,
			   char name[MOUNT_POINT_NAME_SIZE]);
char *mount_list_path(const struct manager *m, const struct record *r, bool read_only_clone);
struct mount *mount_list_new(const struct record *r, uint64_t id, bool writable,
			     const struct id_map *map);

/* As the database has them; NULL: no memory. */
char *mount_list_layer_names(const struct mount *mount);

/* A mount that has ended, from its row. */
struct mount *mount_list_new_gone(uint64_t id, bool writable, const char *names);
void mount_list_free(struct mount *mount);
DEFINE_CLEANUP(struct mount *, mount_list_free)

/* With the lock. */
void mount_list_link(struct manager *m, struct mount *mount, struct record *r);
void mount_list_unlink(struct manager *m, struct mount *mount);
