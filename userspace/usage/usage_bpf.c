// SPDX-License-Identifier: Apache-2.0
#include "usage/usage_bpf.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/clock.h"
#include "base/fail_point.h"
#include "usage/usage_changed.h"
#include "usage/usage_handle.h"
#include "usage/usage_layers.h"
#include "usage/usage_pins.h"
#include "usage/usage_upkeep.h"

/* ---- slots ---- */

static int find_device(int root_fd, uint32_t *ret_device, struct error *e)
{
	struct statfs fs;
	struct stat root;

	if (fstat(root_fd, &root) < 0 || fstatfs(root_fd, &fs) < 0)
		return error_set(e, -errno, "stat the root of a mount: %s", strerror(errno));
	/* Only directories of an overlay always show the device number of their superblock. */
	if (fs.f_type != OVERLAYFS_SUPER_MAGIC || !S_ISDIR(root.st_mode))
		return error_set(e, -EINVAL, "what is to be counted is not the root of an overlay");
	*ret_device = (uint32_t)(major(root.st_dev) << 20 | minor(root.st_dev));
	return 0;
}

static int find_identity(int identity_fd, struct usage_slot *slot, struct error *e)
{
	struct statfs fs;
	struct stat root;
	int code = usage_layers_identify(identity_fd, &slot->identity, e);

	if (fstatfs(identity_fd, &fs) == 0 && fs.f_type == BTRFS_SUPER_MAGIC)
		slot->flags |= USAGE_SLOT_SUBVOLUMES;
	if (code != -ENOTSUP)
		return code;
	if (fstat(identity_fd, &root) < 0)
		return error_set(e, -errno, "stat the root of a layer: %s", strerror(errno));
	slot->identity.inode = root.st_ino;
	slot->identity.device = (uint32_t)(major(root.st_dev) << 20 | minor(root.st_dev));
	slot->flags |= USAGE_SLOT_WITHOUT_GENERATION;
	return 0;
}

/* Empties the mount's slot, unless its device number belongs to another mount by now. */
static void retire_mount(struct usage_bpf *u, struct usage_mount *mount)
{
	struct usage_slot slot, none = { 0 };

	if (!mount->registered)
		return;
	mount->registered = false;
	if (bpf_map_lookup_elem(u->maps.mount_by_minor, &mount->device, &slot) == 0 &&
	    slot.mount_id == mount->id)
		(void)bpf_map_update_elem(u->maps.mount_by_minor, &mount->device, &none, BPF_ANY);
}

static void retire_device(struct usage_bpf *u, uint32_t device, uint64_t except_id)
{
	for (size_t i = 0; i < u->mount_count; i++)
		if (u->mounts[i].registered && u->mounts[i].device == device &&
		    u->mounts[i].id != except_id)
			retire_mount(u, &u->mounts[i]);
}

static int write_slot(struct usage_bpf *u, struct usage_mount *mount, struct usage_slot *slot,
		      struct error *e)
{
	slot->mount_id = mount->id;
	slot->layer_count = mount->layer_count;
	if (bpf_map_update_elem(u->maps.mount_by_minor, &mount->device, slot, BPF_ANY) == 0) {
		mount->registered = true;
		usage_layers_end_verdicts(u);
		return 0;
	}
	if (errno != E2BIG)
		return error_set(e, -errno, "register mount %" PRIu64 ": %s", mount->id,
				 strerror(errno));
	return error_set(e, -ENOSPC,
			 "device number %" PRIu32 " is too large to be registered; what is read "
			 "through the mount is counted for its layers only",
			 mount->device);
}

/* ---- what an earlier agent left ---- */

/* A mount that has counted, or a slot, by its id; the layer is one of its. */
static int adopt_mount(struct usage_bpf *u, uint64_t id, uint32_t layer,
		       struct usage_mount **ret_mount)
{
	struct usage_mount *mount = usage_handle_find_mount(u, id);

	if (!mount)
		mount = usage_handle_add_mount(u, id);
	if (!mount)
		return -ENOMEM;
	if (mount->layer_count <= layer)
		mount->layer_count = layer + 1;
	*ret_mount = mount;
	return 0;
}

static int adopt_cell(const struct usage_cell_key *key, const struct usage_counts *counts,
		      void *user)
{
	struct usage_mount *mount;

	(void)counts;
	return key->owner & USAGE_LAYER_OWNER
		       ? 0
		       : adopt_mount(user, key->owner, key->layer & ~USAGE_UPKEEP, &mount);
}

static int adopt_slots(struct usage_bpf *u)
{
	cleanup(free_ptr) struct usage_slot *slots = calloc(u->maps.slot_count, sizeof(*slots));
	cleanup(free_ptr) uint32_t *devices = calloc(u->maps.slot_count, sizeof(*devices));
	uint32_t position = 0, count = u->maps.slot_count;
	int code = 0;

	if (!slots || !devices)
		return -ENOMEM;
	if (bpf_map_lookup_batch(u->maps.mount_by_minor, NULL, &position, devices, slots, &count,
				 NULL) < 0 &&
	    errno != ENOENT)
		return -errno;
	for (uint32_t i = 0; i < count && code == 0; i++) {
		struct usage_mount *mount;

		if (!slots[i].mount_id)
			continue;
		code = adopt_mount(u, slots[i].mount_id, slots[i].layer_count - 1, &mount);
		if (code == 0) {
			mount->device = devices[i];
			mount->registered = true;
		}
	}
	return code;
}

