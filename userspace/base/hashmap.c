/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hashmap.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct slot {
	const char *key; /* NULL: empty */
	void *value;
	uint64_t hash;
};

/* Open addressing with linear probing; at most half full, so that probes stay short. */
struct hashmap {
	struct slot *slots;
	size_t capacity; /* a power of two */
	size_t count;
};

static uint64_t hash_text(const char *key)
{
	uint64_t h = 14695981039346656037ULL; /* FNV-1a */

	for (; *key; key++)
		h = (h ^ (unsigned char)*key) * 1099511628211ULL;
	return h ^ (h >> 32);
}

struct hashmap *hashmap_new(void)
{
	struct hashmap *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->capacity = 64;
	m->slots = calloc(m->capacity, sizeof(*m->slots));
	if (!m->slots) {
		free(m);
		return NULL;
	}
	return m;
}

void hashmap_free(struct hashmap *m)
{
	if (!m)
		return;
	free(m->slots);
	free(m);
}

/* The slot that holds the key, or the empty one where it would go. */
static struct slot *locate(const struct hashmap *m, const char *key, uint64_t hash)
{
	size_t i = hash & (m->capacity - 1);

	while (m->slots[i].key && (m->slots[i].hash != hash || strcmp(m->slots[i].key, key) != 0))
		i = (i + 1) & (m->capacity - 1);
	return &m->slots[i];
}

static int grow(struct hashmap *m)
{
	struct hashmap bigger = { .capacity = m->capacity * 2, .count = m->count };

	bigger.slots = calloc(bigger.capacity, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < m->capacity; i++)
		if (m->slots[i].key)
			*locate(&bigger, m->slots[i].key, m->slots[i].hash) = m->slots[i];
	free(m->slots);
	*m = bigger;
	return 0;
}

int hashmap_insert(struct hashmap *m, const char *key, void *value)
{
	uint64_t hash = hash_text(key);
	struct slot *slot;

	if ((m->count + 1) * 2 > m->capacity && grow(m) < 0)
		return -ENOMEM;
	slot = locate(m, key, hash);
	if (slot->key)
		return -EEXIST;
	*slot = (struct slot){ .key = key, .value = value, .hash = hash };
	m->count++;
	return 0;
}

void *hashmap_find(const struct hashmap *m, const char *key)
{
	return locate(m, key, hash_text(key))->value;
}

void *hashmap_remove(struct hashmap *m, const char *key)
{
	struct slot *hole = locate(m, key, hash_text(key));
	void *value = hole->value;
	size_t mask = m->capacity - 1;
	size_t i;

	if (!hole->key)
		return NULL;
	/* Close the gap: move back every later entry of the run that may not stay behind it. */
	for (i = (size_t)(hole - m->slots + 1) & mask; m->slots[i].key; i = (i + 1) & mask) {
		size_t home = m->slots[i].hash & mask;
		size_t at = (size_t)(hole - m->slots);

		if (((i - home) & mask) < ((i - at) & mask))
			continue;
		*hole = m->slots[i];
		hole = &m->slots[i];
	}
	*hole = (struct slot){ 0 };
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
		struct slot *slot = &m->slots[(*position)++];

		if (slot->key)
			return slot->value;
	}
	return NULL;
}
