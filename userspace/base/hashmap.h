/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text to pointer. Keys are borrowed: they must live as long as their entry, which they do when
 * they are a field of the value. Not locked; its owner serialises the calls.
 */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

struct hashmap;

struct hashmap *hashmap_new(void); /* NULL when out of memory */
/* Likewise, for a table whose keys are all texts in their values, at that offset: it takes half of
 * the memory. */
struct hashmap *hashmap_new_of(size_t key_offset);
void hashmap_free(struct hashmap *m); /* the values stay the caller's */
DEFINE_CLEANUP(struct hashmap *, hashmap_free)

/* Makes place for so many entries at once; without it, a table grows as it is filled. 0, -ENOMEM.
 */
int hashmap_reserve(struct hashmap *m, size_t count);

/* 0, -EEXIST when the key is there already, -ENOMEM. */
int hashmap_insert(struct hashmap *m, const char *key, void *value);
void *hashmap_find(const struct hashmap *m, const char *key); /* NULL when absent */
void *hashmap_remove(struct hashmap *m, const char *key); /* the value, NULL when absent */
size_t hashmap_count(const struct hashmap *m);

/* Visits every value in no order: start with *position = 0; NULL at the end. Do not insert or
 * remove entries until the end. */
void *hashmap_next(const struct hashmap *m, size_t *position);
