/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accesses to a file, one system call each, for usage_probe. An operation gets a path and perhaps a
 * second one, and returns false when a call failed.
 */
#pragma once

#include <stdbool.h>

#define PROBE_BYTES 65536
extern char probe_bytes[PROBE_BYTES];

bool op_open(const char *path, const char *other);
bool op_openat2(const char *path, const char *other);
bool op_opath(const char *path, const char *other);
/* Reads until the end, as cat does. */
bool op_cat(const char *path, const char *other);
bool op_pread(const char *path, const char *other);
bool op_readv(const char *path, const char *other);
bool op_preadv2(const char *path, const char *other);
bool op_dup_read(const char *path, const char *other);
bool op_mmap(const char *path, const char *other);
bool op_stat(const char *path, const char *other);
bool op_readlink(const char *path, const char *other);
/* Executes this program, which exits at once when its first argument is "exit". */
bool op_exec(const char *path, const char *other);
bool op_uring_read(const char *path, const char *other);
bool op_uring_openat2(const char *path, const char *other);
/* Opens `other` as descriptor 0, then `path` twice into slots of a ring, and reads the second. */
bool op_uring_direct(const char *path, const char *other);
/* Splices from a descriptor, then from a slot. */
bool op_uring_splice(const char *path, const char *other);
bool op_uring_mkdir(const char *path, const char *other);
bool op_creat_write(const char *path, const char *other);
bool op_pwrite(const char *path, const char *other);
bool op_sendfile(const char *path, const char *other);
bool op_splice(const char *path, const char *other);
bool op_copy_file_range(const char *path, const char *other);
bool op_truncate(const char *path, const char *other);
bool op_ftruncate(const char *path, const char *other);
bool op_rename(const char *path, const char *other);
bool op_mkdir(const char *path, const char *other);
bool op_unlink(const char *path, const char *other);
