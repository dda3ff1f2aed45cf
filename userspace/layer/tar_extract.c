/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/tar_extract.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "layer/beneath.h"
#include "layer/file_attributes.h"
#include "layer/implied_parent.h"
#include "layer/pending_whiteouts.h"
#include "layer/resolve_inside.h"
#include "layer/whiteout.h"

struct tar_extract {
	struct beneath *directories;
	struct beneath *targets; /* of hard links */
	struct directory_times *times;
	struct pending_whiteouts *whiteouts;
	struct implied_parent parents;
	struct tar_notes *notes;
	int layer_fd;
	bool root_seen, as_containerd;
};

/* The place of the current entry. */
struct place {
	int parent;
	const char *name; /* the last component of path */
	char path[BENEATH_PATH_SIZE];
};

int tar_extract_new(int layer_fd, const struct lower_layers *lowers, bool as_containerd,
		    struct tar_notes *notes, struct tar_extract **ret_extract, struct error *e)
{
	cleanup(tar_extract_free) struct tar_extract *x = calloc(1, sizeof(*x));
	int code;

	if (x)
		x->directories = beneath_new(layer_fd);
	if (x)
		x->targets = beneath_new(layer_fd);
	if (!x || !x->directories || !x->targets)
		return error_set(e, -ENOMEM, "out of memory");
	x->layer_fd = layer_fd;
	x->notes = notes;
	x->as_containerd = as_containerd;
	code = directory_times_new(layer_fd, &x->times, e);
	if (code < 0)
		return code;
	code = pending_whiteouts_new(layer_fd, &x->whiteouts, e);
	if (code < 0)
		return code;
	x->parents = (struct implied_parent){ *lowers, x->times };
	*ret_extract = take_ptr(x);
	return 0;
}

void tar_extract_free(struct tar_extract *x)
{
	if (!x)
		return;
	beneath_free(x->directories);
	beneath_free(x->targets);
	directory_times_free(x->times);
	pending_whiteouts_free(x->whiteouts);
	free(x);
}

/* Enters the entry's directory, also through links of this layer; place->path becomes the path
 * without links. */
static int enter_parent(struct tar_extract *x, struct place *place, struct error *e)
{
	const struct beneath_missing missing = { implied_parent_make, &x->parents };
	size_t length = beneath_parent(place->path, &place->name), real_length;
	char real[BENEATH_PATH_SIZE];
	int code = resolve_inside(x->directories, place->path, length, &missing, real,
				  &place->parent, e);

	if (code < 0 || (memcmp(real, place->path, length) == 0 && real[length] == '\0'))
		return code;
	real_length = strlen(real);
	if (real_length + 1 + strlen(place->name) >= sizeof(real))
		return error_set(e, -ENAMETOOLONG, "symbolic links make its path too long");
	if (real_length > 0)
		real[real_length++] = '/';
	(void)strcpy(real + real_length, place->name); /* it fits */
	(void)strcpy(place->path, real);
	place->name = place->path + real_length;
	return 0;
}

/* ---- attributes ---- */

static int read_attributes(const struct tar_entry *entry, struct file_attributes *ret_attributes,
			   struct error *e)
{
	/* For chown(2), the largest number of 32 bits means "unchanged". */
	if (entry->uid < 0 || entry->uid >= UINT32_MAX || entry->gid < 0 ||
	    entry->gid >= UINT32_MAX)
		return error_set(e, -EBADMSG,
				 "its owner %lld:%lld is not a user and group that Linux can have",
				 (long long)entry->uid, (long long)entry->gid);
	*ret_attributes = (struct file_attributes){
		.mode = entry->mode,
		.uid = (uid_t)entry->uid,
		.gid = (gid_t)entry->gid,
		.times = { entry->times[0], entry->times[1] },
	};
	return 0;
}

/* The kernel does not know the attribute, or not for this kind of file or with this value.
 * containerd leaves these out, too. */
static bool is_refusal(int code)
{
	return code == -EOPNOTSUPP || code == -EPERM || code == -EINVAL;
}

/* By descriptor, or by name in the directory where fd is negative. */
static int set_xattr(struct tar_extract *x, const struct tar_entry *entry, int fd,
		     const struct place *place, const struct tar_pax_record *record,
		     struct error *e)
{
	const char *name = record->key + strlen(TAR_XATTR_PREFIX);
	int code;

	switch (xattr_kind_of(name)) {
	case XATTR_OVERLAY: /* only the agent may set overlayfs' attributes */
		tar_notes_add(x->notes, entry->path, "attribute %.100s left out", name);
		return 0;
	case XATTR_FOREIGN:
		return 0;
	case XATTR_CONTENT:
		break;
	}
	code = fd >= 0 ? xattr_set(fd, name, record->value, record->length, e)
		       : xattr_set_at(place->parent, place->name, name, record->value,
				      record->length, e);
	if (!is_refusal(code))
		return code;
	tar_notes_add(x->notes, entry->path, "attribute %.100s left out: %s", name,
		      strerror(-code));
	return 0;
}

