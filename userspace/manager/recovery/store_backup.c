/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/recovery/store_backup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cancellation.h"
#include "manager/mounts/counter_fold.h"
#include "manager/state/manager_state.h"
#include "manager/state/store_files.h"
#include "store/database_backup.h"

#define PIECE_SIZE ((size_t)256 << 10)

struct backup {
	struct manager *m;
	char *scratch; /* a folder in the store */
};

static void backup_end(struct backup *b)
{
	if (b->scratch)
		store_files_drop_scratch(b->m, b->scratch);
	free(b->scratch);
}
DEFINE_CLEANUP_VALUE(struct backup, backup_end)

static int send_file(const char *path, const atomic_bool *cancelled,
		     int (*write)(const void *piece, size_t size, void *user), void *user,
		     struct error *e)
{
	cleanup(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	cleanup(free_ptr) char *piece = malloc(PIECE_SIZE);
	ssize_t got;

	if (fd < 0)
		return error_set(e, -errno, "open %s: %s", path, strerror(errno));
	if (!piece)
		return error_set(e, -ENOMEM, "out of memory");
	while ((got = read(fd, piece, PIECE_SIZE)) > 0) {
		int code = cancellation_check(cancelled, e);

		if (code == 0)
			code = write(piece, (size_t)got, user);
		if (code < 0)
			return code;
	}
	return got < 0 ? error_set(e, -errno, "read %s: %s", path, strerror(errno)) : 0;
}

int store_backup(struct manager *m, const atomic_bool *cancelled,
		 int (*write)(const void *piece, size_t size, void *user), void *user,
		 struct error *e)
{
	cleanup(backup_end) struct backup b = { .m = m };
	cleanup(free_ptr) char *path = NULL;
	int code;

	manager_assert_unlocked(m);
	counter_fold_for_call(m, cancelled);
	code = store_files_make_scratch(m, &b.scratch, e);
	if (code < 0)
		return code;
	if (asprintf(&path, "%s/%s/varve.db", m->root, b.scratch) < 0) {
		path = NULL;
		return error_set(e, -ENOMEM, "out of memory");
	}
	code = database_backup(m->database, path, cancelled, e);
	if (code == 0)
		code = send_file(path, cancelled, write, user, e);
	return code < 0 ? error_context(e, "backup") : 0;
}
