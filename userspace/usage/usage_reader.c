// SPDX-License-Identifier: Apache-2.0
#include "usage/usage_reader.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"
#include "usage/usage_handle.h"

/* Larger than any bucket of the map gets, so that a batch always has room for one. */
#define FILES_PER_BATCH 4096

static const size_t counter_offsets[USAGE_COUNTER_COUNT] = {
	[USAGE_OPENS] = offsetof(struct usage_counts, opens),
	[USAGE_EXECS] = offsetof(struct usage_counts, execs),
	[USAGE_READS] = offsetof(struct usage_counts, reads),
	[USAGE_READ_BYTES] = offsetof(struct usage_counts, read_bytes),
	[USAGE_WRITES] = offsetof(struct usage_counts, writes),
	[USAGE_WRITTEN_BYTES] = offsetof(struct usage_counts, written_bytes),
	[USAGE_MMAPS] = offsetof(struct usage_counts, mmaps),
	[USAGE_STATS] = offsetof(struct usage_counts, stats),
	[USAGE_READLINKS] = offsetof(struct usage_counts, readlinks),
	[USAGE_COPY_UPS] = offsetof(struct usage_counts, copy_ups),
	[USAGE_COPIED_UP_BYTES] = offsetof(struct usage_counts, copied_up_bytes),
	[USAGE_UPPER_CHANGES] = offsetof(struct usage_counts, upper_changes),
};

uint32_t usage_unseen_counters(enum usage_backend backend)
{
	if (backend == USAGE_BACKEND_OVERLAY)
		return 0;
	if (backend == USAGE_BACKEND_SYSCALL)
		return 1U << USAGE_STATS | 1U << USAGE_READLINKS | 1U << USAGE_COPIED_UP_BYTES;
	return (1U << USAGE_COUNTER_COUNT) - 1;
}

/* ---- cells ---- */

static void add_part(struct usage_totals *totals, const struct usage_counts *part)
{
	int64_t first = (int64_t)part->first_access, last = (int64_t)part->last_access;

	for (size_t i = 0; i < USAGE_COUNTER_COUNT; i++)
		totals->counters[i] += *(const __u64 *)((const char *)part + counter_offsets[i]);
	if (first && (!totals->first_access_boot_ns || first < totals->first_access_boot_ns))
		totals->first_access_boot_ns = first;
	if (last > totals->last_access_boot_ns)
		totals->last_access_boot_ns = last;
}