static int map_verdicts(struct usage_bpf *u, struct error *e)
{
	void *verdicts = mmap(NULL, sizeof(*u->verdicts), PROT_READ | PROT_WRITE, MAP_SHARED,
			      u->maps.verdicts, 0);

	if (verdicts == MAP_FAILED)
		return error_set(e, -errno, "map the verdicts on mounts: %s", strerror(errno));
	u->verdicts = verdicts;
	return 0;
}

static int map_filter(struct usage_bpf *u, struct error *e)
{
	void *filter = mmap(NULL, sizeof(*u->mapped_filter), PROT_READ | PROT_WRITE, MAP_SHARED,
			    u->maps.mapped_filter, 0);

	if (filter == MAP_FAILED)
		return error_set(e, -errno, "map the filter of mapped files: %s", strerror(errno));
	u->mapped_filter = filter;
	return 0;
}

static int adopt_state(struct usage_bpf *u, struct error *e)
{
	int cpus = libbpf_num_possible_cpus();
	int code = map_verdicts(u, e);

	if (code == 0)
		code = map_filter(u, e);
	if (code == 0)
		code = usage_changed_open(u->maps.touched_owners, &u->changed, e);
	if (code < 0)
		return code;
	u->cpu_count = cpus > 0 ? (uint32_t)cpus : 1;
	u->part_count = u->cpu_count < USAGE_MAX_PARTS ? u->cpu_count : USAGE_MAX_PARTS;
	code = usage_handle_walk_cells(u, adopt_cell, u, e);
	if (code < 0)
		return code;
	code = adopt_slots(u);
	if (code == 0)
		code = usage_layers_adopt(u);
	return code < 0 ? error_set(e, code, "read the pinned counters: %s", strerror(-code))
			: usage_upkeep_changed(u, e);
}

/* ---- the handle ---- */

/* 0 when a backend counts, or none can. */
static int choose_backend(struct usage_bpf *u, const struct usage_bpf_options *options,
			  struct error *e)
{
	static const enum usage_backend preference[] = { USAGE_BACKEND_OVERLAY,
							 USAGE_BACKEND_SYSCALL };

	for (size_t i = 0; i < ARRAY_SIZE(preference); i++) {
		enum usage_backend backend = preference[i];
		struct error *why = &u->refusals[backend];
		int code;

		if (options->forced && options->wanted != backend) {
			(void)error_set(why, -ECANCELED, "not tried: %s was asked for",
					usage_backend_name(options->wanted));
			continue;
		}
		code = usage_attach(options, backend, &u->maps, why);
		if (code == 0) {
			*why = (struct error){ 0 }; /* of an attempt that came before */
			u->backend = backend;
			return 0;
		}
		if (code == -ENOMEM)
			return error_set(e, code, "%s", why->text);
	}
	return 0;
}

int usage_bpf_open(const struct usage_bpf_options *options, struct usage_bpf **ret_usage,
		   struct error *e)
{
	cleanup(usage_bpf_close) struct usage_bpf *u = calloc(1, sizeof(*u));
	int code;

	if (!u)
		return error_set(e, -ENOMEM, "out of memory");
	(void)pthread_mutex_init(&u->lock, NULL); /* cannot fail without attributes */
	(void)pthread_mutex_init(&u->files_lock, NULL);
	u->maps = (struct usage_maps){ -1, -1, -1, -1, -1, -1, -1, -1, -1,   -1,
				       -1, -1, -1, -1, -1, -1, -1, 0,  false };
	u->max_files = options->max_files;
	u->pin_dir = strdup(options->pin_dir);
	if (!u->pin_dir)
		return error_set(e, -ENOMEM, "out of memory");
	u->is_new = access(options->pin_dir, F_OK) < 0;
	code = choose_backend(u, options, e);
	if (u->is_new && u->backend == USAGE_BACKEND_NONE)
		(void)usage_pins_remove(options->pin_dir, NULL); /* an empty folder, if any */
	if (code == 0 && u->backend != USAGE_BACKEND_NONE)
		code = adopt_state(u, e);
	if (code < 0)
		return code;
	/* Their programs only cost time by now; what cannot be removed is tried again at the next
	 * start. */
	if (u->backend != USAGE_BACKEND_NONE)
		(void)usage_pins_remove_older(options->pin_dir, NULL);
	*ret_usage = take_ptr(u);
	return 0;
}

