/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/state/lower_directories.h"

#include <errno.h>
#include <unistd.h>

#include "base/vec.h"
#include "manager/state/store_files.h"

int lower_directories_add(struct manager *m, struct lower_directories *l, const char *layer,
			  struct error *e)
{
	int *fds = vec_reserve(l->fds, &l->capacity, l->count + 1, sizeof(*fds));
	int code;

	if (!fds)
		return error_set(e, -ENOMEM, "out of memory");
	l->fds = fds;
	code = store_files_open_layer(m, layer, &l->fds[l->count], e);
	if (code == 0)
		l->count++;
	return code;
}

void lower_directories_close(struct lower_directories *l)
{
	for (size_t i = 0; i < l->count; i++)
		(void)close(l->fds[i]); /* nothing was written through it */
	free(l->fds);
}
