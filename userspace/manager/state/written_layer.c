/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/state/written_layer.h"

#include <errno.h>

#include "layer/layer_sync.h"
#include "manager/state/manager_state.h"
#include "manager/state/store_files.h"

static bool lacks_data(struct manager *m, const struct layer *layer)
{
	cleanup(manager_unlock) struct manager *locked = manager_lock(m);

	manager_assert_locked(locked);
	return layer->unwritten;
}

static int refuse(const struct layer *layer, struct error *e)
{
	return error_set(
		e, -EIO,
		"the disk failed under layer %s earlier (input/output error), so its files may lack data: "
		"see the kernel's log, then remove it and make it again",
		layer->name);
}

static int note(struct manager *m, struct layer *layer, int code)
{
	if (code == -EIO || code == -ENOSPC || code == -EDQUOT) {
		cleanup(manager_unlock) struct manager *locked = manager_lock(m);

		manager_assert_locked(locked);
		layer->unwritten = true;
	}
	return code;
}

int written_layer_sync(struct manager *m, struct layer *layer, int directory, struct error *e)
{
	if (lacks_data(m, layer))
		return refuse(layer, e);
	return note(m, layer, layer_sync(directory, e));
}

int written_layer_check(struct manager *m, struct layer *layer, struct error *e)
{
	cleanup(close_fd) int directory = -EBADF;
	int code;

	if (lacks_data(m, layer))
		return refuse(layer, e);
	code = store_files_open_layer(m, layer->name, &directory, e);
	return code < 0 ? code : note(m, layer, layer_check_written(directory, e));
}
