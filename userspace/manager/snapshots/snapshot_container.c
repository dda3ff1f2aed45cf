/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/snapshots/snapshot_container.h"

#include <string.h>

#include "base/clock.h"
#include "manager/snapshots/snapshot_keys.h"
#include "store/layer_rows.h"

/* How containerd's library names a snapshot that it unpacks a layer into. */
#define UNPACK_PREFIX "extract-"
/* Docker puts a layer of its own between the image and the container, CONTAINER-init. */
#define INIT_SUFFIX "-init"

static bool is_container(const struct record *r)
{
	return r->parent && r->snapshot && r->snapshot->kind == SNAPSHOT_ACTIVE &&
	       strncmp(snapshot_keys_name(r->snapshot->key), UNPACK_PREFIX,
		       strlen(UNPACK_PREFIX)) != 0;
}

static bool is_init_layer(const struct record *r)
{
	size_t length = r->snapshot ? strlen(r->snapshot->key) : 0;

	return length > strlen(INIT_SUFFIX) && r->parent &&
	       strcmp(r->snapshot->key + length - strlen(INIT_SUFFIX), INIT_SUFFIX) == 0;
}

void snapshot_container_note(struct manager *m, const struct record *r, struct change_set *c)
{
	const struct record *image;

	manager_assert_locked(m);
	if (!is_container(r))
		return;
	image = is_init_layer(r->parent) ? r->parent->parent : r->parent;
	image->layer->last_container_ns = clock_wall_ns();
	layer_rows_set_last_container(c, image->layer->name, image->layer->last_container_ns);
}
