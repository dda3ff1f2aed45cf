/* SPDX-License-Identifier: Apache-2.0 */
#include "usage/usage_files.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fail_point.h"
#include "usage/usage_file_buffer.h"
#include "usage/usage_handle.h"
#include "usage/usage_pins.h"

/* Of memory: together with the one in use, 100 MB of the kernel's when all of them are full. */
#define WAITING_MAX 3

struct usage_taken {
	int map;
	uint32_t id;
};

/* Larger than any bucket of the map gets, so that a batch always has room for one. */
#define BATCH 4096

struct batch {
	struct usage_file_key keys[BATCH];
	struct usage_file_counts counts[BATCH];
};

static bool is_empty(int map)
{
	struct usage_file_key whole = { 0 };
	struct usage_file_counts total;

	return bpf_map_lookup_elem(map, &whole, &total) == 0 && total.entries == 0 &&
	       total.lost == 0 && total.readers == 0;
}

/* With the lock: the number of those that wait, and the id of the oldest. One that is pinned and
 * still in use does not wait: programs write to it. */
static size_t find_waiting(struct usage_bpf *u, uint32_t *ret_oldest)
{
	cleanup(close_directory) DIR *folder = opendir(u->pin_dir);
	uint32_t zero = 0, in_use = 0, id;
	const char *name;
	size_t count = 0;

	if (bpf_map_lookup_elem(u->maps.file_buffer, &zero, &in_use) < 0)
		return 0;
	while (folder && (name = usage_pins_next_name(folder))) {
		if (sscanf(name, USAGE_FILE_BUFFER_PIN, &id) != 1 || id == in_use)
			continue;
		if (count++ == 0 || id < *ret_oldest)
			*ret_oldest = id;
	}
	return count;
}

size_t usage_files_waiting(struct usage_bpf *u)
{
	uint32_t oldest;
	size_t count;

	if (u->backend == USAGE_BACKEND_NONE)
		return 0;
	(void)pthread_mutex_lock(&u->files_lock);
	count = find_waiting(u, &oldest);
	(void)pthread_mutex_unlock(&u->files_lock);
	return count;
}

/* It is pinned first, so that it cannot be lost; pinned already, an agent was interrupted here. */
static int put_aside(struct usage_bpf *u, struct error *e)
{
	uint32_t id, oldest;
	cleanup(close_fd) int fd = usage_file_buffer_open(u->maps.file_buffer, &id, e);
	char pin[PATH_MAX];
	int code;

	if (fd < 0)
		return fd;
	code = usage_file_buffer_pin_path(pin, u->pin_dir, id, e);
	if (code < 0)
		return code;
	if (access(pin, F_OK) < 0) {
		if (is_empty(fd) || find_waiting(u, &oldest) >= WAITING_MAX)
			return 0;
		if (bpf_obj_pin(fd, pin) < 0)
			return error_set(e, -errno, "pin %s: %s", pin, strerror(errno));
	}
	fail_point("files.pinned");
	return usage_file_buffer_replace(u->maps.file_buffer, u->max_files, e);
}

int usage_files_put_aside(struct usage_bpf *u, struct error *e)
{
	int code;

	if (u->backend == USAGE_BACKEND_NONE)
		return 0;
	(void)pthread_mutex_lock(&u->files_lock);
	code = put_aside(u, e);
	(void)pthread_mutex_unlock(&u->files_lock);
	return code;
}

/* With the lock. */
static int open_oldest(struct usage_bpf *u, struct usage_taken *taken, struct error *e)
{
	char pin[PATH_MAX];
	int code;

	if (find_waiting(u, &taken->id) == 0)
		return 0;
	code = usage_file_buffer_pin_path(pin, u->pin_dir, taken->id, e);
	if (code < 0)
		return code;
	taken->map = bpf_obj_get(pin);
	return taken->map < 0 ? error_set(e, -errno, "open %s: %s", pin, strerror(errno)) : 0;
}

