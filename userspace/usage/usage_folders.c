/* SPDX-License-Identifier: Apache-2.0 */
#include "usage/usage_folders.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>

#include "usage/usage_pins.h"

#define FOLDER_PREFIX "varve"

/* ---- what it costs ---- */

static void add_program(struct usage_folder *folder, const char *path)
{
	cleanup(close_fd) int link_fd = bpf_obj_get(path);
	struct bpf_link_info link = { 0 };
	struct bpf_prog_info info = { 0 };
	uint32_t link_size = sizeof(link), info_size = sizeof(info);

	if (link_fd < 0)
		return;
	folder->links++;
	if (bpf_obj_get_info_by_fd(link_fd, &link, &link_size) < 0)
		return;
	cleanup(close_fd) int program = bpf_prog_get_fd_by_id(link.prog_id);
	if (program < 0 || bpf_obj_get_info_by_fd(program, &info, &info_size) < 0)
		return;
	folder->runs += info.run_cnt;
	folder->run_ns += info.run_time_ns;
}

static void add_links(struct usage_folder *folder, const char *name)
{
	char links[PATH_MAX], path[PATH_MAX];

	if (usage_pins_path(links, folder->path, name, NULL) < 0)
		return;
	cleanup(close_directory) DIR *directory = opendir(links);
	while (directory && (name = usage_pins_next_name(directory)))
		if (usage_pins_path(path, links, name, NULL) == 0)
			add_program(folder, path);
}

static void add_cost(struct usage_folder *folder)
{
	cleanup(close_directory) DIR *directory = opendir(folder->path);
	const char *name;

	while (directory && (name = usage_pins_next_name(directory)))
		if (usage_pins_is_links_name(name))
			add_links(folder, name);
}

/* ---- all of them ---- */

struct walk {
	int (*visit)(const struct usage_folder *folder, void *user);
	void *user;
};

static int visit_folder(const struct walk *walk, const char *path)
{
	struct usage_folder folder = { .path = path };
	int code;

	usage_owner_read(path, &folder.owner);
	add_cost(&folder);
	code = walk->visit(&folder, walk->user);
	usage_owner_free(&folder.owner);
	return code;
}

static int visit_versions(const struct walk *walk, const char *parent)
{
	cleanup(close_directory) DIR *directory = opendir(parent);
	char path[PATH_MAX];
	const char *name;
	int code = 0;

	while (code == 0 && directory && (name = usage_pins_next_name(directory)))
		if (usage_pins_is_version(name) && usage_pins_path(path, parent, name, NULL) == 0)
			code = visit_folder(walk, path);
	return code;
}

static int visit_all(const struct walk *walk)
{
	cleanup(close_directory) DIR *directory = opendir(USAGE_PINS_MOUNT_POINT);
	char path[PATH_MAX];
	const char *name;
	int code = 0;

	while (code == 0 && directory && (name = usage_pins_next_name(directory)))
		if (strncmp(name, FOLDER_PREFIX, strlen(FOLDER_PREFIX)) == 0 &&
		    usage_pins_path(path, USAGE_PINS_MOUNT_POINT, name, NULL) == 0)
			code = visit_versions(walk, path);
	return code;
}

int usage_folders_visit(int (*visit)(const struct usage_folder *folder, void *user), void *user)
{
	const struct walk walk = { visit, user };

	return visit_all(&walk);
}

/* ---- how to be rid of one ---- */

struct removal {
	void (*removed)(const struct usage_folder *folder, void *user);
	void *user;
	uint32_t count;
	struct error *e;
};

static int remove_if_gone(const struct usage_folder *folder, void *user)
{
	struct removal *removal = user;
	int code;

	if (folder->owner.state != USAGE_OWNER_GONE)
		return 0;
	code = usage_pins_remove(folder->path, removal->e);
	if (code == 0)
		removal->removed(folder, removal->user);
	return code;
}

int usage_folders_remove_gone(void (*removed)(const struct usage_folder *folder, void *user),
			      void *user, struct error *e)
{
	/* The inode number of a store that is gone may be that of a new store any time: its agent
	 * takes over the folder, and waits here for it. */
	cleanup(close_fd) int lock = usage_pins_lock();
	struct removal removal = { .removed = removed, .user = user, .e = e };

	return lock < 0 ? 0 : usage_folders_visit(remove_if_gone, &removal);
}

static int remove_on_request(const struct usage_folder *folder, void *user)
{
	const struct usage_owner *owner = &folder->owner;
	struct removal *removal = user;

	if (owner->locked)
		return error_set(removal->e, -EBUSY, "%s is in use by the varved of %s: stop it",
				 folder->path, owner->store);
	if (owner->state == USAGE_OWNER_EXISTS)
		return error_set(removal->e, -EEXIST,
				 "%s belongs to the store %s, which exists: use --root %s "
				 "--teardown",
				 folder->path, owner->store, owner->store);
	removal->count++;
	return usage_pins_remove(folder->path, removal->e);
}

static int check_place(const char *path, struct error *e)
{
	struct statfs fs;

	if (statfs(path, &fs) < 0)
		return error_set(e, -errno, "%s: %s", path, strerror(errno));
	if (fs.f_type != BPF_FS_MAGIC)
		return error_set(e, -EINVAL, "%s is not in a BPF file system", path);
	return 0;
}

int usage_folders_remove(const char *path, struct error *e)
{
	struct removal removal = { .e = e };
	struct walk walk = { remove_on_request, &removal };
	char real[PATH_MAX], copy[PATH_MAX];
	bool version;
	int code = check_place(path, e);

	if (code < 0)
		return code;
	if (!realpath(path, real))
		return error_set(e, -errno, "%s: %s", path, strerror(errno));
	memcpy(copy, real, sizeof(copy));
	version = usage_pins_is_version(basename(copy));
	memcpy(copy, real, sizeof(copy));
	if (strncmp(basename(version ? dirname(copy) : copy), FOLDER_PREFIX,
		    strlen(FOLDER_PREFIX)) != 0)
		return error_set(e, -EINVAL, "%s is not a pin folder of varved", path);
	cleanup(close_fd) int lock = usage_pins_lock();
	code = version ? visit_folder(&walk, real) : visit_versions(&walk, real);
	if (code == 0 && removal.count == 0)
		return error_set(e, -ENOENT, "%s has no pins", path);
	return code;
}
