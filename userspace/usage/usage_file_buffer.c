/* SPDX-License-Identifier: Apache-2.0 */
#include "usage/usage_file_buffer.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "bpf/usage_shared.h"
#include "usage/usage_pins.h"

#define DEFAULT_MAX_FILES 196608
/* Until files were taken out, they were in a map of this name, with the same keys and values. */
#define FORMER_PIN "usage_files"
/* Entries of the bookkeeping that a small buffer still has room for. */
#define BOOKKEEPING_MIN 64

uint32_t usage_file_buffer_size(uint32_t max_files)
{
	return max_files ? max_files : DEFAULT_MAX_FILES;
}

/* An empty buffer, with the entry of the whole. */
static int make_buffer(uint32_t max_files, struct error *e)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC);
	uint32_t files = usage_file_buffer_size(max_files);
	uint32_t bookkeeping = files / 3 > BOOKKEEPING_MIN ? files / 3 : BOOKKEEPING_MIN;
	struct usage_file_key whole = { 0 };
	struct usage_file_counts none = { .entries = 0 };
	cleanup(close_fd) int fd =
		bpf_map_create(BPF_MAP_TYPE_HASH, "usage_files", sizeof(struct usage_file_key),
			       sizeof(struct usage_file_counts), files + bookkeeping, &options);

	if (fd < 0 || bpf_map_update_elem(fd, &whole, &none, BPF_ANY) < 0)
		return error_set(e, -errno, "make a buffer for files: %s", strerror(errno));
	return take_fd(&fd);
}

int usage_file_buffer_open(int outer, uint32_t *ret_id, struct error *e)
{
	uint32_t zero = 0, id;
	int fd;

	if (bpf_map_lookup_elem(outer, &zero, &id) < 0)
		return error_set(e, -errno, "look for the buffer of files: %s", strerror(errno));
	fd = bpf_map_get_fd_by_id(id);
	if (fd < 0)
		return error_set(e, -errno, "open the buffer of files: %s", strerror(errno));
	*ret_id = id;
	return fd;
}

int usage_file_buffer_replace(int outer, uint32_t max_files, struct error *e)
{
	cleanup(close_fd) int fd = make_buffer(max_files, e);
	uint32_t zero = 0;

	if (fd < 0)
		return fd;
	/* The kernel itself waits for the programs that may have found the old one. */
	if (bpf_map_update_elem(outer, &zero, &fd, BPF_ANY) < 0)
		return error_set(e, -errno, "replace the buffer of files: %s", strerror(errno));
	return 0;
}

int usage_file_buffer_pin_path(char path[PATH_MAX], const char *pin_dir, uint32_t id,
			       struct error *e)
{
	char name[64];

	(void)snprintf(name, sizeof(name), USAGE_FILE_BUFFER_PIN, id);
	return usage_pins_path(path, pin_dir, name, e);
}

static int rename_former(const char *pin_dir, struct error *e)
{
	char former[PATH_MAX], path[PATH_MAX];
	struct bpf_map_info info = { 0 };
	uint32_t size = sizeof(info);
	int code = usage_pins_path(former, pin_dir, FORMER_PIN, e);

	if (code < 0)
		return code;
	cleanup(close_fd) int fd = bpf_obj_get(former);
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) < 0)
		return 0; /* there is none, or it cannot be used */
	code = usage_file_buffer_pin_path(path, pin_dir, info.id, e);
	if (code == 0 && rename(former, path) < 0)
		return error_set(e, -errno, "rename %s: %s", former, strerror(errno));
	return code;
}

int usage_file_buffer_prepare(int outer, const char *pin_dir, uint32_t max_files, struct error *e)
{
	uint32_t zero = 0, id;
	int code = rename_former(pin_dir, e);

	if (code < 0 || bpf_map_lookup_elem(outer, &zero, &id) == 0)
		return code;
	return usage_file_buffer_replace(outer, max_files, e);
}