int usage_files_take(struct usage_bpf *u, struct usage_taken **ret_taken, struct error *e)
{
	cleanup(usage_files_free) struct usage_taken *taken = calloc(1, sizeof(*taken));
	int code = 0;

	*ret_taken = NULL;
	if (!taken)
		return error_set(e, -ENOMEM, "out of memory");
	taken->map = -1;
	if (u->backend == USAGE_BACKEND_NONE)
		return 0;
	(void)pthread_mutex_lock(&u->files_lock);
	code = open_oldest(u, taken, e);
	(void)pthread_mutex_unlock(&u->files_lock);
	if (code == 0 && taken->map >= 0)
		*ret_taken = take_ptr(taken);
	return code;
}

uint32_t usage_files_id(const struct usage_taken *taken)
{
	return taken->id;
}

static int visit_entry(const struct usage_file_key *key, const struct usage_file_counts *counts,
		       int (*visit)(const struct usage_file *file, void *user), void *user)
{
	struct usage_file file = { .mount_id = key->mount_id,
				   .layer = key->layer,
				   .inode = key->inode };

	file.is_reader = key->kind == USAGE_READER;
	if (file.is_reader) {
		file.upkeep = key->layer & USAGE_UPKEEP;
		file.layer = key->layer & ~USAGE_UPKEEP;
		file.reads = counts->reads;
	} else if (key->inode) {
		file.mapped_bytes = counts->mapped_bytes;
	}
	if (key->inode || file.is_reader) {
		file.opens = counts->opens;
		file.read_bytes = counts->read_bytes;
		file.last_access_boot_ns = (int64_t)counts->last_access;
	} else if (key->layer != USAGE_WHOLE_MOUNT) {
		file.lost = counts->lost;
	}
	return file.inode || file.is_reader || file.lost ? visit(&file, user) : 0;
}

int usage_files_read(struct usage_taken *taken,
		     int (*visit)(const struct usage_file *file, void *user), void *user,
		     struct error *e)
{
	cleanup(free_ptr) struct batch *batch = malloc(sizeof(*batch));
	uint32_t position = 0;
	bool first = true, last = false;

	if (!batch)
		return error_set(e, -ENOMEM, "out of memory");
	while (!last) {
		uint32_t count = BATCH;

		if (bpf_map_lookup_batch(taken->map, first ? NULL : &position, &position,
					 batch->keys, batch->counts, &count, NULL) < 0) {
			if (errno != ENOENT)
				return error_set(e, -errno, "read the counters of files: %s",
						 strerror(errno));
			last = true;
		}
		first = false;
		for (uint32_t i = 0; i < count; i++) {
			int code = visit_entry(&batch->keys[i], &batch->counts[i], visit, user);

			if (code < 0)
				return error_set(e, code, "files that were read: %s",
						 strerror(-code));
		}
	}
	return 0;
}

int usage_files_drop(struct usage_bpf *u, const struct usage_taken *taken, struct error *e)
{
	char pin[PATH_MAX];
	int code = usage_file_buffer_pin_path(pin, u->pin_dir, taken->id, e);

	if (code < 0)
		return code;
	if (unlink(pin) < 0 && errno != ENOENT)
		return error_set(e, -errno, "unpin %s: %s", pin, strerror(errno));
	return 0;
}

void usage_files_free(struct usage_taken *taken)
{
	if (taken->map >= 0)
		(void)close(taken->map); /* it was only read */
	free(taken);
}

/* ---- events ---- */

/* What it says is known by the time it is read: the buffer in use is taken. */
static int ignore_event(void *user, void *event, size_t size)
{
	(void)user;
	(void)event;
	(void)size;
	return 0;
}

int usage_files_event_fd(struct usage_bpf *u)
{
	if (u->backend == USAGE_BACKEND_NONE)
		return -1;
	if (!u->file_events)
		u->file_events = ring_buffer__new(u->maps.file_events, ignore_event, NULL, NULL);
	return u->file_events ? ring_buffer__epoll_fd(u->file_events) : -1;
}

void usage_files_clear_events(struct usage_bpf *u)
{
	if (u->file_events)
		(void)ring_buffer__consume(u->file_events);
}
