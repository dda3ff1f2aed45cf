/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts of records, from the row to the mount point. `r` is reserved; without the lock. */
#pragma once

#include "manager/state/manager_state.h"

/* -ENOTSUP when the map is set and the kernel cannot mount with one. */
int mount_attach_check_map(const struct manager *m, const struct id_map *map, struct error *e);

/* A mount to be made, with its rows; NULL: no memory. */
struct mount *mount_attach_prepare(struct manager *m, const struct record *r,
				   const struct id_map *map, struct change_set *c);

/* Makes the prepared mount, whose rows have been written; takes it, also on failure. */
int mount_attach_prepared(struct manager *m, struct record *r, struct mount *mount,
			  struct error *e);

/* The two above, and the rows written in between. */
int mount_attach(struct manager *m, struct record *r, const struct id_map *map, struct error *e);
int mount_attach_register(struct manager *m, struct mount *mount, int root_fd, struct error *e);

/* A second, read-only mount point of the record's mount. */
int mount_attach_clone(struct manager *m, struct record *r, struct error *e);
