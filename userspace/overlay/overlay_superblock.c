// SPDX-License-Identifier: Apache-2.0
#include "overlay/overlay_superblock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/strbuf.h"
#include "overlay/mount_holders.h"
#include "overlay/mount_namespaces.h"
#include "overlay/mount_point.h"

int overlay_superblock_device(int parent, const char *name, dev_t *ret_device, struct error *e)
{
	struct stat s;
	uint64_t id;
	int code = mount_point_find(parent, name, &id, e);

	if (code < 0)
		return code;
	if (fstatat(parent, name, &s, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0)
		return error_set(e, -errno, "the mount point '%s': %s", name, strerror(errno));
	*ret_device = s.st_dev;
	return 0;
}

static int reconfigure(int parent, const char *name, bool read_only)
{
	cleanup(close_fd) int context = fspick(
		parent, name, FSPICK_CLOEXEC | FSPICK_SYMLINK_NOFOLLOW | FSPICK_NO_AUTOMOUNT);

	if (context < 0 ||
	    fsconfig(context, FSCONFIG_SET_FLAG, read_only ? "ro" : "rw", NULL, 0) < 0 ||
	    fsconfig(context, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0) < 0)
		return -errno;
	return 0;
}

int overlay_superblock_set_read_only(int parent, const char *name, bool read_only, struct error *e)
{
	char text[NAME_MAX + 16];
	dev_t device;
	int code = overlay_superblock_device(parent, name, &device, e);

	if (code < 0)
		return code;
	code = reconfigure(parent, name, read_only);
	if (code == 0)
		return 0;
	(void)snprintf(text, sizeof(text), "'%s'", name);
	if (code == -EBUSY)
		return overlay_superblock_refuse_busy(text, device, e);
	return error_set(e, code, "make the file system on '%s' %s: %s", name,
			 read_only ? "read-only" : "writable", strerror(-code));
}

#ifdef SYS_ustat
/* The kernel's old 32-bit form of a device number, which ustat(2) takes. */
static unsigned int old_device(dev_t device)
{
	return (minor(device) & 0xff) | (major(device) & 0xfff) << 8 |
	       (minor(device) & ~0xffU) << 12;
}
#endif

bool overlay_superblock_exists(dev_t device)
{
#ifdef SYS_ustat
	char unused[64]; /* struct ustat is in no header of glibc any more */

	/* The one call that looks for a superblock and not for a mount. */
	if (syscall(SYS_ustat, old_device(device), unused) == 0)
		return true;
	if (errno == EINVAL)
		return false;
#endif
	/* Without the call: as far as /proc shows. */
	cleanup(strbuf_free) struct strbuf names = { 0 };
	return mount_holders_find_device(device, &names) > 0;
}

/* ---- by layer ---- */

struct layer_search {
	dev_t device;
	char path[PATH_MAX], relative[64]; /* as the two ways to mount name the layer */
	const char *name;
	struct overlay_superblock_facts facts;
};

/* Whether the place in the options belongs to one that names layers: "on" may be a layer's name,
 * too. */
static bool names_layers(const char *options, const char *at)
{
	while (at > options && at[-1] != ',')
		at--;
	return strncmp(at, "lowerdir", strlen("lowerdir")) == 0 ||
	       strncmp(at, "upperdir", strlen("upperdir")) == 0;
}

/* Whether the path is one of those in the options: what is around it is what options put there. */
static bool has_path(const char *options, const char *path)
{
	size_t length = strlen(path);

	for (const char *at = strstr(options, path); at; at = strstr(at + 1, path))
		if (at > options && (at[-1] == '=' || at[-1] == ':') &&
		    (at[length] == ',' || at[length] == ':' || at[length] == '\0') &&
		    names_layers(options, at))
			return true;
	return false;
}

static bool look_at_mount(const struct namespace_mount *m, void *user)
{
	struct layer_search *s = user;
	bool is_overlay = strcmp(m->file_system, "overlay") == 0;
	bool by_path = is_overlay && has_path(m->options, s->path);
	bool by_name = is_overlay && !by_path &&
		       (has_path(m->options, s->relative) || has_path(m->options, s->name));

	if (s->device && m->device != s->device)
		return false;
	if (!by_path && !by_name) {
		s->facts.is_another = s->device != 0;
		return s->facts.is_another;
	}
	s->facts.device = m->device;
	/* Names relative to a store may be those of another store: only the device can tell. */
	s->facts.is_guess = by_name && !s->device;
	if (s->facts.is_guess)
		return false; /* a better one may follow */
	s->facts.read_only = strncmp(m->options, "ro", 2) == 0 &&
			     (m->options[2] == ',' || m->options[2] == '\0');
	return true;
}

struct overlay_superblock_facts overlay_superblock_find(dev_t device, const char *store,
							const char *layer)
{
	struct layer_search s = { .device = device, .name = layer };

	(void)snprintf(s.path, sizeof(s.path), "%s/layers/%s/fs", store, layer);
	(void)snprintf(s.relative, sizeof(s.relative), "../layers/%s/fs", layer);
	(void)mount_namespaces_visit_all(look_at_mount, &s);
	return s.facts;
}

int overlay_superblock_refuse_busy(const char *text, dev_t device, struct error *e)
{
	cleanup(strbuf_free) struct strbuf names = { 0 };

	if (mount_holders_find_device(device, &names) == 0 || strbuf_failed(&names))
		return error_set(e, -EBUSY,
				 "%s is in use, though by no process in /proc: the kernel itself "
				 "may hold it (loop device, swap, io_uring)",
				 text);
	return error_set(e, -EBUSY, "%s is in use by %s", text, names.text);
}
