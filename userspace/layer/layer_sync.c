/* SPDX-License-Identifier: Apache-2.0 */
/*
 * With one fsync(2) for each file, the journal would be committed for each of them. Instead the
 * data of all files is written first, then the journal is committed once. That is enough where the
 * file system has one journal, or log, for all its inodes, which is written in order: when the data
 * of a file is on the disk, its blocks and its size are in a transaction that is not newer than
 * that of an inode which is changed afterwards, and fsync(2) of this inode commits all of them,
 * together with the names. ext4 with a journal and XFS are like that (they write sizes and
 * unwritten extents before they end the writing of a page). Other file systems are synced as a
 * whole.
 */
#include "layer/layer_sync.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "layer/layer_walk.h"

#define READ_FLAGS (O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)

/* ext2, and ext4 without a journal, have the same magic number. */
static bool ext4_has_journal(dev_t device)
{
	char link[64], target[PATH_MAX], journal[PATH_MAX];
	ssize_t length;

	(void)snprintf(link, sizeof(link), "/sys/dev/block/%u:%u", major(device), minor(device));
	length = readlink(link, target, sizeof(target) - 1);
	if (length < 0)
		return false;
	target[length] = '\0';
	length = snprintf(journal, sizeof(journal), "/sys/fs/ext4/%s/journal_task",
			  basename(target));
	return length < (ssize_t)sizeof(journal) && access(journal, F_OK) == 0;
}

static bool has_one_log(int directory, dev_t device)
{
	struct statfs fs;

	if (fstatfs(directory, &fs) < 0)
		return false;
	if (fs.f_type == EXT4_SUPER_MAGIC)
		return ext4_has_journal(device);
	return fs.f_type == XFS_SUPER_MAGIC;
}

static int write_file(const struct layer_entry *entry, unsigned how, struct error *e)
{
	cleanup(close_fd) int fd = openat(entry->parent, entry->name, READ_FLAGS);

	if (fd < 0 && (errno == ENOENT || errno == ELOOP || errno == ENXIO))
		return 0; /* it has just been removed or replaced */
	if (fd < 0 || sync_file_range(fd, 0, 0, how) < 0)
		return error_set(e, -errno, "write %s to the disk: %s", entry->path,
				 strerror(errno));
	return 0;
}

static int write_files(int directory, unsigned how, struct error *e)
{
	const struct layer_walk_options options = { .directory = directory, .tolerant = true };
	cleanup(layer_walk_free) struct layer_walk *walk = NULL;
	struct layer_entry entry;
	int code = layer_walk_open(&options, &walk, e);

	while (code >= 0 && (code = layer_walk_next(walk, &entry, e)) == 1)
		if (S_ISREG(entry.st.st_mode) && entry.st.st_size > 0)
			code = write_file(&entry, how, e);
	return code;
}

/* Makes the directory part of the newest transaction, and commits that. */
static int commit_log(int directory, mode_t mode, struct error *e)
{
	if (fchmod(directory, mode & 07777) < 0 || fsync(directory) < 0)
		return error_set(e, -errno, "write the layer to the disk: %s", strerror(errno));
	return 0;
}

int layer_check_written(int directory, struct error *e)
{
	return write_files(directory, SYNC_FILE_RANGE_WAIT_BEFORE, e);
}

int layer_sync(int directory, struct error *e)
{
	struct stat st;
	int code;

	if (fstat(directory, &st) < 0)
		return error_set(e, -errno, "the layer's root: %s", strerror(errno));
	if (!has_one_log(directory, st.st_dev)) {
		if (syncfs(directory) < 0)
			return error_set(e, -errno, "write the layer to the disk: %s",
					 strerror(errno));
		/* Another program's sync may have got the file system's only report. */
		return layer_check_written(directory, e);
	}
	/* All writing is begun before any of it is waited for. */
	code = write_files(directory, SYNC_FILE_RANGE_WRITE, e);
	if (code == 0)
		code = write_files(directory,
				   SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
					   SYNC_FILE_RANGE_WAIT_AFTER,
				   e);
	return code < 0 ? code : commit_log(directory, st.st_mode, e);
}

int layer_sync_names(int directory, struct error *e)
{
	struct stat st;
	int code;

	if (fstat(directory, &st) < 0)
		return error_set(e, -errno, "stat a directory: %s", strerror(errno));
	if (!has_one_log(directory, st.st_dev))
		return 0;
	code = commit_log(directory, st.st_mode, e);
	return code < 0 ? code : 1;
}

int layer_sync_own_log(int directory, struct error *e)
{
	struct statfs fs;

	if (fstatfs(directory, &fs) < 0)
		return error_set(e, -errno, "statfs a directory: %s", strerror(errno));
	/* ext4 without a journal promises nothing, whatever is synced. */
	if (fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC ||
	    fs.f_type == TMPFS_MAGIC)
		return 0;
	if (fsync(directory) < 0)
		return error_set(e, -errno, "write a directory to the disk: %s", strerror(errno));
	return 0;
}