static int set_xattrs(struct tar_extract *x, const struct tar_entry *entry, int fd,
		      const struct place *place, struct error *e)
{
	for (size_t i = 0; i < entry->pax->count; i++) {
		const struct tar_pax_record *record = &entry->pax->records[i];
		int code;

		if (strncmp(record->key, TAR_XATTR_PREFIX, strlen(TAR_XATTR_PREFIX)) != 0)
			continue;
		code = set_xattr(x, entry, fd, place, record, e);
		if (code < 0)
			return code;
	}
	return 0;
}

static int set_by_descriptor(struct tar_extract *x, const struct tar_entry *entry, int fd,
			     struct file_attributes *a, struct error *e)
{
	int code = read_attributes(entry, a, e);

	if (code < 0)
		return code;
	code = file_attributes_set(fd, a, e);
	/* Changing the owner has removed the capabilities; the times stay. */
	return code < 0 ? code : set_xattrs(x, entry, fd, NULL, e);
}

static int set_by_name(struct tar_extract *x, const struct tar_entry *entry,
		       const struct place *place, bool is_symlink, struct error *e)
{
	struct file_attributes a;
	int code = read_attributes(entry, &a, e);

	if (code < 0)
		return code;
	code = file_attributes_set_at(place->parent, place->name, is_symlink, &a, e);
	return code < 0 ? code : set_xattrs(x, entry, -1, place, e);
}

/* ---- kinds of entries ---- */

