// SPDX-License-Identifier: Apache-2.0
#include "usage/usage_programs.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "usage/usage_handle.h"
#include "usage/usage_pins.h"

/* The program behind a pinned link; what is not one is passed over. */
static int visit_link(const char *path,
		      int (*visit)(const struct usage_program *program, void *user), void *user)
{
	cleanup(close_fd) int link_fd = bpf_obj_get(path);
	struct bpf_link_info link = { 0 };
	struct bpf_prog_info info = { 0 };
	uint32_t size = sizeof(link);

	if (link_fd < 0 || bpf_obj_get_info_by_fd(link_fd, &link, &size) < 0)
		return 0;

	cleanup(close_fd) int program_fd = bpf_prog_get_fd_by_id(link.prog_id);
	size = sizeof(info);
	if (program_fd < 0 || bpf_obj_get_info_by_fd(program_fd, &info, &size) < 0)
		return 0;
	return visit(&(struct usage_program){ info.name, info.run_cnt, info.run_time_ns }, user);
}

static int visit_links(const char *pin_dir, const char *links,
		       int (*visit)(const struct usage_program *program, void *user), void *user)
{
	char folder_path[PATH_MAX], path[PATH_MAX];
	const char *name;
	int code = usage_pins_path(folder_path, pin_dir, links, NULL);

	if (code < 0)
		return code;
	cleanup(close_directory) DIR *folder = opendir(folder_path);
	while (code == 0 && folder && (name = usage_pins_next_name(folder))) {
		code = usage_pins_path(path, folder_path, name, NULL);
		if (code == 0)
			code = visit_link(path, visit, user);
	}
	return code;
}

int usage_programs_visit(const struct usage_bpf *u,
			 int (*visit)(const struct usage_program *program, void *user), void *user)
{
	cleanup(close_directory) DIR *folder = opendir(u->pin_dir);
	const char *name;
	int code = 0;

	if (!folder || u->backend == USAGE_BACKEND_NONE)
		return 0;
	while (code == 0 && (name = usage_pins_next_name(folder)))
		if (usage_pins_is_links_name(name))
			code = visit_links(u->pin_dir, name, visit, user);
	return code;
}

int usage_programs_measure(void)
{
	int fd = bpf_enable_stats(BPF_STATS_RUN_TIME);

	return fd < 0 ? -errno : fd;
}
