/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is behind struct usage_bpf, for this folder only. `lock` guards the list
 * of mounts and the cells; the maps themselves are read without it.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "bpf/usage_shared.h"
#include "usage/usage_attach.h"
#include "usage/usage_backend.h"

/* A mount from its registration until it is forgotten. */
struct usage_mount {
	uint64_t id;
	uint32_t device; /* of no meaning unless registered */
	bool registered;
	uint32_t layer_count;
};

struct usage_bpf {
	pthread_mutex_t lock;
	enum usage_backend backend;
	struct error refusals[USAGE_BACKEND_COUNT];
	bool is_new; /* no agent had pinned anything there before */
	struct usage_maps maps;
	struct usage_mount_verdicts *verdicts; /* the map itself; NULL while there is no backend */
	uint32_t cpu_count; /* a per-CPU value has that many parts */
	uint32_t part_count; /* and a cell up to that many */
	struct usage_mount *mounts; /* sorted by id */
	size_t mount_count, mount_capacity;
	uint64_t *owners; /* of the layers that are watched, sorted */
	size_t owner_count, owner_capacity;
	size_t cells_seen; /* when all were read last */
	struct usage_changed *changed; /* which cells may have changed; NULL without a backend */
	size_t stale_bits; /* roots that are watched no more, and that the filter still has */
	int64_t uses_swept_boot_ns, mapped_swept_boot_ns;
	uint64_t mapped_lost; /* of files, when the map of mapped files was swept */
	struct usage_mapped_filter *mapped_filter; /* likewise the map itself */
	const char *pin_dir; /* owned */
	uint32_t max_files; /* of a file buffer */
	pthread_mutex_t files_lock; /* one thread at a time puts a buffer aside */
	struct ring_buffer *file_events;
};

/* A copy of all that cells may belong to, mounts and layers, sorted; the caller frees it. NULL when
 * out of memory. */
uint64_t *usage_handle_owners(struct usage_bpf *u, size_t *ret_count);
/* Whether a mount or a layer is known now, which it may not have been when a copy was made. */
bool usage_handle_knows(struct usage_bpf *u, uint64_t owner);
/* With the lock. -ENOMEM. */
int usage_handle_add_owner(struct usage_bpf *u, uint64_t owner);
void usage_handle_remove_owner(struct usage_bpf *u, uint64_t owner);
/* With the lock: the mount of this id, to be changed; NULL: it is not known. Until the next mount
 * is added or removed. */
struct usage_mount *usage_handle_find_mount(struct usage_bpf *u, uint64_t id);
struct usage_mount *usage_handle_add_mount(struct usage_bpf *u, uint64_t id); /* NULL: no memory */
void usage_handle_remove_mount(struct usage_bpf *u, struct usage_mount *mount);

/* All parts of all cells, in no order: those of one cell are far from each other. */
struct usage_parts {
	struct usage_cell_key *keys;
	struct usage_counts *counts;
	size_t count, capacity;
};
void usage_parts_free(struct usage_parts *parts);
DEFINE_CLEANUP_VALUE(struct usage_parts, usage_parts_free)
int usage_handle_read_parts(struct usage_bpf *u, struct usage_parts *ret_parts, struct error *e);
/* A visitor's negative return ends the walk. */
int usage_handle_walk_cells(struct usage_bpf *u,
			    int (*visit)(const struct usage_cell_key *key,
					 const struct usage_counts *counts, void *user),
			    void *user, struct error *e);
void usage_handle_delete_cells(struct usage_bpf *u, const struct usage_mount *mount);
