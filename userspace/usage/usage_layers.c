// SPDX-License-Identifier: Apache-2.0
#include "usage/usage_layers.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>

#include "base/clock.h"
#include "base/cleanup.h"
#include "usage/usage_handle.h"

#define PER_BATCH 1024
#define SWEEP_EVERY_NS (600 * NS_PER_S)
/* The filter is made anew when it has more bits of former roots than this, and than of present. */
#define STALE_BITS_MIN 4096

/* ---- identity ---- */

/* tmpfs has no ioctl for it; its handle is the generation and the number. */
static int find_generation_by_handle(int fd, struct usage_root *root)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} u = { .handle = { .handle_bytes = MAX_HANDLE_SZ } };
	struct statfs fs;
	uint32_t words[3];
	int mount_id;

	if (fstatfs(fd, &fs) < 0)
		return -errno;
	if (fs.f_type != TMPFS_MAGIC)
		return -ENOTSUP;
	if (name_to_handle_at(fd, "", &u.handle, &mount_id, AT_EMPTY_PATH) < 0)
		return -errno;
	if (u.handle.handle_bytes != sizeof(words))
		return -ENOTSUP;
	memcpy(words, u.handle.f_handle, sizeof(words));
	if ((words[1] | (uint64_t)words[2] << 32) != root->inode)
		return -ENOTSUP;
	root->generation = words[0];
	return 0;
}

static int find_generation(int fd, struct usage_root *root)
{
	long generation = 0; /* the kernel writes an int, whatever the number of the ioctl says */

	if (ioctl(fd, FS_IOC_GETVERSION, &generation) == 0) {
		root->generation = (uint32_t)generation;
		return 0;
	}
	return errno == ENOTTY || errno == EOPNOTSUPP ? find_generation_by_handle(fd, root)
						      : -errno;
}

int usage_layers_identify(int fd, struct usage_root *ret_root, struct error *e)
{
	struct usage_root root = { 0 };
	struct stat st;
	int code;

	if (fstat(fd, &st) < 0)
		return error_set(e, -errno, "stat the root of a layer: %s", strerror(errno));
	root.inode = st.st_ino;
	root.device = (uint32_t)(major(st.st_dev) << 20 | minor(st.st_dev));
	code = find_generation(fd, &root);
	if (code == -ENOTSUP)
		return error_set(e, code,
				 "the file system of the layers does not tell the generation of "
				 "inodes, by which a layer is known");
	if (code < 0)
		return error_set(e, code, "the generation of a layer's root: %s", strerror(-code));
	*ret_root = root;
	return 0;
}

/* ---- the filter ---- */

static int set_bit(struct usage_bpf *u, const struct usage_root *root)
{
	uint64_t bit = USAGE_FILTER_BIT(root), bits;
	uint32_t word = (uint32_t)(bit >> 6);

	if (bpf_map_lookup_elem(u->maps.root_filter, &word, &bits) < 0)
		return -errno;
	if (bits & UINT64_C(1) << (bit & 63))
		return 0;
	bits |= UINT64_C(1) << (bit & 63);
	return bpf_map_update_elem(u->maps.root_filter, &word, &bits, BPF_ANY) < 0 ? -errno : 0;
}

static int add_to_filter(const struct usage_root *root, const char *name, uint64_t owner,
			 void *user)
{
	uint64_t *words = user, bit = USAGE_FILTER_BIT(root);

	(void)name;
	(void)owner;
	words[bit >> 6] |= UINT64_C(1) << (bit & 63);
	return 0;
}

static int walk_layers(struct usage_bpf *u,
		       int (*visit)(const struct usage_root *root, const char *name, uint64_t owner,
				    void *user),
		       void *user, struct error *e);

