// SPDX-License-Identifier: Apache-2.0
#include "layer/disk_walk.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "layer/layer_walk.h"

#define STAT_BLOCK_SIZE 512
#define FIRST_INODES_CAPACITY 64

/* Inodes that have been met and have further links: open addressing, 0 is a free place. */
struct inode_set {
	ino_t *places;
	size_t capacity; /* a power of two */
	size_t count;
};

static void inode_set_free(struct inode_set *s)
{
	free(s->places);
}
DEFINE_CLEANUP_VALUE(struct inode_set, inode_set_free)

static size_t find_place(const struct inode_set *s, ino_t inode)
{
	size_t place = (size_t)(inode * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (s->capacity - 1);

	while (s->places[place] && s->places[place] != inode)
		place = (place + 1) & (s->capacity - 1);
	return place;
}

static int grow(struct inode_set *s)
{
	size_t capacity = s->capacity ? 2 * s->capacity : FIRST_INODES_CAPACITY;
	struct inode_set larger = { calloc(capacity, sizeof(*s->places)), capacity, s->count };

	if (!larger.places)
		return -ENOMEM;
	for (size_t i = 0; i < s->capacity; i++)
		if (s->places[i])
			larger.places[find_place(&larger, s->places[i])] = s->places[i];
	free(s->places);
	*s = larger;
	return 0;
}

/* 1: the number is new; 0: it was added before; -ENOMEM. No file system uses the number 0. */
static int add_inode(struct inode_set *s, ino_t inode)
{
	size_t place;

	if (s->count >= s->capacity / 2 && grow(s) < 0)
		return -ENOMEM;
	place = find_place(s, inode);
	if (s->places[place])
		return 0;
	s->places[place] = inode;
	s->count++;
	return 1;
}

static int count_entry(struct inode_set *linked, const struct stat *st, struct disk_usage *usage,
		       struct error *e)
{
	if (!S_ISDIR(st->st_mode) && st->st_nlink > 1) {
		int code = add_inode(linked, st->st_ino);

		if (code <= 0)
			return code < 0 ? error_set(e, code, "out of memory") : 0;
	}
	usage->inodes++;
	usage->allocated_bytes += (int64_t)st->st_blocks * STAT_BLOCK_SIZE;
	if (S_ISREG(st->st_mode) || S_ISLNK(st->st_mode))
		usage->apparent_bytes += st->st_size;
	return 0;
}

static void note_change(const struct stat *st, struct disk_usage *usage)
{
	int64_t ns = st->st_ctim.tv_sec * NS_PER_S + st->st_ctim.tv_nsec;

	if (ns > usage->changed_ns)
		usage->changed_ns = ns;
}

int disk_walk(int directory, const atomic_bool *cancelled, struct disk_usage *ret_usage,
	      struct error *e)
{
	const struct layer_walk_options options = {
		.directory = directory,
		.tolerant = true,
		.cancelled = cancelled,
	};
	cleanup(layer_walk_free) struct layer_walk *walk = NULL;
	cleanup(inode_set_free) struct inode_set linked = { 0 };
	struct disk_usage usage = { 0 };
	struct layer_entry entry;
	int code = layer_walk_open(&options, &walk, e);

	if (code < 0)
		return code;
	while ((code = layer_walk_next(walk, &entry, e)) == 1) {
		note_change(&entry.st, &usage);
		if (!*entry.path)
			continue; /* the directory itself */
		code = count_entry(&linked, &entry.st, &usage, e);
		if (code < 0)
			return code;
	}
	if (code == 0)
		*ret_usage = usage;
	return code;
}
