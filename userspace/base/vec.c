/* SPDX-License-Identifier: Apache-2.0 */
#include "base/vec.h"

#include <stdint.h>
#include <stdlib.h>

#define SMALLEST_CAPACITY 8

void *vec_reserve(void *items, size_t *capacity, size_t count, size_t item_size)
{
	size_t wanted = *capacity, bytes;
	void *grown;

	if (items && count <= *capacity)
		return items;
	if (wanted < SMALLEST_CAPACITY)
		wanted = SMALLEST_CAPACITY;
	while (wanted < count)
		wanted = wanted <= SIZE_MAX / 2 ? 2 * wanted : count;

	if (__builtin_mul_overflow(wanted, item_size, &bytes))
		return NULL;
	grown = realloc(items, bytes);
	if (grown)
		*capacity = wanted;
	return grown;
}