/* All words at once: one call for each would be half of all that the agent makes when it starts. */
static int read_filter(struct usage_bpf *u, uint64_t *words)
{
	cleanup(free_ptr) uint32_t *places = calloc(USAGE_FILTER_WORDS, sizeof(*places));
	uint32_t position, count = USAGE_FILTER_WORDS;

	if (!places)
		return -ENOMEM;
	if (bpf_map_lookup_batch(u->maps.root_filter, NULL, &position, places, words, &count,
				 NULL) < 0 &&
	    errno != ENOENT)
		return -errno;
	return count == USAGE_FILTER_WORDS ? 0 : -EIO;
}

/* With the lock, or before there is another thread. A bit that a layer needs is never missing. */
static int rebuild_filter(struct usage_bpf *u)
{
	cleanup(free_ptr) uint64_t *words = calloc(USAGE_FILTER_WORDS, sizeof(*words));
	cleanup(free_ptr) uint64_t *present = calloc(USAGE_FILTER_WORDS, sizeof(*present));
	int code = words && present ? walk_layers(u, add_to_filter, words, NULL) : -ENOMEM;

	if (code == 0)
		code = read_filter(u, present);
	for (uint32_t i = 0; code == 0 && i < USAGE_FILTER_WORDS; i++)
		if (present[i] != words[i] &&
		    bpf_map_update_elem(u->maps.root_filter, &i, &words[i], BPF_ANY) < 0)
			code = -errno;
	if (code == 0)
		u->stale_bits = 0;
	return code;
}

static int adopt_owner(const struct usage_root *root, const char *name, uint64_t owner, void *user)
{
	(void)root;
	(void)name;
	return usage_handle_add_owner(user, owner);
}

void usage_layers_end_verdicts(struct usage_bpf *u)
{
	if (__atomic_load_n(&u->verdicts->epoch, __ATOMIC_RELAXED) < USAGE_EPOCH_MAX)
		(void)__atomic_add_fetch(&u->verdicts->epoch, 1, __ATOMIC_SEQ_CST);
}

/* The agent before this one may have been killed before it ended the verdicts. */
int usage_layers_adopt(struct usage_bpf *u)
{
	int code = walk_layers(u, adopt_owner, u, NULL);

	if (code == 0)
		code = rebuild_filter(u);
	usage_layers_end_verdicts(u);
	return code;
}

/* ---- watching ---- */

/* With the lock. */
static int watch(struct usage_bpf *u, const struct usage_root *root, const char *name,
		 uint64_t *owner)
{
	struct usage_layer layer;
	int code;

	if (bpf_map_lookup_elem(u->maps.layer_by_root, root, &layer) == 0) {
		if (strncmp(layer.name, name, sizeof(layer.name)) == 0) {
			*owner = layer.owner;
			return 0;
		}
		/* Another layer's, whose folder was moved here: replaced below. */
		usage_handle_remove_owner(u, layer.owner);
	}
	layer = (struct usage_layer){ .owner = *owner };
	(void)snprintf(layer.name, sizeof(layer.name), "%s", name); /* ours: it fits */
	/* The bit first: a layer that is in the map is found. */
	code = set_bit(u, root);
	if (code == 0)
		code = usage_handle_add_owner(u, *owner);
	if (code < 0)
		return code;
	if (bpf_map_update_elem(u->maps.layer_by_root, root, &layer, BPF_ANY) == 0) {
		usage_layers_end_verdicts(u);
		return 0;
	}
	code = -errno;
	usage_handle_remove_owner(u, *owner);
	return code;
}

int usage_layers_watch(struct usage_bpf *u, const struct usage_root *root, const char *name,
		       uint64_t *owner, struct error *e)
{
	int code;

	if (u->backend == USAGE_BACKEND_NONE)
		return 0;
	(void)pthread_mutex_lock(&u->lock);
	code = watch(u, root, name, owner);
	(void)pthread_mutex_unlock(&u->lock);
	if (code == -E2BIG)
		return error_set(e, -ENOSPC, "the map of layers is full");
	return code < 0 ? error_set(e, code, "watch layer %s: %s", name, strerror(-code)) : 0;
}