/* Keeps a directory that is there already, and replaces other files. */
static int make_directory(const struct place *place, struct error *e)
{
	struct stat st;

	if (mkdirat(place->parent, place->name, 0755) == 0)
		return 0;
	if (errno != EEXIST || fstatat(place->parent, place->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return error_set(e, -errno, "make the directory: %s", strerror(errno));
	if (S_ISDIR(st.st_mode))
		return 0;
	if (unlinkat(place->parent, place->name, 0) < 0 ||
	    mkdirat(place->parent, place->name, 0755) < 0)
		return error_set(e, -errno, "replace what is there: %s", strerror(errno));
	return 0;
}

static int extract_directory(struct tar_extract *x, const struct tar_entry *entry,
			     const struct place *place, struct error *e)
{
	struct file_attributes a;
	int fd, code = 0;

	if (!place->name[0])
		x->root_seen = true;
	else
		code = make_directory(place, e);
	if (code < 0)
		return code;
	code = beneath_enter(x->directories, place->path, strlen(place->path), NULL, &fd, e);
	if (code < 0)
		return code;
	code = set_by_descriptor(x, entry, fd, &a, e);
	return code < 0 ? code : directory_times_add(x->times, place->path, a.times, e);
}

/* Tries again after removing the file in the way: a later entry replaces an earlier one. */
static int make(const struct place *place, int (*create)(const struct place *, void *), void *arg,
		const char *what, struct error *e)
{
	int code = create(place, arg);

	if (code == -EEXIST) {
		code = beneath_remove(place->parent, place->name, e);
		if (code < 0)
			return code;
		code = create(place, arg);
	}
	return code < 0 ? error_set(e, code, "make the %s: %s", what, strerror(-code)) : code;
}

static int create_file(const struct place *place, void *arg)
{
	int fd = openat(place->parent, place->name,
			O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	*(int *)arg = fd;
	return 0;
}

static int create_symlink(const struct place *place, void *arg)
{
	return symlinkat(arg, place->parent, place->name) < 0 ? -errno : 0;
}

static int create_node(const struct place *place, void *arg)
{
	const struct stat *st = arg;

	return mknodat(place->parent, place->name, st->st_mode, st->st_rdev) < 0 ? -errno : 0;
}

static mode_t node_mode(enum tar_type type)
{
	if (type == TAR_FIFO)
		return S_IFIFO;
	return type == TAR_CHARACTER ? S_IFCHR : S_IFBLK;
}

static int extract_node(struct tar_extract *x, const struct tar_entry *entry,
			const struct place *place, struct error *e)
{
	struct stat st = { .st_mode = node_mode(entry->type) | 0600, .st_rdev = entry->device };
	int code;

	if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0))
		return error_set(e, -EPERM, "a character device 0:0 is a whiteout to overlayfs");
	code = make(place, create_node, &st, "device", e);
	return code < 0 ? code : set_by_name(x, entry, place, false, e);
}

static int extract_symlink(struct tar_extract *x, const struct tar_entry *entry,
			   const struct place *place, struct error *e)
{
	int code;

	if (!*entry->target)
		return error_set(e, -EBADMSG, "the symbolic link has no target");
	if (strlen(entry->target) >= PATH_MAX)
		return error_set(e, -ENAMETOOLONG, "its target is longer than %d bytes",
				 PATH_MAX - 1);
	code = make(place, create_symlink, (void *)entry->target, "symbolic link", e);
	return code < 0 ? code : set_by_name(x, entry, place, true, e);
}

struct link_target {
	int parent;
	const char *name;
};

static int create_link(const struct place *place, void *arg)
{
	const struct link_target *target = arg;

	if (linkat(target->parent, target->name, place->parent, place->name, 0) < 0)
		return -errno;
	return 0;
}

/* Enters the target's directory, also through links of this layer. */
static int enter_target(struct tar_extract *x, const char *path, size_t length, int *ret_fd,
			struct error *e)
{
	char real[BENEATH_PATH_SIZE];
	/* A directory that was replaced meanwhile must not be used again. */
	int code = beneath_enter(x->targets, "", 0, NULL, ret_fd, e);

	return code < 0 ? code : resolve_inside(x->targets, path, length, NULL, real, ret_fd, e);
}

/* The target must be in this layer, because its entry is in the same archive. */
static int extract_link(struct tar_extract *x, const struct tar_entry *entry,
			const struct place *place, struct error *e)
{
	char path[BENEATH_PATH_SIZE], shown[BENEATH_SHOWN_SIZE];
	struct link_target target;
	struct stat st;
	const char *to = entry->target;
	int code = beneath_clean(to, path, e);

	if (code < 0)
		return error_context(e, "its target %s", beneath_show(to, shown));
	if (strcmp(path, place->path) == 0)
		return error_set(e, -EBADMSG, "it is a hard link to itself");
	code = enter_target(x, path, beneath_parent(path, &target.name), &target.parent, e);
	if (code == 0 && fstatat(target.parent, target.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		code = -errno;
	if (code < 0)
		return error_set(e, code, "its target %s is not in this layer: %s",
				 beneath_show(to, shown), strerror(-code));
	if (S_ISDIR(st.st_mode))
		return error_set(e, -EPERM, "its target %s is a directory",
				 beneath_show(to, shown));
	code = make(place, create_link, &target, "hard link", e);
	if (code < 0 || !x->as_containerd)
		return code;
	return set_by_name(x, entry, place, S_ISLNK(st.st_mode), e);
}

/* ---- the whole ---- */

static int extract_at(struct tar_extract *x, const struct tar_entry *entry,
		      const struct place *place, int *ret_fd, struct error *e)
{
	if (!place->name[0] && x->as_containerd)
		return 0;
	if (!place->name[0] && entry->type != TAR_DIRECTORY)
		return error_set(e, -EPERM, "the layer's root can be a directory only");
	switch (entry->type) {
	case TAR_FILE:
		return make(place, create_file, ret_fd, "file", e);
	case TAR_LINK:
		return extract_link(x, entry, place, e);
	case TAR_DIRECTORY:
		return extract_directory(x, entry, place, e);
	case TAR_SYMLINK:
		return extract_symlink(x, entry, place, e);
	case TAR_CHARACTER:
	case TAR_BLOCK_DEVICE:
	case TAR_FIFO:
		return extract_node(x, entry, place, e);
	}
	return error_set(e, -EOPNOTSUPP, "it is of an unknown kind");
}

/* The whiteout is made later (pending_whiteouts.h): path becomes the path to hide. */
static int extract_whiteout(struct tar_extract *x, struct place *place, const char *hidden,
			    struct error *e)
{
	/* It is a part of the whiteout's name, in the same buffer and behind it. */
	memmove((char *)place->name, hidden, strlen(hidden) + 1);
	return pending_whiteouts_add(x->whiteouts, place->path, e);
}

int tar_extract_entry(struct tar_extract *x, const struct tar_entry *entry, int *ret_fd,
		      struct error *e)
{
	const char *hidden = NULL;
	enum whiteout_kind kind;
	struct place place;
	int code, fd = -1;

	if (!*entry->path)
		return error_set(e, -EBADMSG, "it has no name");
	code = beneath_clean(entry->path, place.path, e);
	if (code < 0)
		return code;
	kind = whiteout_of(place.path, &hidden);
	if (kind == WHITEOUT_INVALID)
		return error_set(e, -EPERM, "invalid whiteout: it does not hide a name");
	if (kind == WHITEOUT_METADATA) {
		*ret_fd = fd;
		return 0;
	}
	code = enter_parent(x, &place, e);
	if (code < 0)
		return code;
	if (kind == WHITEOUT_OF_NAME)
		code = extract_whiteout(x, &place, place.name + strlen(WHITEOUT_PREFIX), e);
	else if (kind == WHITEOUT_OF_ALL)
		code = xattr_set(place.parent, OVERLAY_OPAQUE, "y", 1, e);
	else
		code = extract_at(x, entry, &place, &fd, e);
	if (code < 0)
		return code;
	*ret_fd = fd;
	return 0;
}

int tar_extract_finish_file(struct tar_extract *x, const struct tar_entry *entry, int fd,
			    struct error *e)
{
	struct file_attributes a;

	return set_by_descriptor(x, entry, fd, &a, e);
}

int tar_extract_end(struct tar_extract *x, struct error *e)
{
	int code = pending_whiteouts_make(x->whiteouts, x->directories, &x->parents.lowers, e);

	if (code < 0)
		return code;
	if (!x->root_seen && !x->as_containerd && x->parents.lowers.count > 0)
		code = implied_parent_dress(&x->parents, x->layer_fd, "", e);
	return code < 0 ? code : directory_times_set(x->times, x->directories, e);
}
