/* SPDX-License-Identifier: Apache-2.0 */
#include "usage/usage_owner.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include "usage/usage_pins.h"

#define STORE_LINK "store"
#define OWNER_LINK "owner"
#define INITIAL_PID_NAMESPACE UINT64_C(0xeffffffc)

/* What the link `owner` says, in hexadecimal. */
#define OWNER_FORMAT_NUMBERS                                                        \
	"device=%" PRIx64 " inode=%" PRIx64 " filesystem=%" PRIx64 " lock=%" PRIx64 \
	" mounts=%" PRIx64 " pids=%" PRIx64 " handle="
#define OWNER_SCAN_NUMBERS                                                          \
	"device=%" SCNx64 " inode=%" SCNx64 " filesystem=%" SCNx64 " lock=%" SCNx64 \
	" mounts=%" SCNx64 " pids=%" SCNx64 " handle="

/* A file handle, as text; "" where the file system has none: then nothing can be proved. */
#define HANDLE_TEXT_MAX (2 * MAX_HANDLE_SZ + 16)

struct identity {
	uint64_t device, inode;
	uint64_t file_system; /* f_fsid */
	uint64_t lock_inode;
	uint64_t mount_namespace, pid_namespace; /* of the agent that counted there last */
	char handle[HANDLE_TEXT_MAX];
};

/* Its bytes follow it. */
union handle {
	struct file_handle head;
	unsigned char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
};

static uint64_t own_namespace(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_ino : 0;
}

static uint64_t file_system_of(int fd)
{
	struct statfs fs;
	uint64_t id = 0;

	_Static_assert(sizeof(fs.f_fsid) == sizeof(id), "f_fsid");
	if (fstatfs(fd, &fs) == 0)
		memcpy(&id, &fs.f_fsid, sizeof(id));
	return id;
}

/* ---- file handles ---- */

static void format_handle(int fd, char text[HANDLE_TEXT_MAX])
{
	union handle h = { .head = { .handle_bytes = MAX_HANDLE_SZ } };
	size_t used;
	int mount;

	text[0] = '\0';
	if (name_to_handle_at(fd, "", &h.head, &mount, AT_EMPTY_PATH) < 0)
		return;
	used = (size_t)snprintf(text, HANDLE_TEXT_MAX, "%x:", (unsigned int)h.head.handle_type);
	for (unsigned int i = 0; i < h.head.handle_bytes; i++)
		used += (size_t)snprintf(text + used, HANDLE_TEXT_MAX - used, "%02x",
					 h.head.f_handle[i]);
}

static bool parse_handle(const char *text, union handle *ret_handle)
{
	unsigned int type, byte;
	int used = 0;

	*ret_handle = (union handle){ .room = { 0 } };
	if (sscanf(text, "%x:%n", &type, &used) != 1 || used == 0)
		return false;
	ret_handle->head.handle_type = (int)type;
	for (text += used; sscanf(text, "%2x", &byte) == 1; text += 2) {
		if (ret_handle->head.handle_bytes == MAX_HANDLE_SZ || !text[1])
			return false;
		ret_handle->head.f_handle[ret_handle->head.handle_bytes++] = (unsigned char)byte;
	}
	return true;
}

/* ---- notes ---- */

static int find_identity(const struct usage_store *store, struct identity *ret_identity,
			 struct error *e)
{
	struct stat root, lock;

	if (fstat(store->root_fd, &root) < 0 || fstat(store->lock_fd, &lock) < 0)
		return error_set(e, -errno, "stat the store %s: %s", store->path, strerror(errno));
	*ret_identity = (struct identity){
		.device = root.st_dev,
		.inode = root.st_ino,
		.file_system = file_system_of(store->root_fd),
		.lock_inode = lock.st_ino,
		.mount_namespace = own_namespace("/proc/self/ns/mnt"),
		.pid_namespace = own_namespace("/proc/self/ns/pid"),
	};
	format_handle(store->root_fd, ret_identity->handle);
	return 0;
}

/* NULL when there is no such link, or no memory for it. */
static char *read_link(const char *pin_dir, const char *name)
{
	char path[PATH_MAX], target[PATH_MAX];
	ssize_t length;

	if (usage_pins_path(path, pin_dir, name, NULL) < 0)
		return NULL;
	length = readlink(path, target, sizeof(target));
	return length < 0 ? NULL : strndup(target, (size_t)length);
}

static int write_link(const char *pin_dir, const char *name, const char *target, struct error *e)
{
	char path[PATH_MAX];
	int code = usage_pins_path(path, pin_dir, name, e);

	if (code < 0)
		return code;
	if ((unlink(path) < 0 && errno != ENOENT) || (target && symlink(target, path) < 0))
		return error_set(e, -errno, "note the store at %s: %s", path, strerror(errno));
	return 0;
}

