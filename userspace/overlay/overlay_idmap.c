// SPDX-License-Identifier: Apache-2.0
#include "overlay/overlay_idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "overlay/overlay_create.h"
#include "overlay/overlay_staging.h"

struct mapped_mount {
	int store;
	const struct overlay_features *features;
	const struct overlay_spec *spec;
	int mount; /* result */
	int code; /* result */
	struct error *e;
};

/* ---- a user namespace ---- */

/* Lives until it is killed, or the thread that made it ends. */
static pid_t start_child(struct error *e)
{
	pid_t parent = getpid();
	/* Not fork(3): whatever runs at a fork in this process is none of the child's business. */
	pid_t child = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, 0UL);

	if (child == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (getppid() == parent)
			(void)pause();
		_exit(0);
	}
	if (child > 0)
		return child;
	if (errno == ENOSPC)
		return error_set(e, -ENOSPC,
				 "there are too many user namespaces (sysctl "
				 "user.max_user_namespaces)");
	if (errno == EINVAL)
		return error_set(e, -ENOTSUP, "the kernel has no user namespaces (CONFIG_USER_NS)");
	return error_set(e, -errno, "make a user namespace: %s", strerror(errno));
}

static int write_map(pid_t child, const char *file, const char *what, const char *list,
		     struct error *e)
{
	struct id_map_extent extents[ID_MAP_EXTENTS_MAX];
	cleanup(strbuf_free) struct strbuf text = { 0 };
	char path[64];
	size_t count = 0;
	int code = id_map_parse_list(what, list, extents, &count, e);

	if (code < 0)
		return code;
	for (size_t i = 0; i < count; i++)
		strbuf_appendf(&text, "%u %u %u\n", extents[i].container, extents[i].host,
			       extents[i].length);
	if (strbuf_failed(&text))
		return error_set(e, -ENOMEM, "out of memory");
	(void)snprintf(path, sizeof(path), "/proc/%d/%s", child, file);
	cleanup(close_fd) int fd = open(path, O_WRONLY | O_CLOEXEC);
	/* The kernel takes a map in one piece, or not. */
	if (fd < 0 || write(fd, text.text, text.length) < 0)
		return error_set(e, -errno, "give a user namespace the map of %s ids '%s': %s",
				 what, list, strerror(errno));
	return 0;
}

static int make_user_namespace(const struct id_map *map, int *ret_namespace, struct error *e)
{
	cleanup(close_fd) int namespace = -EBADF;
	pid_t child = start_child(e);
	char path[64];
	int code;

	if (child < 0)
		return child;
	code = write_map(child, "uid_map", "user", map->uids, e);
	if (code == 0)
		code = write_map(child, "gid_map", "group", map->gids, e);
	if (code == 0) {
		(void)snprintf(path, sizeof(path), "/proc/%d/ns/user", child);
		namespace = open(path, O_RDONLY | O_CLOEXEC);
		if (namespace < 0)
			code = error_set(e, -errno, "open %s: %s", path, strerror(errno));
	}
	(void)kill(child, SIGKILL); /* our own, and not waited for yet: it is there */
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	if (code == 0)
		*ret_namespace = take_fd(&namespace);
	return code;
}

/* ---- a clone of the store ---- */

static int refuse_clone(const struct overlay_features *features, int code, struct error *e)
{
	if (code == -EINVAL)
		return error_set(e, -ENOTSUP,
				 "on this kernel, %s takes no map of ids: put --root on ext4, xfs "
				 "or btrfs",
				 features->file_system);
	if (code == -EPERM)
		return error_set(e, -ENOTSUP,
				 "the store lies on a mount that has a map of ids already");
	if (code == -ENOSYS)
		return error_set(e, -ENOTSUP,
				 "this kernel has no mounts with a map of ids (5.12 has)");
	return error_set(e, code, "give a clone of the store a map of ids: %s", strerror(-code));
}

