// SPDX-License-Identifier: Apache-2.0
#include "usage/usage_mapped.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "usage/usage_handle.h"

#define PER_BATCH 1024
#define SWEEP_EVERY_NS (600 * NS_PER_S)

struct mapped_batch {
	struct usage_root files[PER_BATCH];
	struct usage_mapped mapped[PER_BATCH];
};

/* Until the end of the map, or until it cannot be read. */
static void walk(const struct usage_bpf *u, struct mapped_batch *batch,
		 void (*visit)(const struct usage_root *file, const struct usage_mapped *mapped,
			       void *user),
		 void *user)
{
	uint32_t position = 0, count;
	bool first = true;
	int code;

	do {
		count = PER_BATCH;
		code = bpf_map_lookup_batch(u->maps.mapped_files, first ? NULL : &position,
					    &position, batch->files, batch->mapped, &count, NULL);
		first = false;
		if (code < 0 && errno != ENOENT)
			return;
		for (uint32_t i = 0; i < count; i++)
			visit(&batch->files[i], &batch->mapped[i], user);
	} while (code == 0);
}

/* ---- what stays ---- */

struct sweep {
	const struct usage_bpf *u;
	uint64_t *ages; /* when each file had a fault last; NULL: there is room for all */
	size_t count;
	uint64_t oldest_kept;
	size_t deleted;
	struct usage_root last_root; /* of a layer: files of one layer often follow each other */
	bool last_is_watched;
};

static bool is_watched(struct sweep *s, const struct usage_root *root)
{
	struct usage_layer layer;

	if (memcmp(&s->last_root, root, sizeof(*root)) != 0) {
		s->last_root = *root;
		s->last_is_watched = bpf_map_lookup_elem(s->u->maps.layer_by_root, root, &layer) ==
				     0;
	}
	return s->last_is_watched;
}

static void note_age(const struct usage_root *file, const struct usage_mapped *mapped, void *user)
{
	struct sweep *s = user;

	(void)file;
	if (s->count < USAGE_MAPPED_FILES)
		s->ages[s->count++] = mapped->last;
}

static void delete_unneeded(const struct usage_root *file, const struct usage_mapped *mapped,
			    void *user)
{
	struct sweep *s = user;

	if (mapped->last >= s->oldest_kept && is_watched(s, &mapped->layer_root))
		return;
	if (bpf_map_delete_elem(s->u->maps.mapped_files, file) == 0)
		s->deleted++;
}

static int by_age(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Without memory the oldest ones stay until the next time. */
static void choose_oldest(struct sweep *s, struct mapped_batch *batch)
{
	cleanup(free_ptr) uint64_t *ages = calloc(USAGE_MAPPED_FILES, sizeof(*ages));

	if (!ages)
		return;
	s->ages = ages;
	walk(s->u, batch, note_age, s);
	qsort(ages, s->count, sizeof(*ages), by_age);
	s->oldest_kept = ages[s->count / 4];
	s->ages = NULL;
}

/* ---- the filter ---- */

static void collect_bit(const struct usage_root *file, const struct usage_mapped *mapped,
			void *user)
{
	struct usage_mapped_filter *filter = user;
	uint64_t bit = USAGE_MAPPED_BIT(file->inode);

	(void)mapped;
	__atomic_fetch_or(&filter->words[bit >> 6], UINT64_C(1) << (bit & 63), __ATOMIC_SEQ_CST);
}

/* Programs note a file first, and set its bit then. So a bit that is cleared here for want of its
 * file is set again: by the program, or, if it was too early, by the second walk. */
static void rebuild_filter(struct usage_bpf *u, struct mapped_batch *batch)
{
	cleanup(free_ptr) struct usage_mapped_filter *present = calloc(1, sizeof(*present));

	if (!present)
		return; /* next time: its bits only cost time */
	walk(u, batch, collect_bit, present);
	for (size_t i = 0; i < ARRAY_SIZE(present->words); i++)
		if (u->mapped_filter->words[i] & ~present->words[i])
			__atomic_fetch_and(&u->mapped_filter->words[i], present->words[i],
					   __ATOMIC_SEQ_CST);
	walk(u, batch, collect_bit, u->mapped_filter);
}

/* ---- when ---- */

static uint64_t read_lost(const struct usage_bpf *u)
{
	cleanup(free_ptr) struct usage_lost_counts *parts = calloc(u->cpu_count, sizeof(*parts));
	uint32_t zero = 0;
	uint64_t lost = 0;

	if (parts && bpf_map_lookup_elem(u->maps.lost, &zero, parts) == 0)
		for (uint32_t cpu = 0; cpu < u->cpu_count; cpu++)
			lost += parts[cpu].mapped;
	return lost;
}

void usage_mapped_sweep(struct usage_bpf *u)
{
	int64_t now = clock_boot_ns();
	uint64_t lost = read_lost(u);
	struct sweep sweep = { .u = u };
	bool due, full;

	(void)pthread_mutex_lock(&u->lock);
	full = lost > u->mapped_lost;
	due = full || now - u->mapped_swept_boot_ns >= SWEEP_EVERY_NS;
	if (due)
		u->mapped_swept_boot_ns = now;
	u->mapped_lost = lost;
	(void)pthread_mutex_unlock(&u->lock);
	if (!due)
		return;

	cleanup(free_ptr) struct mapped_batch *batch = malloc(sizeof(*batch));
	if (!batch)
		return; /* another time */
	if (full)
		choose_oldest(&sweep, batch);
	walk(u, batch, delete_unneeded, &sweep);
	if (sweep.deleted)
		rebuild_filter(u, batch);
}
