// SPDX-License-Identifier: Apache-2.0
#include "overlay/mount_holders.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "overlay/mount_namespaces.h"

/* Processes come and go: what cannot be read belongs to a process that has ended. */

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

/* What is looked for: one mount, or every mount of one superblock. */
struct wanted {
	uint64_t mount_id; /* 0: any mount of the device */
	dev_t device;
};

/* Whether one of the process's links leads into the mount. */
static bool link_leads_into(int process, const char *link, const struct wanted *w)
{
	struct statx s;

	/* Without sync: a network file system whose server is down must not block the agent. */
	if (statx(process, link, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, STATX_MNT_ID, &s) < 0)
		return false;
	return w->mount_id ? s.stx_mnt_id == w->mount_id
			   : makedev(s.stx_dev_major, s.stx_dev_minor) == w->device;
}

static bool descriptor_is_of_mount(int directory, const char *name, uint64_t mount_id)
{
	char text[256]; /* mnt_id is the third line */
	const char *line;
	uint64_t id;

	if (!read_start(directory, name, text, sizeof(text)))
		return false;
	line = strstr(text, "mnt_id:");
	return line && sscanf(line, "mnt_id: %" SCNu64, &id) == 1 && id == mount_id;
}

static bool has_open_file(int process, const struct wanted *w)
{
	cleanup(close_directory)
		DIR *directory = open_directory(process, w->mount_id ? "fdinfo" : "fd");
	const struct dirent *entry;

	while (directory && (entry = readdir(directory))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		if (w->mount_id
			    ? descriptor_is_of_mount(dirfd(directory), entry->d_name, w->mount_id)
			    : link_leads_into(dirfd(directory), entry->d_name, w))
			return true;
	}
	return false;
}

static bool has_mapped_file(int process, const struct wanted *w)
{
	cleanup(close_directory) DIR *directory = open_directory(process, "map_files");
	const struct dirent *entry;

	while (directory && (entry = readdir(directory)))
		if (entry->d_name[0] != '.' && link_leads_into(dirfd(directory), entry->d_name, w))
			return true;
	return false;
}

static bool holds(int process, const struct wanted *w)
{
	return link_leads_into(process, "cwd", w) || link_leads_into(process, "root", w) ||
	       link_leads_into(process, "exe", w) || has_open_file(process, w) ||
	       has_mapped_file(process, w);
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

/* ---- the search ---- */

struct search {
	struct wanted wanted;
	struct mount_namespaces *seen; /* NULL: namespaces do not matter */
	struct strbuf *names;
	size_t count;
};

struct point_search {
	dev_t device;
	char point[PATH_MAX];
};

static bool copy_point(const struct namespace_mount *m, void *user)
{
	struct point_search *s = user;

	if (m->device != s->device)
		return false;
	(void)snprintf(s->point, sizeof(s->point), "%s", m->point);
	return true;
}

static void add_holder(struct search *s, int process, const char *pid, const char *point)
{
	if (s->count++ >= MOUNT_HOLDERS_NAMED_MAX)
		return;
	strbuf_append(s->names, s->count > 1 ? ", " : "");
	append_name(process, pid, s->names);
	if (point)
		strbuf_appendf(s->names, " in whose mount namespace it is mounted on %s", point);
}

static void look_at_process(struct search *s, int process, const char *pid)
{
	struct point_search in_namespace = { .device = s->wanted.device };

	if (holds(process, &s->wanted))
		add_holder(s, process, pid, NULL);
	else if (s->seen && mount_namespaces_is_new(s->seen, process) &&
		 mount_namespaces_visit(process, copy_point, &in_namespace))
		add_holder(s, process, pid, in_namespace.point);
}

static size_t search_processes(struct search *s)
{
	cleanup(close_directory) DIR *proc = open_directory(AT_FDCWD, "/proc");
	const struct dirent *entry;

	while (proc && (entry = readdir(proc))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		cleanup(close_fd) int process =
			openat(dirfd(proc), entry->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (process >= 0)
			look_at_process(s, process, entry->d_name);
	}
	if (s->count > MOUNT_HOLDERS_NAMED_MAX)
		strbuf_appendf(s->names, " and %zu more", s->count - MOUNT_HOLDERS_NAMED_MAX);
	return s->count;
}

size_t mount_holders_find(uint64_t mount_id, struct strbuf *names)
{
	struct search s = { .wanted = { .mount_id = mount_id }, .names = names };

	return search_processes(&s);
}

size_t mount_holders_find_device(dev_t device, struct strbuf *names)
{
	cleanup(mount_namespaces_free) struct mount_namespaces seen = { 0 };
	struct search s = { .wanted = { .device = device }, .seen = &seen, .names = names };

	return search_processes(&s);
}
