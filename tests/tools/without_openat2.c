/* SPDX-License-Identifier: Apache-2.0 */
/*
 * without_openat2 COMMAND…: runs the command where openat2(2) is not implemented, as in a container
 * whose seccomp filter does not know that call.
 */
#include <err.h>
#include <errno.h>
#include <stddef.h>
#include <seccomp.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	if (argc < 2)
		errx(2, "usage: without_openat2 COMMAND…");
	if (!filter || seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(openat2), 0) < 0 ||
	    seccomp_load(filter) < 0)
		errx(1, "cannot load the filter");
	execvp(argv[1], argv + 1);
	err(1, "run %s", argv[1]);
}