void usage_layers_unwatch(struct usage_bpf *u, const struct usage_root *root, uint64_t owner)
{
	struct usage_layer layer;

	if (u->backend == USAGE_BACKEND_NONE)
		return;
	(void)pthread_mutex_lock(&u->lock);
	if (bpf_map_lookup_elem(u->maps.layer_by_root, root, &layer) == 0 && layer.owner == owner &&
	    bpf_map_delete_elem(u->maps.layer_by_root, root) == 0) {
		usage_handle_remove_owner(u, owner);
		if (++u->stale_bits > STALE_BITS_MIN && u->stale_bits > u->owner_count)
			(void)rebuild_filter(u); /* next time: its bits only cost time */
	}
	(void)pthread_mutex_unlock(&u->lock);
}

/* ---- walks ---- */

struct layer_batch {
	struct usage_root roots[PER_BATCH];
	struct usage_layer layers[PER_BATCH];
};

static int walk_layers(struct usage_bpf *u,
		       int (*visit)(const struct usage_root *root, const char *name, uint64_t owner,
				    void *user),
		       void *user, struct error *e)
{
	cleanup(free_ptr) struct layer_batch *batch = malloc(sizeof(*batch));
	uint32_t position = 0;
	bool first = true, last = false;

	if (!batch)
		return error_set(e, -ENOMEM, "out of memory");
	while (!last) {
		uint32_t count = PER_BATCH;

		if (bpf_map_lookup_batch(u->maps.layer_by_root, first ? NULL : &position, &position,
					 batch->roots, batch->layers, &count, NULL) < 0) {
			if (errno != ENOENT)
				return error_set(e, -errno, "read the map of layers: %s",
						 strerror(errno));
			last = true;
		}
		first = false;
		for (uint32_t i = 0; i < count; i++) {
			char name[USAGE_LAYER_NAME_SIZE + 1] = { 0 };
			int code;

			memcpy(name, batch->layers[i].name, USAGE_LAYER_NAME_SIZE);
			code = visit(&batch->roots[i], name, batch->layers[i].owner, user);
			if (code < 0)
				return code;
		}
	}
	return 0;
}

int usage_layers_list(struct usage_bpf *u,
		      int (*visit)(const struct usage_root *root, const char *name, uint64_t owner,
				   void *user),
		      void *user, struct error *e)
{
	return u->backend == USAGE_BACKEND_NONE ? 0 : walk_layers(u, visit, user, e);
}

static void delete_old_uses(struct usage_bpf *u, const struct usage_use_key *keys,
			    const uint64_t *times, uint32_t count, uint64_t now)
{
	/* Twice the time for which they matter: one that is renewed right now is not lost. */
	for (uint32_t i = 0; i < count; i++)
		if (now - times[i] > 2 * USAGE_USE_EVERY_NS)
			(void)bpf_map_delete_elem(u->maps.layer_uses, &keys[i]);
}

void usage_layers_sweep_uses(struct usage_bpf *u)
{
	cleanup(free_ptr) struct usage_use_key *keys = NULL;
	cleanup(free_ptr) uint64_t *times = NULL;
	int64_t now = clock_boot_ns();
	uint32_t position = 0, count;
	bool first = true;
	bool due;
	int code;

	(void)pthread_mutex_lock(&u->lock);
	due = now - u->uses_swept_boot_ns >= SWEEP_EVERY_NS;
	if (due)
		u->uses_swept_boot_ns = now;
	(void)pthread_mutex_unlock(&u->lock);
	if (!due)
		return;
	keys = calloc(PER_BATCH, sizeof(*keys));
	times = calloc(PER_BATCH, sizeof(*times));
	if (!keys || !times)
		return; /* another time */
	do {
		count = PER_BATCH;
		code = bpf_map_lookup_batch(u->maps.layer_uses, first ? NULL : &position, &position,
					    keys, times, &count, NULL);
		first = false;
		if (code == 0 || errno == ENOENT)
			delete_old_uses(u, keys, times, count, (uint64_t)now);
	} while (code == 0);
}
