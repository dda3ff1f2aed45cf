// SPDX-License-Identifier: Apache-2.0
#include "usage/usage_calls.h"

#include <stddef.h>
#include <sys/syscall.h>

#include "base/cleanup.h"

/* Younger than the headers of Debian 12; such numbers are the same on every architecture. */
#ifndef __NR_fchmodat2
#define __NR_fchmodat2 452
#endif
#ifndef __NR_setxattrat
#define __NR_setxattrat 463
#endif
#ifndef __NR_removexattrat
#define __NR_removexattrat 466
#endif
#ifndef __NR_file_setattr
#define __NR_file_setattr 469
#endif

struct call {
	uint32_t number;
	uint32_t entry;
};

#define FILE_CALL(name, class)                                          \
	{                                                               \
		__NR_##name, USAGE_CALL_ENTRY(USAGE_CALL_##class, 0, 0) \
	}
#define OPEN_CALL(name, flags)                                           \
	{                                                                \
		__NR_##name, USAGE_CALL_ENTRY(USAGE_CALL_OPEN, 0, flags) \
	}
#define PATH_CALL(name, directory, path)                                               \
	{                                                                              \
		__NR_##name, USAGE_CALL_ENTRY(USAGE_CALL_CHANGE_PATH, directory, path) \
	}
#define CWD USAGE_CALL_AT_CWD

/* Where two paths are given they are in one file system; the one that is named must exist there
 * or come into being there. */
static const struct call call_list[] = {
	OPEN_CALL(openat, 2),
	OPEN_CALL(open_by_handle_at, 2),
	FILE_CALL(openat2, OPEN_HOW),
	FILE_CALL(read, READ),
	FILE_CALL(pread64, READ),
	FILE_CALL(readv, READ),
	FILE_CALL(preadv, READ),
	FILE_CALL(preadv2, READ),
	FILE_CALL(write, WRITE),
	FILE_CALL(pwrite64, WRITE),
	FILE_CALL(writev, WRITE),
	FILE_CALL(pwritev, WRITE),
	FILE_CALL(pwritev2, WRITE),
	FILE_CALL(mmap, MMAP),
	FILE_CALL(sendfile, SENDFILE),
	FILE_CALL(splice, SPLICE),
	FILE_CALL(copy_file_range, SPLICE),
	FILE_CALL(ioctl, IOCTL),
	FILE_CALL(ftruncate, CHANGE_FILE),
	FILE_CALL(fallocate, CHANGE_FILE),
	FILE_CALL(fchmod, CHANGE_FILE),
	FILE_CALL(fchown, CHANGE_FILE),
	FILE_CALL(fsetxattr, CHANGE_FILE),
	FILE_CALL(fremovexattr, CHANGE_FILE),
	PATH_CALL(truncate, CWD, 0),
	PATH_CALL(mkdirat, 0, 1),
	PATH_CALL(mknodat, 0, 1),
	PATH_CALL(unlinkat, 0, 1),
	PATH_CALL(renameat2, 0, 1),
	PATH_CALL(linkat, 2, 3),
	PATH_CALL(symlinkat, 1, 2),
	PATH_CALL(fchmodat, 0, 1),
	PATH_CALL(fchmodat2, 0, 1),
	PATH_CALL(fchownat, 0, 1),
	PATH_CALL(utimensat, 0, 1),
	PATH_CALL(setxattr, CWD, 0),
	PATH_CALL(lsetxattr, CWD, 0),
	PATH_CALL(removexattr, CWD, 0),
	PATH_CALL(lremovexattr, CWD, 0),
	PATH_CALL(setxattrat, 0, 1),
	PATH_CALL(removexattrat, 0, 1),
	PATH_CALL(file_setattr, 0, 1),
#ifdef __NR_renameat
	PATH_CALL(renameat, 0, 1),
#endif
#ifdef __NR_open /* the architectures that are older than the calls with a directory */
	OPEN_CALL(open, 1),
	FILE_CALL(creat, OPEN), /* for writing anyway: argument 0, which is no flags, may lie */
	PATH_CALL(mkdir, CWD, 0),
	PATH_CALL(rmdir, CWD, 0),
	PATH_CALL(mknod, CWD, 0),
	PATH_CALL(unlink, CWD, 0),
	PATH_CALL(rename, CWD, 0),
	PATH_CALL(link, CWD, 1),
	PATH_CALL(symlink, CWD, 1),
	PATH_CALL(chmod, CWD, 0),
	PATH_CALL(chown, CWD, 0),
	PATH_CALL(lchown, CWD, 0),
	PATH_CALL(utime, CWD, 0),
	PATH_CALL(utimes, CWD, 0),
	PATH_CALL(futimesat, 0, 1),
#endif
};

/* Of linux/io_uring.h, where an enum gives the numbers, some of them later than Debian 12 has. */
static const struct call ring_call_list[] = {
	{ 1, USAGE_CALL_READ }, /* IORING_OP_READV */
	{ 2, USAGE_CALL_WRITE }, /* IORING_OP_WRITEV */
	{ 4, USAGE_CALL_READ }, /* IORING_OP_READ_FIXED */
	{ 5, USAGE_CALL_WRITE }, /* IORING_OP_WRITE_FIXED */
	{ 17, USAGE_CALL_CHANGE_FILE }, /* IORING_OP_FALLOCATE */
	{ 18, USAGE_CALL_OPEN }, /* IORING_OP_OPENAT */
	{ 22, USAGE_CALL_READ }, /* IORING_OP_READ */
	{ 23, USAGE_CALL_WRITE }, /* IORING_OP_WRITE */
	{ 28, USAGE_CALL_OPEN }, /* IORING_OP_OPENAT2 */
	{ 30, USAGE_CALL_SPLICE }, /* IORING_OP_SPLICE: the request's file is the one written to */
	{ 35, USAGE_CALL_CHANGE_PATH }, /* IORING_OP_RENAMEAT */
	{ 36, USAGE_CALL_CHANGE_PATH }, /* IORING_OP_UNLINKAT */
	{ 37, USAGE_CALL_CHANGE_PATH }, /* IORING_OP_MKDIRAT */
	{ 38, USAGE_CALL_CHANGE_PATH }, /* IORING_OP_SYMLINKAT */
	{ 39, USAGE_CALL_CHANGE_PATH }, /* IORING_OP_LINKAT */
	{ 41, USAGE_CALL_CHANGE_FILE }, /* IORING_OP_FSETXATTR */
	{ 42, USAGE_CALL_CHANGE_PATH }, /* IORING_OP_SETXATTR */
	{ 49, USAGE_CALL_READ }, /* IORING_OP_READ_MULTISHOT */
	{ 55, USAGE_CALL_CHANGE_FILE }, /* IORING_OP_FTRUNCATE */
	{ 60, USAGE_CALL_READ }, /* IORING_OP_READV_FIXED */
	{ 61, USAGE_CALL_WRITE }, /* IORING_OP_WRITEV_FIXED */
};

void usage_calls_fill(uint32_t calls[USAGE_MAX_CALLS], uint32_t ring_calls[USAGE_MAX_RING_CALLS])
{
	for (size_t i = 0; i < ARRAY_SIZE(call_list); i++)
		calls[call_list[i].number] = call_list[i].entry;
	for (size_t i = 0; i < ARRAY_SIZE(ring_call_list); i++)
		ring_calls[ring_call_list[i].number] = ring_call_list[i].entry;
}