static int clone_store(const struct mapped_mount *m, int namespace, int *ret_clone)
{
	struct mount_attr attributes = {
		.attr_set = MOUNT_ATTR_IDMAP,
		.userns_fd = (uint32_t) namespace,
		.propagation = MS_PRIVATE,
	};
	cleanup(close_fd) int clone =
		open_tree(m->store, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);

	if (clone < 0)
		return error_set(m->e, -errno, "clone the store's mount: %s", strerror(errno));
	if (mount_setattr(clone, "", AT_EMPTY_PATH, &attributes, sizeof(attributes)) < 0)
		return refuse_clone(m->features, -errno, m->e);
	*ret_clone = take_fd(&clone);
	return 0;
}

/* ---- the mount ---- */

/*
 * Overlayfs makes its own files (whiteouts, copies, the work directory) as whoever mounted it, and
 * an id that is not in the map can make none: then it would be read-only, without a word. So this
 * thread makes files as the one that is shown for root, with the capabilities that it had.
 */
static int make_files_as(uid_t user, gid_t group, struct error *e)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct capabilities[_LINUX_CAPABILITY_U32S_3];

	if (syscall(SYS_capget, &header, capabilities) < 0)
		return error_set(e, -errno, "read this thread's capabilities: %s", strerror(errno));
	(void)setfsgid(group); /* what they return says nothing: it is asked for below */
	(void)setfsuid(user);
	if ((gid_t)setfsgid((gid_t)-1) != group || (uid_t)setfsuid((uid_t)-1) != user ||
	    syscall(SYS_capset, &header, capabilities) < 0)
		return error_set(e, -EPERM,
				 "make files as user %u and group %u: CAP_SETUID and CAP_SETGID "
				 "are needed",
				 user, group);
	/* A change of credentials takes core dumps away from the whole process, which like any
	 * program that root starts had them. */
	(void)prctl(PR_SET_DUMPABLE, 1);
	return 0;
}

static int root_of(const char *what, const char *list, uint32_t *ret_id, struct error *e)
{
	struct id_map_extent extents[ID_MAP_EXTENTS_MAX];
	size_t count;
	int code = id_map_parse_list(what, list, extents, &count, e);

	if (code == 0)
		*ret_id = extents[0].host; /* sorted, and 0 is in it */
	return code;
}

static int mount_from_clone(struct mapped_mount *m, int clone, const char *point)
{
	const struct id_map *map = m->spec->id_map;
	uint32_t user, group;
	int code = root_of("user", map->uids, &user, m->e);

	if (code == 0)
		code = root_of("group", map->gids, &group, m->e);
	if (code < 0)
		return code;
	/* FIXME(kernel < 6.15): layers of a clone that is attached nowhere are refused */
	if (move_mount(clone, "", AT_FDCWD, point, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return error_set(m->e, -errno, "attach a clone of the store: %s", strerror(errno));
	code = make_files_as(user, group, m->e);
	if (code < 0)
		return code;
	/* The clone has the map now: overlay_create() does not look at that of the spec. */
	return overlay_create(clone, m->features, m->spec, &m->mount, m->e);
}

/* On a thread of its own, since it changes its credentials. */
static void *run_mapped_mount(void *user)
{
	struct mapped_mount *m = user;
	cleanup(close_fd) int namespace = -EBADF;
	cleanup(close_fd) int clone = -EBADF;
	struct overlay_stage stage;

	m->code = make_user_namespace(m->spec->id_map, &namespace, m->e);
	if (m->code == 0)
		m->code = clone_store(m, namespace, &clone);
	if (m->code == 0)
		m->code = overlay_staging_begin(m->store, &stage, m->e);
	if (m->code < 0)
		return NULL;
	m->code = mount_from_clone(m, clone, stage.point);
	overlay_staging_end(&stage);
	return NULL;
}

int overlay_idmap_mount(int store, const struct overlay_features *features,
			const struct overlay_spec *spec, int *ret_mount, struct error *e)
{
	struct mapped_mount m = {
		.store = store, .features = features, .spec = spec, .mount = -EBADF, .e = e
	};
	pthread_t thread;
	int code = -pthread_create(&thread, NULL, run_mapped_mount, &m);

	if (code < 0)
		return error_set(e, code, "start a thread for the mount: %s", strerror(-code));
	(void)pthread_join(thread, NULL); /* fails only for a thread that is not ours */
	if (m.code < 0)
		return m.code;
	*ret_mount = m.mount;
	return 0;
}
