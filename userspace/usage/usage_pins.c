// SPDX-License-Identifier: Apache-2.0
#include "usage/usage_pins.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/cleanup.h"
#include "base/fail_point.h"

#define LINKS_PREFIX "links_"

static bool is_bpf_file_system(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && fs.f_type == BPF_FS_MAGIC;
}

int usage_pins_lock(void)
{
	cleanup(close_fd) int fd = open(USAGE_PINS_MOUNT_POINT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 && is_bpf_file_system(USAGE_PINS_MOUNT_POINT) && flock(fd, LOCK_EX) == 0
		       ? take_fd(&fd)
		       : -1;
}

static int mount_bpf_file_system(const char *pin_dir, struct error *e)
{
	size_t length = strlen(USAGE_PINS_MOUNT_POINT);

	if (strncmp(pin_dir, USAGE_PINS_MOUNT_POINT, length) != 0 || pin_dir[length] != '/' ||
	    is_bpf_file_system(USAGE_PINS_MOUNT_POINT))
		return 0;
	if (mount("bpf", USAGE_PINS_MOUNT_POINT, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "mode=0711") < 0)
		return error_set(e, -errno,
				 "bpffs is not mounted at " USAGE_PINS_MOUNT_POINT
				 " and mounting it failed: %s",
				 strerror(errno));
	return 0;
}

/* A folder that others may pass through: the table of usage is for everyone. */
static int make_folder(const char *path, struct error *e)
{
	if (mkdir(path, 0711) == 0)
		/* The umask may have taken more than it should. */
		return chmod(path, 0711) == 0
			       ? 0
			       : error_set(e, -errno, "chmod 0711 %s: %s", path, strerror(errno));
	if (errno == EEXIST)
		return 0;
	return error_set(e, -errno, "make the pin folder %s: %s", path, strerror(errno));
}

int usage_pins_prepare(const char *pin_dir, struct error *e)
{
	char path[PATH_MAX];
	size_t length = strlen(pin_dir);
	int code;

	if (pin_dir[0] != '/' || length >= sizeof(path))
		return error_set(e, -EINVAL, "the pin folder '%s' is not an absolute path",
				 pin_dir);
	code = mount_bpf_file_system(pin_dir, e);
	if (code < 0)
		return code;
	for (size_t i = 1; i <= length; i++) {
		if (pin_dir[i] != '/' && pin_dir[i] != '\0')
			continue;
		memcpy(path, pin_dir, i);
		path[i] = '\0';
		code = make_folder(path, e);
		if (code < 0)
			return code;
	}
	if (!is_bpf_file_system(pin_dir))
		return error_set(e, -EINVAL, "the pin folder %s is not in a BPF file system",
				 pin_dir);
	return 0;
}

__attribute__((format(printf, 3, 4))) static int format_path(char path[PATH_MAX], struct error *e,
							     const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(path, PATH_MAX, format, args);
	va_end(args);
	if (length < 0 || length >= PATH_MAX)
		return error_set(e, -ENAMETOOLONG, "the path of a pin is too long: %.100s…", path);
	return 0;
}

int usage_pins_path(char path[PATH_MAX], const char *pin_dir, const char *name, struct error *e)
{
	return format_path(path, e, "%s/%s", pin_dir, name);
}

int usage_pins_links_path(char path[PATH_MAX], const char *pin_dir, uint64_t generation,
			  struct error *e)
{
	return format_path(path, e, "%s/" LINKS_PREFIX "%" PRIu64, pin_dir, generation);
}

const char *usage_pins_next_name(DIR *folder)
{
	struct dirent *entry;

	do
		entry = readdir(folder);
	while (entry && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
	return entry ? entry->d_name : NULL;
}

bool usage_pins_is_links_name(const char *name)
{
	return strncmp(name, LINKS_PREFIX, strlen(LINKS_PREFIX)) == 0;
}

/* Removes the files in a folder, and the folder; one that is not there is fine. */
static int remove_folder(const char *path, struct error *e)
{
	cleanup(close_directory) DIR *folder = opendir(path);
	const char *name;

	if (!folder)
		return errno == ENOENT ? 0
				       : error_set(e, -errno, "open %s: %s", path, strerror(errno));
	while ((name = usage_pins_next_name(folder)))
		if (unlinkat(dirfd(folder), name, 0) < 0 && errno != ENOENT)
			return error_set(e, -errno, "unpin %s/%s: %s", path, name, strerror(errno));
	if (rmdir(path) < 0 && errno != ENOENT)
		return error_set(e, -errno, "remove the pin folder %s: %s", path, strerror(errno));
	return 0;
}

int usage_pins_make_links(const char *pin_dir, uint64_t generation, struct error *e)
{
	char path[PATH_MAX];
	int code = usage_pins_links_path(path, pin_dir, generation, e);

	if (code == 0)
		code = remove_folder(path, e);
	return code < 0 ? code : make_folder(path, e);
}

uint32_t usage_pins_count_links(const char *pin_dir, uint64_t generation)
{
	char path[PATH_MAX];
	uint32_t count = 0;

	if (usage_pins_links_path(path, pin_dir, generation, NULL) < 0)
		return 0;

	cleanup(close_directory) DIR *folder = opendir(path);
	while (folder && usage_pins_next_name(folder))
		count++;
	return count;
}

int usage_pins_remove_other_links(const char *pin_dir, uint64_t generation, struct error *e)
{
	cleanup(close_directory) DIR *folder = opendir(pin_dir);
	char kept[PATH_MAX], path[PATH_MAX];
	const char *name;
	int code;

	if (!folder)
		return errno == ENOENT
			       ? 0
			       : error_set(e, -errno, "open %s: %s", pin_dir, strerror(errno));
	code = usage_pins_links_path(kept, pin_dir, generation, e);
	while (code == 0 && (name = usage_pins_next_name(folder))) {
		if (!usage_pins_is_links_name(name))
			continue;
		code = usage_pins_path(path, pin_dir, name, e);
		if (code == 0 && strcmp(path, kept) != 0)
			code = remove_folder(path, e);
	}
	return code;
}

int usage_pins_remove(const char *pin_dir, struct error *e)
{
	cleanup(free_ptr) char *parent = strdup(pin_dir);
	/* No generation is 0: this removes the links of all, before the maps that they count in. */
	int code = usage_pins_remove_other_links(pin_dir, 0, e);

	fail_point("accounting.unpinned-links");
	if (code == 0)
		code = remove_folder(pin_dir, e);
	if (code == 0 && parent)
		(void)rmdir(
			dirname(parent)); /* another version's pins, or bpffs itself: it stays */
	return code;
}

/* The N of "vN"; 0: that is not the name of a layout's folder. */
static unsigned long layout_version(const char *name)
{
	char *end;
	unsigned long version = name[0] == 'v' ? strtoul(name + 1, &end, 10) : 0;

	return version && *end == '\0' ? version : 0;
}

bool usage_pins_is_version(const char *name)
{
	return layout_version(name) > 0;
}

int usage_pins_remove_older(const char *pin_dir, struct error *e)
{
	const char *slash = strrchr(pin_dir, '/');
	unsigned long own = slash ? layout_version(slash + 1) : 0;
	char parent[PATH_MAX], path[PATH_MAX];
	const char *name;
	int code;

	if (!own)
		return 0;
	code = format_path(parent, e, "%.*s", (int)(slash - pin_dir), pin_dir);
	if (code < 0)
		return code;
	cleanup(close_directory) DIR *folder = opendir(parent);
	while (code == 0 && folder && (name = usage_pins_next_name(folder))) {
		unsigned long version = layout_version(name);

		if (!version || version >= own)
			continue;
		code = usage_pins_path(path, parent, name, e);
		if (code == 0)
			code = usage_pins_remove(path, e);
	}
	return code;
}