int usage_owner_write(const char *pin_dir, const struct usage_store *store, struct error *e)
{
	cleanup(free_ptr) char *noted_store = read_link(pin_dir, STORE_LINK);
	cleanup(free_ptr) char *noted_owner = read_link(pin_dir, OWNER_LINK);
	char owner[sizeof(struct identity) + 256];
	struct identity id;
	int code = find_identity(store, &id, e);

	if (code < 0)
		return code;
	(void)snprintf(owner, sizeof(owner), OWNER_FORMAT_NUMBERS "%s", id.device, id.inode,
		       id.file_system, id.lock_inode, id.mount_namespace, id.pid_namespace,
		       id.handle); /* it fits */
	if (noted_store && noted_owner && strcmp(noted_store, store->path) == 0 &&
	    strcmp(noted_owner, owner) == 0)
		return 0;
	/* The proof is there only beside the path that it belongs to. */
	code = write_link(pin_dir, OWNER_LINK, NULL, e);
	if (code == 0)
		code = write_link(pin_dir, STORE_LINK, store->path, e);
	return code < 0 ? code : write_link(pin_dir, OWNER_LINK, owner, e);
}

static bool parse_identity(const char *text, struct identity *ret_identity)
{
	const char *handle = strstr(text, "handle=");
	struct identity id = { 0 };

	if (sscanf(text, OWNER_SCAN_NUMBERS, &id.device, &id.inode, &id.file_system, &id.lock_inode,
		   &id.mount_namespace, &id.pid_namespace) != 6 ||
	    !handle)
		return false;
	(void)snprintf(id.handle, sizeof(id.handle), "%s", handle + strlen("handle="));
	*ret_identity = id;
	return true;
}

/* ---- is it still there? ---- */

/* By the lock's inode, on whatever device: /proc/locks and stat(2) name devices differently on
 * some file systems, and a lock too many only keeps the pins. */
static bool is_locked(uint64_t inode)
{
	cleanup(close_file) FILE *locks = fopen("/proc/locks", "re");
	char line[256];

	if (!locks)
		return true;
	while (fgets(line, sizeof(line), locks)) {
		char kind[16];
		uint64_t found;

		if (sscanf(line, "%*s %15s %*s %*s %*s %*x:%*x:%" SCNu64, kind, &found) == 2 &&
		    strcmp(kind, "FLOCK") == 0 && found == inode)
			return true;
	}
	return false;
}

/* The folder nearest to the store that exists. What is missing below it may have been deleted, or
 * may be on a file system that is not mounted: then this folder is on another one. */
static int open_nearest(const char *store)
{
	cleanup(free_ptr) char *path = strdup(store);
	int fd = -1;

	while (path && path[0] == '/') {
		char *slash = strrchr(path, '/');

		slash[slash == path] = '\0';
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd >= 0 || errno != ENOENT || slash == path)
			break;
	}
	return fd;
}

static enum usage_owner_state unknown(struct usage_owner *owner, const char *reason)
{
	(void)snprintf(owner->reason, sizeof(owner->reason), "%s", reason);
	return USAGE_OWNER_UNKNOWN;
}

static enum usage_owner_state look_by_handle(struct usage_owner *owner, const struct identity *id,
					     int nearest)
{
	union handle handle;
	struct stat st;

	if (!parse_handle(id->handle, &handle))
		return unknown(owner, "its file system has no file handles to find it by");
	cleanup(close_fd) int root =
		open_by_handle_at(nearest, &handle.head, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 && errno != ESTALE)
		return unknown(owner, strerror(errno));
	if (root >= 0 && fstat(root, &st) == 0 && st.st_nlink > 0)
		return USAGE_OWNER_EXISTS; /* under another name */
	return owner->locked ? unknown(owner, "a process still has its lock") : USAGE_OWNER_GONE;
}

static enum usage_owner_state look_for(struct usage_owner *owner, const struct identity *id)
{
	struct stat st;

	if (stat(owner->store, &st) == 0 && st.st_dev == id->device && st.st_ino == id->inode)
		return USAGE_OWNER_EXISTS;
	/* Elsewhere other locks and other mounts are to be seen. */
	if (own_namespace("/proc/self/ns/pid") != INITIAL_PID_NAMESPACE ||
	    id->pid_namespace != INITIAL_PID_NAMESPACE)
		return unknown(owner, "not in the first PID namespace");
	if (own_namespace("/proc/self/ns/mnt") != id->mount_namespace)
		return unknown(owner, "it is in another mount namespace");

	cleanup(close_fd) int nearest = open_nearest(owner->store);
	if (nearest < 0 || fstat(nearest, &st) < 0 || st.st_dev != id->device ||
	    file_system_of(nearest) != id->file_system)
		return unknown(owner, "its file system is not mounted there");
	return look_by_handle(owner, id, nearest);
}

void usage_owner_read(const char *pin_dir, struct usage_owner *ret_owner)
{
	cleanup(free_ptr) char *noted = read_link(pin_dir, OWNER_LINK);
	struct identity id;

	*ret_owner = (struct usage_owner){ .store = read_link(pin_dir, STORE_LINK) };
	if (!ret_owner->store || !noted || !parse_identity(noted, &id)) {
		ret_owner->state = unknown(ret_owner, "the folder does not say whose it is");
		return;
	}
	ret_owner->locked = is_locked(id.lock_inode);
	ret_owner->state = look_for(ret_owner, &id);
}

void usage_owner_free(struct usage_owner *owner)
{
	free(owner->store);
}
