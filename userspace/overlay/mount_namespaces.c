// SPDX-License-Identifier: Apache-2.0
#include "overlay/mount_namespaces.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/vec.h"

void mount_namespaces_free(struct mount_namespaces *seen)
{
	free(seen->numbers);
}

bool mount_namespaces_is_new(struct mount_namespaces *seen, int process)
{
	uint64_t *numbers;
	struct stat s;

	if (fstatat(process, "ns/mnt", &s, 0) < 0)
		return false; /* the process has ended */
	for (size_t i = 0; i < seen->count; i++)
		if (seen->numbers[i] == s.st_ino)
			return false;
	numbers = vec_reserve(seen->numbers, &seen->capacity, seen->count + 1, sizeof(*numbers));
	if (!numbers)
		return true; /* then the namespace may be looked at twice */
	seen->numbers = numbers;
	seen->numbers[seen->count++] = s.st_ino;
	return true;
}

/* "36 35 98:0 /root /point rw,noatime master:1 - overlay source rw,lowerdir=…": splits the line.
 * False for a line of another form. */
static bool split_line(char *line, struct namespace_mount *ret_mount)
{
	unsigned int device_major, device_minor;
	char *save = NULL, *fields[5], *separator = strstr(line, " - ");
	int at = 0;

	if (!separator || sscanf(line, "%*d %*d %u:%u ", &device_major, &device_minor) != 2)
		return false;
	*separator = '\0';
	for (char *f = strtok_r(line, " ", &save); f && at < 5; f = strtok_r(NULL, " ", &save))
		fields[at++] = f;
	if (at < 5)
		return false;
	ret_mount->device = makedev(device_major, device_minor);
	ret_mount->point = fields[4];
	ret_mount->file_system = strtok_r(separator + strlen(" - "), " ", &save);
	(void)strtok_r(NULL, " ", &save); /* the source */
	ret_mount->options = strtok_r(NULL, " \n", &save);
	return ret_mount->file_system && ret_mount->options;
}

bool mount_namespaces_visit(int process, bool (*visit)(const struct namespace_mount *m, void *user),
			    void *user)
{
	cleanup(close_fd) int fd = openat(process, "mountinfo", O_RDONLY | O_CLOEXEC);
	cleanup(close_file) FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	cleanup(free_ptr) char *line = NULL;
	size_t size = 0;

	if (!file)
		return false;
	(void)take_fd(&fd); /* the stream's now */
	while (getline(&line, &size, file) > 0) {
		struct namespace_mount m = { .process = process };

		if (split_line(line, &m) && visit(&m, user))
			return true;
	}
	return false;
}

bool mount_namespaces_visit_all(bool (*visit)(const struct namespace_mount *m, void *user),
				void *user)
{
	cleanup(mount_namespaces_free) struct mount_namespaces seen = { 0 };
	cleanup(close_directory) DIR *proc = opendir("/proc");
	const struct dirent *entry;

	while (proc && (entry = readdir(proc))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		cleanup(close_fd) int process =
			openat(dirfd(proc), entry->d_name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (process >= 0 && mount_namespaces_is_new(&seen, process) &&
		    mount_namespaces_visit(process, visit, user))
			return true;
	}
	return false;
}
