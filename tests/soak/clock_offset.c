// SPDX-License-Identifier: Apache-2.0
/*
 * Preloaded into an agent (LD_PRELOAD), shifts its wall clock by the nanoseconds in the file that
 * CLOCK_OFFSET_FILE names, as they are at each call; other clocks, timers and programs are not
 * changed. libfaketime shifts timers of CLOCK_MONOTONIC, too, when its offset changes.
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define NS_PER_S 1000000000

static const _Atomic int64_t *offset_ns;

__attribute__((constructor)) static void map_offset(void)
{
	const char *path = getenv("CLOCK_OFFSET_FILE");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		return;
	void *there = mmap(NULL, sizeof(*offset_ns), PROT_READ, MAP_SHARED, fd, 0);
	if (there != MAP_FAILED)
		offset_ns = there;
	(void)close(fd);
}

EXPORT int clock_gettime(clockid_t clock, struct timespec *t)
{
	int64_t now_ns;

	if (syscall(SYS_clock_gettime, clock, t) < 0)
		return -1;
	if ((clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE) || !offset_ns)
		return 0;
	now_ns = (int64_t)t->tv_sec * NS_PER_S + t->tv_nsec + atomic_load(offset_ns);
	t->tv_sec = now_ns / NS_PER_S;
	t->tv_nsec = now_ns % NS_PER_S;
	return 0;
}

EXPORT int gettimeofday(struct timeval *restrict t, void *restrict zone)
{
	struct timespec now;

	(void)zone;
	if (clock_gettime(CLOCK_REALTIME, &now) < 0)
		return -1;
	t->tv_sec = now.tv_sec;
	t->tv_usec = now.tv_nsec / 1000;
	return 0;
}

EXPORT time_t time(time_t *ret_time)
{
	struct timespec now;

	if (clock_gettime(CLOCK_REALTIME, &now) < 0)
		return -1;
	if (ret_time)
		*ret_time = now.tv_sec;
	return now.tv_sec;
}
