/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/recovery/fsck_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "manager/mounts/unmount_queue.h"
#include "manager/recovery/recover_rows.h"
#include "manager/state/store_files.h"
#include "manager/state/store_root.h"
#include "manager/state/trash.h"
#include "overlay/overlay_mount.h"

static bool layer_is_known(struct fsck *c, const char *name)
{
	bool known;

	manager_lock(c->m);
	known = record_graph_find_layer(c->m->graph, name) ||
		recover_rows_is_quarantined(c->m, name);
	manager_unlock(c->m);
	return known || unmount_queue_has(c->m, name);
}

static bool is_still_there(struct fsck *c, const char *path)
{
	return faccessat(c->m->root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int orphan_layer(struct fsck *c, const char *name, const char *path)
{
	bool repaired;

	if (strlen(name) > LAYER_NAME_LENGTH)
		return fsck_report(c, "stranger", path, false,
				   "it is not Varve's, and is left alone");
	if (layer_is_known(c, name) || !is_still_there(c, path))
		return 0;
	repaired = c->o->repair && store_files_discard(c->m, name, NULL) == 0;
	return fsck_report(c, "orphan-layer", path, repaired, "it belongs to no record");
}

static int orphan_link(struct fsck *c, const char *name, const char *path)
{
	bool repaired;

	if (layer_is_known(c, name) || !is_still_there(c, path))
		return 0;
	repaired = c->o->repair && unlinkat(c->m->root_fd, path, 0) == 0;
	return fsck_report(c, "orphan-link", path, repaired, "there is no layer of that name");
}

/* Whether a record may have a mount of that name, now or in a moment. */
static bool mount_is_known(struct fsck *c, const char *name)
{
	char id[RECORD_ID_LENGTH + 1];
	const struct record *r;
	bool known;

	(void)snprintf(id, sizeof(id), "%.*s", RECORD_ID_LENGTH, name);
	manager_lock(c->m);
	r = record_graph_find(c->m->graph, id);
	known = r && (r->busy || r->mount);
	manager_unlock(c->m);
	return known || unmount_queue_has(c->m, id);
}

bool fsck_files_is_mount_root(struct fsck *c, const char *path)
{
	struct statx st;

	return statx(c->m->root_fd, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, 0, &st) == 0 &&
	       (st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

static int stray_mount_point(struct fsck *c, const char *name, const char *path)
{
	struct error late = { 0 };
	bool mounted, repaired;

	if (mount_is_known(c, name) || !is_still_there(c, path))
		return 0;
	mounted = fsck_files_is_mount_root(c, path);
	repaired = c->o->repair &&
		   (!mounted || overlay_unmount(c->m->mounts_fd, name, &late) == 0) &&
		   unlinkat(c->m->root_fd, path, AT_REMOVEDIR) == 0;
	return fsck_report(c, mounted ? "stray-mount" : "stray-mount-point", path, repaired,
			   "no record is mounted there%s%s", *late.text ? ": " : "", late.text);
}

static int check_directory(struct fsck *c, const char *directory,
			   int (*check)(struct fsck *c, const char *name, const char *path),
			   struct error *e)
{
	cleanup(close_directory) DIR *d = store_root_open_directory(c->m, directory);
	struct dirent *entry;
	int code = 0;

	if (!d)
		return error_set(e, -errno, "open %s/%s: %s", c->m->root, directory,
				 strerror(errno));
	while (code == 0 && (entry = readdir(d))) {
		char path[FSCK_PATH_SIZE];

		if (entry->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		code = fsck_is_cancelled(c) ? -ECANCELED : check(c, entry->d_name, path);
	}
	return code;
}

/* Files that no record of the database at some start had named. */
static int in_quarantine(struct fsck *c, const char *name, const char *path)
{
	char to[FSCK_PATH_SIZE + 16];
	bool repaired;

	(void)snprintf(to, sizeof(to), "trash/quarantine.%s", name);
	repaired = c->o->repair && renameat(c->m->root_fd, path, c->m->root_fd, to) == 0;
	return fsck_report(
		c, "quarantine", path, repaired,
		"no record has named what is in it since the agent started at that time");
}

static int check_quarantine(struct fsck *c, struct error *e)
{
	return is_still_there(c, "quarantine") ? check_directory(c, "quarantine", in_quarantine, e)
					       : 0;
}

static int left_in_trash(struct fsck *c, const char *name, const char *path)
{
	(void)name;
	if (!is_still_there(c, path))
		return 0;
	return fsck_report(c, "full-trash", path, false,
			   "it could not be deleted: the agent's log says why");
}

/* Whatever the trash holds is being deleted already; what is left then could not be. */
static int check_trash(struct fsck *c, struct error *e)
{
	trash_wake(c->m);
	trash_drain(c->m);
	return check_directory(c, "trash", left_in_trash, e);
}

int fsck_files_check(struct fsck *c, struct error *e)
{
	static const struct {
		const char *directory;
		int (*check)(struct fsck *c, const char *name, const char *path);
	} directories[] = {
		{ "layers", orphan_layer },
		{ "l", orphan_link },
		{ "mnt", stray_mount_point },
	};
	int code;

	for (size_t i = 0; i < ARRAY_SIZE(directories); i++) {
		code = check_directory(c, directories[i].directory, directories[i].check, e);
		if (code < 0)
			return code;
	}
	code = check_quarantine(c, e);
	return code < 0 ? code : check_trash(c, e);
}
