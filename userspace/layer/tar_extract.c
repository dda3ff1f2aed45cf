/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/tar_extract.h"

#include <archive.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "layer/beneath.h"
#include "layer/file_attributes.h"
#include "layer/implied_parent.h"
#include "layer/whiteout.h"

struct tar_extract {
	struct beneath *directories;
	struct directory_times *times;
	struct implied_parent parents;
	int layer_fd;
	bool root_seen;
};

/* Where the entry at hand goes. */
struct place {
	int parent;
	const char *name; /* the last component of path */
	char path[BENEATH_PATH_SIZE];
};

int tar_extract_new(int layer_fd, const int *lower_fds, size_t lower_count,
		    struct tar_extract **ret_extract, struct error *e)
{
	cleanup(tar_extract_free) struct tar_extract *x = calloc(1, sizeof(*x));
	int r;

	if (x)
		x->directories = beneath_new(layer_fd);
	if (!x || !x->directories)
		return error_set(e, -ENOMEM, "out of memory");
	x->layer_fd = layer_fd;
	r = directory_times_new(layer_fd, &x->times, e);
	if (r < 0)
		return r;
	x->parents = (struct implied_parent){ lower_fds, lower_count, x->times };
	*ret_extract = take_ptr(x);
	return 0;
}

void tar_extract_free(struct tar_extract *x)
{
	if (!x)
		return;
	beneath_free(x->directories);
	directory_times_free(x->times);
	free(x);
}

static int enter(struct tar_extract *x, const char *path, size_t length, int *ret_fd,
		 struct error *e)
{
	const struct beneath_missing missing = { implied_parent_make, &x->parents };

	return beneath_enter(x->directories, path, length, &missing, ret_fd, e);
}

/* ---- attributes ---- */

/* libarchive reads "-1.25" as -1 s + 0.25 s (and "-0.25" as 0.25: that one is lost). */
static struct timespec time_of(time_t seconds, long ns)
{
	if (seconds < 0 && ns > 0)
		return (struct timespec){ seconds - 1, 1000000000 - ns };
	return (struct timespec){ seconds, ns };
}

static int read_attributes(struct archive_entry *entry, struct file_attributes *ret_attributes,
			   struct error *e)
{
	int64_t uid = archive_entry_uid(entry), gid = archive_entry_gid(entry);
	struct file_attributes a = {
		.mode = archive_entry_perm(entry) & 07777,
		.uid = (uid_t)uid,
		.gid = (gid_t)gid,
	};

	/* The last number of 32 bits means "leave it" to chown. */
	if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
		return error_set(e, -EBADMSG, "its owner %lld:%lld is no user and group of Linux",
				 (long long)uid, (long long)gid);
	a.times[1] = time_of(archive_entry_mtime(entry), archive_entry_mtime_nsec(entry));
	a.times[0] = a.times[1];
	if (archive_entry_atime_is_set(entry))
		a.times[0] = time_of(archive_entry_atime(entry), archive_entry_atime_nsec(entry));
	*ret_attributes = a;
	return 0;
}

/* By descriptor, or by name in the directory where fd is negative. */
static int set_xattrs(struct archive_entry *entry, int fd, const struct place *place,
		      struct error *e)
{
	const char *name;
	const void *value;
	size_t size;
	int r = 0;

	(void)archive_entry_xattr_reset(entry); /* their number */
	while (r == 0 && archive_entry_xattr_next(entry, &name, &value, &size) == ARCHIVE_OK) {
		switch (xattr_kind_of(name)) {
		case XATTR_OVERLAY:
			return error_set(e, -EPERM, "it has overlayfs' own attribute %.100s", name);
		case XATTR_FOREIGN:
			break;
		case XATTR_CONTENT:
			r = fd >= 0 ? xattr_set(fd, name, value, size, e)
				    : xattr_set_at(place->parent, place->name, name, value, size,
						   e);
		}
	}
	return r;
}

static int set_by_descriptor(struct archive_entry *entry, int fd, struct file_attributes *a,
			     struct error *e)
{
	int r = read_attributes(entry, a, e);

	if (r == 0)
		r = file_attributes_set(fd, a, e);
	if (r == 0 && archive_entry_xattr_count(entry) > 0)
		/* Changing the owner took the capabilities away; times are not touched. */
		r = set_xattrs(entry, fd, NULL, e);
	return r;
}