void usage_bpf_close(struct usage_bpf *u)
{
	if (!u)
		return;
	ring_buffer__free(u->file_events);
	if (u->verdicts)
		(void)munmap(u->verdicts, sizeof(*u->verdicts)); /* cannot fail */
	if (u->mapped_filter)
		(void)munmap(u->mapped_filter, sizeof(*u->mapped_filter)); /* likewise */
	usage_changed_close(u->changed);
	usage_attach_close(&u->maps);
	free((char *)u->pin_dir);
	(void)pthread_mutex_destroy(&u->files_lock);
	(void)pthread_mutex_destroy(&u->lock);
	free(u->mounts);
	free(u->owners);
	free(u);
}

int usage_bpf_unpin(const char *pin_dir, struct error *e)
{
	return usage_pins_remove(pin_dir, e);
}

bool usage_bpf_is_new(const struct usage_bpf *u)
{
	return u->is_new && u->backend != USAGE_BACKEND_NONE;
}

enum usage_backend usage_bpf_backend(const struct usage_bpf *u)
{
	return u->backend;
}

const char *usage_bpf_refusal(const struct usage_bpf *u, enum usage_backend backend)
{
	return u->refusals[backend].code ? u->refusals[backend].text : NULL;
}

/* ---- mounts come and go ---- */

/* The mount under this id, new or retired. */
static int find_or_add(struct usage_bpf *u, uint64_t id, uint32_t layer_count,
		       struct usage_mount **ret_mount, struct error *e)
{
	struct usage_mount *mount = usage_handle_find_mount(u, id);

	if (mount && mount->layer_count > layer_count)
		return error_set(e, -EEXIST,
				 "mount id %" PRIu64 " is in use for a mount of %" PRIu32 " layers",
				 id, mount->layer_count);
	if (!mount)
		mount = usage_handle_add_mount(u, id);
	if (!mount)
		return error_set(e, -ENOMEM, "out of memory");
	mount->layer_count = layer_count;
	*ret_mount = mount;
	return 0;
}

static int register_mount(struct usage_bpf *u, uint64_t id, uint32_t device,
			  struct usage_slot *slot, uint32_t layer_count, struct error *e)
{
	struct usage_mount *mount = NULL;
	int code = find_or_add(u, id, layer_count, &mount, e);

	if (code < 0)
		return code;
	retire_device(u, device, id);
	if (mount->registered && mount->device != device)
		retire_mount(u, mount);
	mount->device = device;
	fail_point("accounting.cells");
	return write_slot(u, mount, slot, e);
}

int usage_bpf_register(struct usage_bpf *u, uint64_t mount_id, int root_fd, int identity_fd,
		       bool writable, uint32_t layer_count, struct error *e)
{
	struct usage_slot slot = { .flags = writable ? USAGE_SLOT_WRITABLE : 0 };
	uint32_t device;
	int code;

	if (u->backend == USAGE_BACKEND_NONE)
		return 0;
	if (mount_id == 0 || layer_count < 2 || layer_count > USAGE_LAYERS_MAX)
		return error_set(e, -EINVAL, "mount id %" PRIu64 " with %" PRIu32 " layers",
				 mount_id, layer_count);
	code = find_device(root_fd, &device, e);
	if (code == 0)
		code = find_identity(identity_fd, &slot, e);
	if (code < 0)
		return code;
	(void)pthread_mutex_lock(&u->lock);
	code = register_mount(u, mount_id, device, &slot, layer_count, e);
	(void)pthread_mutex_unlock(&u->lock);
	return code;
}

bool usage_bpf_is_registered(struct usage_bpf *u, uint64_t mount_id, int root_fd)
{
	struct usage_slot slot;
	uint32_t device;

	return u->backend != USAGE_BACKEND_NONE && find_device(root_fd, &device, NULL) == 0 &&
	       bpf_map_lookup_elem(u->maps.mount_by_minor, &device, &slot) == 0 &&
	       slot.mount_id == mount_id;
}

bool usage_bpf_device(struct usage_bpf *u, uint64_t mount_id, dev_t *ret_device)
{
	const struct usage_mount *mount;
	bool known;

	(void)pthread_mutex_lock(&u->lock);
	mount = usage_handle_find_mount(u, mount_id);
	known = mount && mount->registered;
	if (known)
		*ret_device = makedev(mount->device >> 20, mount->device & 0xfffff);
	(void)pthread_mutex_unlock(&u->lock);
	return known;
}

void usage_bpf_retire(struct usage_bpf *u, uint64_t mount_id)
{
	struct usage_mount *mount;

	(void)pthread_mutex_lock(&u->lock);
	mount = usage_handle_find_mount(u, mount_id);
	if (mount)
		retire_mount(u, mount);
	(void)pthread_mutex_unlock(&u->lock);
}

void usage_bpf_forget(struct usage_bpf *u, uint64_t mount_id)
{
	struct usage_mount *mount;

	(void)pthread_mutex_lock(&u->lock);
	mount = usage_handle_find_mount(u, mount_id);
	if (mount) {
		retire_mount(u, mount);
		fail_point("accounting.slot-gone");
		usage_handle_delete_cells(u, mount);
		usage_handle_remove_mount(u, mount);
	}
	(void)pthread_mutex_unlock(&u->lock);
}
