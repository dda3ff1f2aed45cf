/* SPDX-License-Identifier: Apache-2.0 */
/* Growing arrays. The caller keeps the items, their number and the capacity in fields of its own.
 */
#pragma once

#include <stddef.h>

/*
 * Makes room for `count` items of item_size bytes each and returns the array, which may have moved;
 * the room doubles, so that appending costs amortised constant time. New items are not initialised.
 * NULL when out of memory: then the old array and *capacity are unchanged and stay the caller's.
 *
 *	struct item *items = vec_reserve(l->items, &l->capacity, l->count + 1, sizeof(*items));
 *
 *	if (!items)
 *		return -ENOMEM;
 *	l->items = items;
 *	l->items[l->count++] = item;
 */
void *vec_reserve(void *items, size_t *capacity, size_t count, size_t item_size);
