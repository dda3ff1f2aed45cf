/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hashmap.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 64
#define NO_OFFSET SIZE_MAX

/*
 * Open addressing with linear probing. A hash is a fraction of the table, so that entries lie
 * nearly in the order of their hashes: a table that grows is copied from its begin to its end,
 * which takes little time also when it is far larger than the processor's caches, so that it can
 * grow in small steps. It is kept four fifths full at most: these tables are a large part of what a
 * store of many records takes.
 */
struct hashmap {
	uint32_t *hashes; /* 0: empty */
	void **values;
	const char **keys; /* NULL: they are in the values, at this offset */
	size_t key_offset;
	size_t capacity, count;
	/* Of each table another one. Otherwise a table that is filled in the order of another one
	 * would be filled from its begin to its end, one entry behind the other. */
	uint64_t factor;
};

static uint32_t hash_text(const struct hashmap *m, const char *key)
{
	uint64_t h = 14695981039346656037ULL; /* FNV-1a */
	uint32_t folded;

	for (; *key; key++)
		h = (h ^ (unsigned char)*key) * 1099511628211ULL;
	h = (h ^ (h >> 32)) * m->factor; /* the upper bits choose the place */
	folded = (uint32_t)(h >> 32);
	return folded ? folded : 1;
}

static size_t place_of(const struct hashmap *m, uint32_t hash)
{
	return (uint64_t)hash * m->capacity >> 32;
}

static size_t next_place(const struct hashmap *m, size_t i)
{
	return i + 1 < m->capacity ? i + 1 : 0;
}

/* How many places i lies behind another place, around the end. */
static size_t distance(const struct hashmap *m, size_t from, size_t i)
{
	return i >= from ? i - from : i + m->capacity - from;
}

static void free_arrays(struct hashmap *m)
{
	free(m->hashes);
	free(m->values);
	free(m->keys);
}

static int allocate(struct hashmap *m, size_t capacity)
{
	bool has_keys = m->key_offset == NO_OFFSET;

	m->capacity = capacity;
	m->hashes = calloc(capacity, sizeof(*m->hashes));
	m->values = malloc(capacity * sizeof(*m->values));
	m->keys = has_keys ? malloc(capacity * sizeof(*m->keys)) : NULL;
	if (m->hashes && m->values && (m->keys || !has_keys))
		return 0;
	free_arrays(m);
	return -ENOMEM;
}

struct hashmap *hashmap_new_of(size_t key_offset)
{
	struct hashmap *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->key_offset = key_offset;
	m->factor = (uintptr_t)m * 0x9e3779b97f4a7c15ULL | 1;
	if (allocate(m, FIRST_CAPACITY) == 0)
		return m;
	free(m);
	return NULL;
}

struct hashmap *hashmap_new(void)
{
	return hashmap_new_of(NO_OFFSET);
}

void hashmap_free(struct hashmap *m)
{
	if (!m)
		return;
	free_arrays(m);
	free(m);
}

static const char *key_at(const struct hashmap *m, size_t i)
{
	return m->keys ? m->keys[i] : (const char *)m->values[i] + m->key_offset;
}

/* Where the key is, or the empty place where it would go. */
static size_t locate(const struct hashmap *m, const char *key, uint32_t hash)
{
	size_t i = place_of(m, hash);

	while (m->hashes[i] && (m->hashes[i] != hash || strcmp(key_at(m, i), key) != 0))
		i = next_place(m, i);
	return i;
}

/* Where a key goes that is not there. */
static size_t locate_empty(const struct hashmap *m, uint32_t hash)
{
	size_t i = place_of(m, hash);

	while (m->hashes[i])
		i = next_place(m, i);
	return i;
}

static void put(struct hashmap *m, size_t to, const struct hashmap *from, size_t at)
{
	m->hashes[to] = from->hashes[at];
	m->values[to] = from->values[at];
	if (m->keys)
		m->keys[to] = from->keys[at];
}

static int resize(struct hashmap *m, size_t capacity)
{
	struct hashmap bigger = { .key_offset = m->key_offset,
				  .count = m->count,
				  .factor = m->factor };

	if (allocate(&bigger, capacity) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < m->capacity; i++)
		if (m->hashes[i])
			put(&bigger, locate_empty(&bigger, m->hashes[i]), m, i);
	free_arrays(m);
	*m = bigger;
	return 0;
}

int hashmap_reserve(struct hashmap *m, size_t count)
{
	size_t capacity = count + count / 4 + 2; /* four fifths of it are not less than count */

	return capacity > m->capacity ? resize(m, capacity) : 0;
}

int hashmap_insert(struct hashmap *m, const char *key, void *value)
{
	uint32_t hash = hash_text(m, key);
	size_t i;

	assert(m->keys || key == (const char *)value + m->key_offset);
	if ((m->count + 1) * 5 > m->capacity * 4 && resize(m, m->capacity + m->capacity / 4) < 0)
		return -ENOMEM;
	i = locate(m, key, hash);
	if (m->hashes[i])
		return -EEXIST;
	m->hashes[i] = hash;
	m->values[i] = value;
	if (m->keys)
		m->keys[i] = key;
	m->count++;
	return 0;
}

void *hashmap_find(const struct hashmap *m, const char *key)
{
	size_t i = locate(m, key, hash_text(m, key));

	return m->hashes[i] ? m->values[i] : NULL;
}

void *hashmap_remove(struct hashmap *m, const char *key)
{
	size_t hole = locate(m, key, hash_text(m, key));
	void *value;

	if (!m->hashes[hole])
		return NULL;
	value = m->values[hole];
	/* Close the gap: move back every later entry of the run that may not stay behind it. */
	for (size_t i = next_place(m, hole); m->hashes[i]; i = next_place(m, i)) {
		if (distance(m, place_of(m, m->hashes[i]), i) < distance(m, hole, i))
			continue;
		put(m, hole, m, i);
		hole = i;
	}
	m->hashes[hole] = 0;
	m->count--;
	return value;
}

size_t hashmap_count(const struct hashmap *m)
{
	return m->count;
}

void *hashmap_next(const struct hashmap *m, size_t *position)
{
	while (*position < m->capacity) {
		size_t i = (*position)++;

		if (m->hashes[i])
			return m->values[i];
	}
	return NULL;
}
