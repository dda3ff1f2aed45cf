/* SPDX-License-Identifier: Apache-2.0 */
/*
 * without_calls NAME[,NAME…] COMMAND…: runs the command where these system calls are not
 * implemented, as in a container whose seccomp filter does not know them.
 */
#include <err.h>
#include <errno.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	char *rest = argc > 1 ? argv[1] : NULL, *name;

	if (argc < 3)
		errx(2, "usage: without_calls NAME[,NAME...] COMMAND...");
	while (filter && (name = strsep(&rest, ","))) {
		int call = seccomp_syscall_resolve_name(name);

		if (call == __NR_SCMP_ERROR ||
		    seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), call, 0) < 0)
			errx(2, "unknown system call %s", name);
	}
	if (!filter || seccomp_load(filter) < 0)
		errx(1, "cannot load the filter");
	execvp(argv[2], argv + 2);
	err(1, "run %s", argv[2]);
}
