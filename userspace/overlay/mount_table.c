// SPDX-License-Identifier: Apache-2.0
#include "overlay/mount_table.h"

#include <errno.h>
#include <fcntl.h>
#include <libmount/libmount.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define KERNEL_TABLE "/proc/self/mountinfo"

DEFINE_CLEANUP(struct libmnt_table *, mnt_unref_table)
DEFINE_CLEANUP(struct libmnt_iter *, mnt_free_iter)

static int read_table(struct libmnt_table **ret_table, struct error *e)
{
	cleanup(mnt_unref_table) struct libmnt_table *table = mnt_new_table();
	int code = table ? mnt_table_parse_file(table, KERNEL_TABLE) : -ENOMEM;

	if (code != 0) /* positive: lines that libmount could not parse */
		return error_set(e, code < 0 ? code : -EIO, "read " KERNEL_TABLE ": %s",
				 code < 0 ? strerror(-code)
					  : "it has lines that libmount does not know");
	*ret_table = take_ptr(table);
	return 0;
}

static bool is_below(const char *target, const char *directory)
{
	size_t length = strcmp(directory, "/") == 0 ? 0 : strlen(directory);

	return strncmp(target, directory, length) == 0 &&
	       (target[length] == '/' || target[length] == '\0');
}

/* The mount point and the superblock each have a say. */
static bool is_read_only(struct libmnt_fs *fs)
{
	const char *of_mount = mnt_fs_get_vfs_options(fs),
		   *of_superblock = mnt_fs_get_fs_options(fs);

	return (of_mount && mnt_optstr_get_option(of_mount, "ro", NULL, NULL) == 0) ||
	       (of_superblock && mnt_optstr_get_option(of_superblock, "ro", NULL, NULL) == 0);
}

static int add_entry(struct mount_table *t, struct libmnt_fs *fs, size_t position, struct error *e)
{
	struct mount_entry *entries = reallocarray(t->entries, t->count + 1, sizeof(*t->entries));

	if (!entries)
		return error_set(e, -ENOMEM, "out of memory");
	t->entries = entries;
	entries[t->count] = (struct mount_entry){
		.target = strdup(mnt_fs_get_target(fs)),
		.file_system = strdup(mnt_fs_get_fstype(fs) ?: ""),
		.device = mnt_fs_get_devno(fs),
		.read_only = is_read_only(fs),
		.position = position,
	};
	t->count++;
	if (!entries[t->count - 1].target || !entries[t->count - 1].file_system)
		return error_set(e, -ENOMEM, "out of memory");
	return 0;
}

/* Newer kernels list mounts in the order of their making, and a detached one may be made before
 * the mount that it is attached below. */
static int compare_parents_first(const void *left, const void *right)
{
	const struct mount_entry *a = left, *b = right;
	size_t a_length = strlen(a->target), b_length = strlen(b->target);

	if (a_length != b_length)
		return a_length < b_length ? -1 : 1;
	return a->position < b->position ? -1 : 1;
}

int mount_table_below(const char *directory, struct mount_table **ret_table, struct error *e)
{
	cleanup(mnt_unref_table) struct libmnt_table *all = NULL;
	cleanup(mnt_free_iter) struct libmnt_iter *iterator = mnt_new_iter(MNT_ITER_FORWARD);
	cleanup(mount_table_free) struct mount_table *t = calloc(1, sizeof(*t));
	struct libmnt_fs *fs;
	int code;

	if (!iterator || !t)
		return error_set(e, -ENOMEM, "out of memory");
	code = read_table(&all, e);
	for (size_t i = 0; code == 0 && mnt_table_next_fs(all, iterator, &fs) == 0; i++)
		if (mnt_fs_get_target(fs) && is_below(mnt_fs_get_target(fs), directory))
			code = add_entry(t, fs, i, e);
	if (code < 0)
		return code;
	if (t->count)
		qsort(t->entries, t->count, sizeof(*t->entries), compare_parents_first);
	*ret_table = take_ptr(t);
	return 0;
}

void mount_table_free(struct mount_table *t)
{
	for (size_t i = 0; t && i < t->count; i++) {
		free(t->entries[i].target);
		free(t->entries[i].file_system);
	}
	if (t)
		free(t->entries);
	free(t);
}

int mount_table_file_system(int fd, char ret_name[MOUNT_TABLE_NAME_SIZE], struct error *e)
{
	cleanup(mnt_unref_table) struct libmnt_table *all = NULL;
	cleanup(mnt_free_iter) struct libmnt_iter *iterator = mnt_new_iter(MNT_ITER_FORWARD);
	struct libmnt_fs *fs;
	struct statfs fact;
	struct statx s;
	int code;

	if (!iterator)
		return error_set(e, -ENOMEM, "out of memory");
	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &s) < 0 || fstatfs(fd, &fact) < 0)
		return error_set(e, -errno, "ask for the file system: %s", strerror(errno));
	code = read_table(&all, e);
	if (code < 0)
		return code;
	while (mnt_table_next_fs(all, iterator, &fs) == 0)
		if (mnt_fs_get_id(fs) == (int)s.stx_mnt_id && mnt_fs_get_fstype(fs)) {
			(void)snprintf(ret_name, MOUNT_TABLE_NAME_SIZE, "%s",
				       mnt_fs_get_fstype(fs));
			return 0;
		}
	/* Mounted outside of what this process can reach by name. */
	(void)snprintf(ret_name, MOUNT_TABLE_NAME_SIZE, "unknown (0x%lx)",
		       (unsigned long)fact.f_type);
	return 0;
}
