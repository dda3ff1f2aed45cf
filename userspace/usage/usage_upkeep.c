/* SPDX-License-Identifier: Apache-2.0 */
#include "usage/usage_upkeep.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "usage/usage_handle.h"

/* With the lock. */
static int change_epoch(struct usage_bpf *u, struct error *e)
{
	uint64_t now = (uint64_t)clock_boot_ns(), last;
	uint32_t zero = 0;

	if (bpf_map_lookup_elem(u->maps.upkeep_change, &zero, &last) < 0)
		return error_set(e, -errno, "read the epoch of upkeep: %s", strerror(errno));
	/* The time, so that it is another one than any that was counted in a former map. */
	if (now <= last)
		now = last + 1;
	if (bpf_map_update_elem(u->maps.upkeep_change, &zero, &now, BPF_ANY) < 0)
		return error_set(e, -errno, "set the epoch of upkeep: %s", strerror(errno));
	return 0;
}

int usage_upkeep_changed(struct usage_bpf *u, struct error *e)
{
	int code;

	(void)pthread_mutex_lock(&u->lock);
	code = change_epoch(u, e);
	(void)pthread_mutex_unlock(&u->lock);
	return code;
}

/* Its number here; 0: it has none, or has ended. */
static pid_t find_number(int pidfd)
{
	char path[64], line[128];
	int pid = 0;

	(void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	cleanup(close_file) FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Pid: %d", &pid) == 1)
			break;
	return pid > 0 ? pid : 0;
}

/* By which the program is told from the next one that the process executes; 0: it is not known. */
static uint64_t find_start_stack(int pidfd)
{
	char path[64], text[1024];
	unsigned long long stack = 0;
	const char *after_name;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", find_number(pidfd));
	cleanup(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	text[length > 0 ? length : 0] = '\0';
	after_name = strrchr(text, ')'); /* field 2; the stack is field 28 */
	for (int field = 3; after_name && field <= 28; field++)
		after_name = strchr(after_name + 1, ' ');
	if (after_name)
		(void)sscanf(after_name, " %llu", &stack);
	return stack;
}

int usage_upkeep_mark(struct usage_bpf *u, int pidfd, struct error *e)
{
	struct usage_mark mark = { 0 };

	if (u->backend == USAGE_BACKEND_NONE)
		return 0;
	mark.start_stack = find_start_stack(pidfd);
	if (bpf_map_update_elem(u->maps.upkeep_marks, &pidfd, &mark, BPF_ANY) < 0)
		return error_set(e, -errno, "mark a process as upkeep: %s", strerror(errno));
	return usage_upkeep_changed(u, e);
}

int usage_upkeep_mark_self(struct usage_bpf *u, struct error *e)
{
	cleanup(close_fd) int self = (int)syscall(SYS_pidfd_open, getpid(), 0);

	return self < 0 ? error_set(e, -errno, "open the agent's own process: %s", strerror(errno))
			: usage_upkeep_mark(u, self, e);
}
