/* SPDX-License-Identifier: Apache-2.0 */
/* Deleted layers wait in trash/ until a thread of the trash's own has removed their files. */
#include "manager/state/trash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/fail_point.h"
#include "manager/state/manager_state.h"
#include "manager/state/store_root.h"

#define PATH_SIZE 64
#define STAT_BLOCK_SIZE 512

struct deletion {
	struct manager *m;
	int trash;
};

/* Deletes what has this name, and counts what that frees: an inode's blocks with its last link. */
static int delete_one(const struct deletion *d, int parent, const char *name, int flags)
{
	struct stat st;
	bool known = fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0;

	if (unlinkat(parent, name, flags) < 0)
		return -errno;
	if (known && (S_ISDIR(st.st_mode) || st.st_nlink == 1))
		atomic_fetch_add(&d->m->freed_bytes, (int64_t)st.st_blocks * STAT_BLOCK_SIZE);
	return 0;
}

/* Deletes a tree; what cannot be deleted stays for the next start. Depth is bounded by what a path
 * of the trees that we make can have; a deeper one is flattened by renaming its children up. */
static int delete_tree(const struct deletion *deletion, int parent, const char *name,
		       unsigned depth)
{
	cleanup(close_directory) DIR *d = NULL;
	struct dirent *entry;
	int fd, removed, code = 0;

	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return delete_one(deletion, parent, name, 0);
	d = fdopendir(fd);
	if (!d) {
		(void)close(fd);
		return -ENOMEM;
	}
	while ((entry = readdir(d))) {
		char moved[PATH_SIZE];

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		removed = delete_one(deletion, dirfd(d), entry->d_name, 0);
		if (removed == 0) {
			fail_point("trash.unlinked");
			continue;
		}
		if (removed != -EISDIR && removed != -EPERM) {
			code = removed;
			continue;
		}
		if (depth < 64) {
			int below = delete_tree(deletion, dirfd(d), entry->d_name, depth + 1);

			code = below < 0 ? below : code;
			continue;
		}
		(void)snprintf(moved, sizeof(moved), "deep.%" PRIx64 ".%" PRIx64,
			       (uint64_t)entry->d_ino, (uint64_t)clock_wall_ns());
		if (renameat(dirfd(d), entry->d_name, deletion->trash, moved) < 0)
			code = -errno;
	}
	removed = delete_one(deletion, parent, name, AT_REMOVEDIR);
	return removed < 0 && code == 0 ? removed : code;
}

static void empty_trash_once(struct manager *m)
{
	cleanup(close_directory) DIR *trash = store_root_open_directory(m, "trash");
	struct deletion deletion = { .m = m };
	bool again = true;

	if (!trash) {
		manager_report(m, true, "open %s/trash: %s", m->root, strerror(errno));
		return;
	}
	deletion.trash = dirfd(trash);
	while (again) {
		struct dirent *entry;

		again = false;
		rewinddir(trash);
		while ((entry = readdir(trash))) {
			int code;

			if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
				continue;
			code = fail_point_error("trash.delete", NULL);
			if (code == 0)
				code = delete_tree(&deletion, dirfd(trash), entry->d_name, 0);
			if (code < 0)
				manager_report(m, true,
					       "delete %s/trash/%s: %s; it will be tried again at "
					       "the next start",
					       m->root, entry->d_name, strerror(-code));
			else
				again = true; /* deep trees may have added entries */
		}
	}
}

void trash_wake(struct manager *m)
{
	ranked_lock_acquire(&m->trash_lock);
	m->trash_wanted = true;
	pthread_cond_broadcast(&m->trash_arrived);
	ranked_lock_release(&m->trash_lock);
}

void trash_drain(struct manager *m)
{
	ranked_lock_acquire(&m->trash_lock);
	while (m->trash_thread_runs && (m->trash_wanted || m->trash_busy))
		ranked_lock_wait(&m->trash_lock, &m->trash_arrived);
	ranked_lock_release(&m->trash_lock);
}

void *trash_empty_thread(void *manager)
{
	struct manager *m = manager;

	ranked_lock_acquire(&m->trash_lock);
	for (;;) {
		while (!m->trash_wanted && !m->stopping)
			ranked_lock_wait(&m->trash_lock, &m->trash_arrived);
		if (!m->trash_wanted)
			break;
		m->trash_wanted = false;
		m->trash_busy = true;
		ranked_lock_release(&m->trash_lock);
		empty_trash_once(m);
		ranked_lock_acquire(&m->trash_lock);
		m->trash_busy = false;
		pthread_cond_broadcast(&m->trash_arrived);
	}
	ranked_lock_release(&m->trash_lock);
	return NULL;
}