static int read_cells_of(struct usage_bpf *u, const struct usage_mount *mount,
			 struct usage_counts *parts,
			 int (*visit)(const struct usage_cell *cell, void *user), void *user,
			 struct error *e)
{
	if (mount->first_cell == USAGE_NO_CELL)
		return 0;
	for (uint32_t layer = 0; layer < mount->layer_count; layer++) {
		struct usage_cell cell = { .mount_id = mount->id, .layer = layer };
		uint32_t index = mount->first_cell + layer;

		if (bpf_map_lookup_elem(u->maps.cells, &index, parts) < 0)
			return error_set(e, -errno, "read the counters: %s", strerror(errno));
		if (parts->mount_id != mount->id)
			continue; /* forgotten since the list was made */
		for (uint32_t cpu = 0; cpu < u->cpu_count; cpu++)
			add_part(&cell.totals, &parts[cpu]);
		int r = visit(&cell, user);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Of all mounts, or of the one with this id. */
static int read_cells(struct usage_bpf *u, const uint64_t *only,
		      int (*visit)(const struct usage_cell *cell, void *user), void *user,
		      struct error *e)
{
	size_t count = 0;
	int r = 0;

	if (u->backend == USAGE_BACKEND_NONE)
		return 0;
	cleanup(free_ptr) struct usage_mount *mounts = usage_handle_mounts(u, &count);
	cleanup(free_ptr) struct usage_counts *parts = calloc(u->cpu_count, sizeof(*parts));
	if (!mounts || !parts)
		return error_set(e, -ENOMEM, "out of memory");
	if (only) {
		const struct usage_mount *mount = usage_handle_find(mounts, count, *only);

		return mount ? read_cells_of(u, mount, parts, visit, user, e) : 0;
	}
	for (size_t i = 0; i < count && r == 0; i++)
		r = read_cells_of(u, &mounts[i], parts, visit, user, e);
	return r;
}

int usage_read_cells(struct usage_bpf *u, int (*visit)(const struct usage_cell *cell, void *user),
		     void *user, struct error *e)
{
	return read_cells(u, NULL, visit, user, e);
}

int usage_read_mount_cells(struct usage_bpf *u, uint64_t mount_id,
			   int (*visit)(const struct usage_cell *cell, void *user), void *user,
			   struct error *e)
{
	return read_cells(u, &mount_id, visit, user, e);
}

/* ---- files ---- */

struct file_batch {
	struct usage_file_key keys[FILES_PER_BATCH];
	struct usage_file_counts counts[FILES_PER_BATCH];
};

struct file_walk {
	struct usage_bpf *u;
	const struct usage_mount *mounts;
	size_t mount_count;
	int (*visit)(const struct usage_file *file, void *user);
	void *user;
};

static int visit_batch(const struct file_walk *walk, const struct file_batch *batch, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct usage_file_key *key = &batch->keys[i];
		const struct usage_file_counts *counts = &batch->counts[i];
		struct usage_file file = {
			.mount_id = key->mount_id,
			.layer = key->layer,
			.inode = key->inode,
			.opens = counts->opens,
			.read_bytes = counts->read_bytes,
			.last_access_boot_ns = (int64_t)counts->last_access,
		};

		if (!usage_handle_find(walk->mounts, walk->mount_count, key->mount_id)) {
			/* Ids are not used twice: what is unknown now is forgotten for good. */
			if (!usage_handle_knows(walk->u, key->mount_id))
				(void)bpf_map_delete_elem(walk->u->maps.files, key);
			continue;
		}
		int r = walk->visit ? walk->visit(&file, walk->user) : 0;
		if (r < 0)
			return r;
	}
	return 0;
}

/* Batches go from bucket to bucket: an entry that stays is met exactly once, whatever else comes
 * and goes. */
static int walk_files(const struct file_walk *walk, struct error *e)
{
	cleanup(free_ptr) struct file_batch *batch = malloc(sizeof(*batch));
	uint32_t position = 0;
	bool first = true;

	if (!batch)
		return error_set(e, -ENOMEM, "out of memory");
	for (;;) {
		uint32_t count = FILES_PER_BATCH;
		bool last = false;

		if (bpf_map_lookup_batch(walk->u->maps.files, first ? NULL : &position, &position,
					 batch->keys, batch->counts, &count, NULL) < 0) {
			if (errno != ENOENT)
				return error_set(e, -errno, "read the counters of files: %s",
						 strerror(errno));
			last = true;
		}
		first = false;
		int r = visit_batch(walk, batch, count);
		if (r < 0 || last)
			return r;
	}
}

int usage_read_files(struct usage_bpf *u, int (*visit)(const struct usage_file *file, void *user),
		     void *user, struct error *e)
{
	struct file_walk walk = { .u = u, .visit = visit, .user = user };

	if (u->backend == USAGE_BACKEND_NONE)
		return 0;
	cleanup(free_ptr) struct usage_mount *mounts = usage_handle_mounts(u, &walk.mount_count);
	if (!mounts)
		return error_set(e, -ENOMEM, "out of memory");
	walk.mounts = mounts;
	return walk_files(&walk, e);
}

int usage_read_forget_files(struct usage_bpf *u, struct error *e)
{
	(void)pthread_mutex_lock(&u->lock);
	u->forgotten = 0;
	(void)pthread_mutex_unlock(&u->lock);
	return usage_read_files(u, NULL, NULL, e);
}

/* ---- what could not be counted ---- */

static struct usage_lost_counts sum_lost(const struct usage_bpf *u)
{
	cleanup(free_ptr) struct usage_lost_counts *parts = calloc(u->cpu_count, sizeof(*parts));
	struct usage_lost_counts sum = { 0 };
	uint32_t zero = 0;

	if (!parts || bpf_map_lookup_elem(u->maps.lost, &zero, parts) < 0)
		return sum;
	for (uint32_t cpu = 0; cpu < u->cpu_count; cpu++) {
		sum.cells += parts[cpu].cells;
		sum.files += parts[cpu].files;
		sum.unplaced_changes += parts[cpu].unplaced_changes;
	}
	return sum;
}

struct usage_lost usage_read_lost(struct usage_bpf *u)
{
	struct usage_lost lost = { 0 };

	if (u->backend != USAGE_BACKEND_NONE) {
		struct usage_lost_counts sum = sum_lost(u);

		(void)pthread_mutex_lock(&u->lock);
		lost.cells = sum.cells + u->refused;
		(void)pthread_mutex_unlock(&u->lock);
		lost.files = sum.files;
	}
	return lost;
}

uint64_t usage_read_unplaced_changes(struct usage_bpf *u)
{
	return u->backend == USAGE_BACKEND_NONE ? 0 : sum_lost(u).unplaced_changes;
}
