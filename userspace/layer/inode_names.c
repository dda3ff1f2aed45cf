/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/inode_names.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#define FIRST_CAPACITY 64

struct place {
	ino_t inode;
	char *name; /* NULL: free */
};

/* Open addressing, at most half full. */
struct inode_names {
	struct place *places;
	size_t capacity; /* a power of two, or 0 */
	size_t count;
};

struct inode_names *inode_names_new(void)
{
	return calloc(1, sizeof(struct inode_names));
}

void inode_names_free(struct inode_names *n)
{
	if (!n)
		return;
	for (size_t i = 0; i < n->capacity; i++)
		free(n->places[i].name);
	free(n->places);
	free(n);
}

static struct place *find(const struct inode_names *n, ino_t inode)
{
	size_t at = (size_t)((uint64_t)inode * UINT64_C(0x9e3779b97f4a7c15) >> 32);

	for (;; at++) {
		struct place *place = &n->places[at & (n->capacity - 1)];

		if (!place->name || place->inode == inode)
			return place;
	}
}

static int grow(struct inode_names *n)
{
	size_t capacity = n->capacity ? 2 * n->capacity : FIRST_CAPACITY;
	struct inode_names larger = { calloc(capacity, sizeof(struct place)), capacity, n->count };

	if (!larger.places)
		return -ENOMEM;
	for (size_t i = 0; i < n->capacity; i++)
		if (n->places[i].name)
			*find(&larger, n->places[i].inode) = n->places[i];
	free(n->places);
	*n = larger;
	return 0;
}

int inode_names_meet(struct inode_names *n, ino_t inode, const char *name, const char **ret_first)
{
	struct place *place;

	if (n->count >= n->capacity / 2 && grow(n) < 0)
		return -ENOMEM;
	place = find(n, inode);
	if (place->name) {
		*ret_first = place->name;
		return 0;
	}
	place->name = strdup(name);
	if (!place->name)
		return -ENOMEM;
	place->inode = inode;
	n->count++;
	*ret_first = NULL;
	return 0;
}