static int set_by_name(struct archive_entry *entry, const struct place *place, struct error *e)
{
	bool is_link = archive_entry_filetype(entry) == AE_IFLNK;
	struct file_attributes a;
	int r = read_attributes(entry, &a, e);

	if (r == 0)
		r = file_attributes_set_at(place->parent, place->name, is_link, &a, e);
	if (r == 0 && archive_entry_xattr_count(entry) > 0)
		r = set_xattrs(entry, -1, place, e);
	return r;
}

/* ---- kinds of entries ---- */

static int extract_directory(struct tar_extract *x, struct archive_entry *entry,
			     const struct place *place, struct error *e)
{
	struct file_attributes a;
	struct stat st;
	int fd, r = 0;

	if (!place->name[0])
		x->root_seen = true;
	else if (mkdirat(place->parent, place->name, 0755) < 0) {
		if (errno != EEXIST ||
		    fstatat(place->parent, place->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			return error_set(e, -errno, "make the directory: %s", strerror(errno));
		if (S_ISCHR(st.st_mode)) /* 0:0: other devices cannot come from an entry */
			r = implied_parent_replace_whiteout(place->parent, place->name, e);
		else if (!S_ISDIR(st.st_mode) && (unlinkat(place->parent, place->name, 0) < 0 ||
						  mkdirat(place->parent, place->name, 0755) < 0))
			r = error_set(e, -errno, "replace what is there: %s", strerror(errno));
	}
	if (r == 0)
		r = enter(x, place->path, strlen(place->path), &fd, e);
	if (r == 0)
		r = set_by_descriptor(entry, fd, &a, e);
	return r < 0 ? r : directory_times_add(x->times, place->path, a.times, e);
}

/* Tries again after removing what is in the way; a later entry takes an earlier one's place. */
static int make(const struct place *place, int (*create)(const struct place *, void *), void *arg,
		const char *what, struct error *e)
{
	int r = create(place, arg);

	if (r == -EEXIST) {
		r = beneath_remove(place->parent, place->name, e);
		if (r < 0)
			return r;
		r = create(place, arg);
	}
	return r < 0 ? error_set(e, r, "make the %s: %s", what, strerror(-r)) : r;
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

static int extract_node(struct archive_entry *entry, const struct place *place, struct error *e)
{
	struct stat st = { .st_mode = archive_entry_filetype(entry) | 0600 };
	int r;

	if (!S_ISFIFO(st.st_mode))
		st.st_rdev = archive_entry_rdev(entry);
	if (S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0))
		return error_set(e, -EPERM, "a character device 0:0 is a whiteout to overlayfs");
	r = make(place, create_node, &st, "device", e);
	return r < 0 ? r : set_by_name(entry, place, e);
}

static int extract_symlink(struct archive_entry *entry, const struct place *place, struct error *e)
{
	const char *target = archive_entry_symlink(entry);
	int r;

	if (!target || !*target)
		return error_set(e, -EBADMSG, "the symbolic link says nothing");
	if (strlen(target) >= PATH_MAX)
		return error_set(e, -ENAMETOOLONG, "its target is longer than %d bytes",
				 PATH_MAX - 1);
	r = make(place, create_symlink, (void *)target, "symbolic link", e);
	return r < 0 ? r : set_by_name(entry, place, e);
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

/* The target must be in this layer: that is where the entry of the file is. */
static int extract_link(struct tar_extract *x, const char *to, const struct place *place,
			struct error *e)
{
	char path[BENEATH_PATH_SIZE], shown[BENEATH_SHOWN_SIZE];
	struct link_target target;
	cleanup(close_fd) int parent = -EBADF;
	struct stat st;
	size_t length;
	int r = beneath_clean(to, path, e);

	if (r < 0)
		return error_context(e, "its target %s", beneath_show(to, shown));
	if (strcmp(path, place->path) == 0)
		return error_set(e, -EBADMSG, "it is a hard link to itself");
	length = beneath_parent(path, &target.name);
	parent = beneath_open(x->layer_fd, path, length);
	target.parent = parent;
	if (parent < 0 || fstatat(parent, target.name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		int code = parent < 0 ? parent : -errno;

		if (code == -ELOOP || code == -EXDEV)
			return error_set(e, -EPERM,
					 "its target %s is behind a symbolic link, and these are "
					 "not followed",
					 beneath_show(to, shown));
		return error_set(e, code, "its target %s is not in this layer: %s",
				 beneath_show(to, shown), strerror(-code));
	}
	if (S_ISDIR(st.st_mode) || (S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0)))
		return error_set(e, -EPERM, "its target %s is a %s", beneath_show(to, shown),
				 S_ISDIR(st.st_mode) ? "directory" : "whiteout");
	return make(place, create_link, &target, "hard link", e);
}

/* ---- whiteouts ---- */

/* A whiteout is about lower layers: what this one has at the name stays, and a directory then
 * shows nothing of theirs. */
static int extract_whiteout(const struct place *place, const char *hidden, struct error *e)
{
	cleanup(close_fd) int fd = -EBADF;

	if (mknodat(place->parent, hidden, S_IFCHR, makedev(0, 0)) == 0)
		return 0;
	if (errno != EEXIST)
		return error_set(e, -errno, "make the whiteout: %s", strerror(errno));
	fd = openat(place->parent, hidden, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? 0 : xattr_set(fd, OVERLAY_OPAQUE, "y", 1, e);
}

/* ---- the whole ---- */

static int extract_at(struct tar_extract *x, struct archive_entry *entry, const struct place *place,
		      int *ret_fd, struct error *e)
{
	const char *link = archive_entry_hardlink(entry);
	mode_t type = archive_entry_filetype(entry);

	if (!place->name[0] && (link || type != AE_IFDIR))
		return error_set(e, -EPERM, "the layer's root can be a directory only");
	if (link)
		return extract_link(x, link, place, e);
	switch (type) {
	case AE_IFREG:
		return make(place, create_file, ret_fd, "file", e);
	case AE_IFDIR:
		return extract_directory(x, entry, place, e);
	case AE_IFLNK:
		return extract_symlink(entry, place, e);
	case AE_IFCHR:
	case AE_IFBLK:
	case AE_IFIFO:
		return extract_node(entry, place, e);
	default:
		return error_set(e, -EOPNOTSUPP, "it is of a kind that is not known");
	}
}

static int extract_kind(struct tar_extract *x, struct archive_entry *entry, enum whiteout_kind kind,
			const char *hidden, struct place *place, int *ret_fd, struct error *e)
{
	int r = enter(x, place->path, beneath_parent(place->path, &place->name), &place->parent, e);

	if (r < 0)
		return r;
	if (kind == WHITEOUT_OF_NAME)
		return extract_whiteout(place, hidden, e);
	if (kind == WHITEOUT_OF_ALL)
		return xattr_set(place->parent, OVERLAY_OPAQUE, "y", 1, e);
	return extract_at(x, entry, place, ret_fd, e);
}

int tar_extract_entry(struct tar_extract *x, struct archive_entry *entry, int *ret_fd,
		      struct error *e)
{
	const char *path = archive_entry_pathname(entry), *hidden = NULL;
	enum whiteout_kind kind;
	struct place place;
	int fd = -1, r;

	if (!path)
		return error_set(e, -EBADMSG, "it has no name");
	r = beneath_clean(path, place.path, e);
	if (r < 0)
		return r;
	kind = whiteout_of(place.path, &hidden);
	if (kind == WHITEOUT_INVALID)
		return error_set(e, -EPERM, "it is a whiteout of nothing that can be");
	if (kind != WHITEOUT_METADATA)
		r = extract_kind(x, entry, kind, hidden, &place, &fd, e);
	if (r == 0)
		*ret_fd = fd;
	return r;
}

int tar_extract_finish_file(struct archive_entry *entry, int fd, struct error *e)
{
	struct file_attributes a;

	return set_by_descriptor(entry, fd, &a, e);
}

int tar_extract_end(struct tar_extract *x, struct error *e)
{
	int r = 0;

	if (!x->root_seen && x->parents.lower_count > 0)
		r = implied_parent_dress(&x->parents, x->layer_fd, "", e);
	return r < 0 ? r : directory_times_set(x->times, x->directories, e);
}
