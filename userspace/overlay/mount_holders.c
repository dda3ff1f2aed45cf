// SPDX-License-Identifier: Apache-2.0
#include "overlay/mount_holders.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Processes come and go: whatever cannot be read is of one that holds nothing any more. */

static DIR *open_directory(int parent, const char *name)
{
	cleanup(close_fd) int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);

	if (directory)
		(void)take_fd(&fd);
	return directory;
}

/* `buffer` becomes the file's beginning, as a string. */
static bool read_start(int parent, const char *name, char *buffer, size_t size)
{
	cleanup(close_fd) int fd = openat(parent, name, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, buffer, size - 1);

	if (length < 0)
		return false;
	buffer[length] = '\0';
	return true;
}

/* Where one of the process's links leads. */
static bool link_leads_into(int process, const char *link, uint64_t mount_id)
{
	struct statx s;

	/* Without sync: somebody's dead network file system must not hold us up. */
	return statx(process, link, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_MNT_ID, &s) == 0 &&
	       s.stx_mnt_id == mount_id;
}

static bool has_open_file(int process, uint64_t mount_id)
{
	cleanup(close_directory) DIR *directory = open_directory(process, "fdinfo");
	const struct dirent *entry;

	while (directory && (entry = readdir(directory))) {
		char text[256]; /* mnt_id is the third line */
		const char *line;
		uint64_t id;

		if (!isdigit((unsigned char)entry->d_name[0]) ||
		    !read_start(dirfd(directory), entry->d_name, text, sizeof(text)))
			continue;
		line = strstr(text, "mnt_id:");
		if (line && sscanf(line, "mnt_id: %" SCNu64, &id) == 1 && id == mount_id)
			return true;
	}
	return false;
}

static bool has_mapped_file(int process, uint64_t mount_id)
{
	cleanup(close_directory) DIR *directory = open_directory(process, "map_files");
	const struct dirent *entry;

	while (directory && (entry = readdir(directory)))
		if (entry->d_name[0] != '.' &&
		    link_leads_into(dirfd(directory), entry->d_name, mount_id))
			return true;
	return false;
}

static bool holds(int process, uint64_t mount_id)
{
	return link_leads_into(process, "cwd", mount_id) ||
	       link_leads_into(process, "root", mount_id) ||
	       link_leads_into(process, "exe", mount_id) || has_open_file(process, mount_id) ||
	       has_mapped_file(process, mount_id);
}

static void append_name(int process, const char *pid, struct strbuf *names)
{
	char name[32];

	if (!read_start(process, "comm", name, sizeof(name)))
		(void)snprintf(name, sizeof(name), "a process");
	name[strcspn(name, "\n")] = '\0';
	for (char *c = name; *c; c++) /* a process chooses its name */
		if (!isprint((unsigned char)*c))
			*c = '?';
	strbuf_appendf(names, "%s (%s)", name, pid);
}

size_t mount_holders_find(uint64_t mount_id, struct strbuf *names)
{
	cleanup(close_directory) DIR *proc = open_directory(AT_FDCWD, "/proc");
	const struct dirent *entry;
	size_t count = 0;

	while (proc && (entry = readdir(proc))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		cleanup(close_fd) int process =
			openat(dirfd(proc), entry->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (process < 0 || !holds(process, mount_id))
			continue;
		if (count < MOUNT_HOLDERS_NAMED_MAX) {
			strbuf_append(names, count ? ", " : "");
			append_name(process, entry->d_name, names);
		}
		count++;
	}
	if (count > MOUNT_HOLDERS_NAMED_MAX)
		strbuf_appendf(names, " and %zu more", count - MOUNT_HOLDERS_NAMED_MAX);
	return count;
}
