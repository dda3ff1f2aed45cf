/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hashmap.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/*
 * Open addressing with linear probing. A search looks at hashes that lie side by side, 16 in each
 * line of the cache, so four fifths full is full enough: these tables are a large part of what a
 * store of many records takes.
 */
struct slot {
	const char *key;
	void *value;
};

struct hashmap {
	uint32_t *hashes; /* of the slots; 0: empty */
	struct slot *slots;
	size_t capacity; /* a power of two */
	size_t count;
};

static uint32_t hash_text(const char *key)
{
	uint64_t h = 14695981039346656037ULL; /* FNV-1a */
	uint32_t folded;

	for (; *key; key++)
		h = (h ^ (unsigned char)*key) * 1099511628211ULL;
	folded = (uint32_t)(h ^ (h >> 32));
	return folded ? folded : 1;
}

static int allocate(struct hashmap *m, size_t capacity)
{
	m->capacity = capacity;
	m->hashes = calloc(capacity, sizeof(*m->hashes));
	m->slots = malloc(capacity * sizeof(*m->slots));
	if (m->hashes && m->slots)
		return 0;
	free(m->hashes);
	free(m->slots);
	return -ENOMEM;
}

struct hashmap *hashmap_new(void)
{
	struct hashmap *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	if (allocate(m, 64) == 0)
		return m;
	free(m);
	return NULL;
}

void hashmap_free(struct hashmap *m)
{
	if (!m)
		return;
	free(m->hashes);
	free(m->slots);
	free(m);
}

/* Where the key is, or the empty slot where it would go. */
static size_t locate(const struct hashmap *m, const char *key, uint32_t hash)
{
	size_t i = hash & (m->capacity - 1);

	while (m->hashes[i] && (m->hashes[i] != hash || strcmp(m->slots[i].key, key) != 0))
		i = (i + 1) & (m->capacity - 1);
	return i;
}

/* Where a key goes that is not there. */
static size_t locate_empty(const struct hashmap *m, uint32_t hash)
{
	size_t i = hash & (m->capacity - 1);

	while (m->hashes[i])
		i = (i + 1) & (m->capacity - 1);
	return i;
}

static int grow(struct hashmap *m)
{
	struct hashmap bigger = { .count = m->count };

	if (allocate(&bigger, m->capacity * 2) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < m->capacity; i++) {
		size_t to;

		if (!m->hashes[i])
			continue;
		to = locate_empty(&bigger, m->hashes[i]);
		bigger.hashes[to] = m->hashes[i];
		bigger.slots[to] = m->slots[i];
	}
	free(m->hashes);
	free(m->slots);
	*m = bigger;
	return 0;
}

int hashmap_insert(struct hashmap *m, const char *key, void *value)
{
	uint32_t hash = hash_text(key);
	size_t i;

	if ((m->count + 1) * 5 > m->capacity * 4 && grow(m) < 0)
		return -ENOMEM;
	i = locate(m, key, hash);
	if (m->hashes[i])
		return -EEXIST;
	m->hashes[i] = hash;
	m->slots[i] = (struct slot){ .key = key, .value = value };
	m->count++;
	return 0;
}

void *hashmap_find(const struct hashmap *m, const char *key)
{
	size_t i = locate(m, key, hash_text(key));

	return m->hashes[i] ? m->slots[i].value : NULL;
}

void *hashmap_remove(struct hashmap *m, const char *key)
{
	size_t hole = locate(m, key, hash_text(key)), mask = m->capacity - 1;
	void *value;

	if (!m->hashes[hole])
		return NULL;
	value = m->slots[hole].value;
	/* Close the gap: move back every later entry of the run that may not stay behind it. */
	for (size_t i = (hole + 1) & mask; m->hashes[i]; i = (i + 1) & mask) {
		if (((i - m->hashes[i]) & mask) < ((i - hole) & mask))
			continue;
		m->hashes[hole] = m->hashes[i];
		m->slots[hole] = m->slots[i];
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
			return m->slots[i].value;
	}
	return NULL;
}
