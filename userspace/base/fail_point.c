/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fail_point.h"

#ifdef VARVE_FAIL_POINTS

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define ORDERS_MAX 8

/* A line of the file. */
struct order {
	char name[64];
	unsigned count; /* how often it still has to be passed */
	int code;
};

static struct {
	pthread_mutex_t lock;
	struct timespec written; /* the file's time, when it was read */
	ino_t inode;
	struct order orders[ORDERS_MAX];
	size_t count;
} armed = { .lock = PTHREAD_MUTEX_INITIALIZER };

extern const struct fail_point *const __start_fail_points[];
extern const struct fail_point *const __stop_fail_points[];

void fail_point_list(void)
{
	for (const struct fail_point *const *p = __start_fail_points; p < __stop_fail_points; p++)
		printf("%s %s\n", (*p)->name, (*p)->can_fail ? "fail" : "kill");
}

/* With the lock. */
static void read_orders(const char *path)
{
	cleanup(close_file) FILE *f = fopen(path, "re");
	struct stat st;

	if (!f || fstat(fileno(f), &st) < 0) {
		armed.count = 0;
		return;
	}
	if (st.st_mtim.tv_sec == armed.written.tv_sec &&
	    st.st_mtim.tv_nsec == armed.written.tv_nsec && st.st_ino == armed.inode)
		return;
	armed.written = st.st_mtim;
	armed.inode = st.st_ino;
	armed.count = 0;
	while (armed.count < ORDERS_MAX) {
		struct order *o = &armed.orders[armed.count];

		if (fscanf(f, "%63s %u %d", o->name, &o->count, &o->code) != 3)
			return;
		armed.count++;
	}
}

static void note_pass(const char *path, const char *name)
{
	char passed[4096], line[80];
	int length = snprintf(line, sizeof(line), "%s\n", name);

	(void)snprintf(passed, sizeof(passed), "%s.passed", path);
	cleanup(close_fd) int fd = open(passed, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, line, (size_t)length) != length)
		abort();
}

int fail_point_pass(const struct fail_point *point, struct error *e)
{
	const char *path = getenv("VARVE_FAIL_POINTS");
	int code = 0;

	if (!path)
		return 0;
	pthread_mutex_lock(&armed.lock);
	note_pass(path, point->name);
	read_orders(path);
	for (size_t i = 0; i < armed.count; i++) {
		struct order *o = &armed.orders[i];

		if (strcmp(o->name, point->name) != 0 || o->count == 0 || --o->count > 0)
			continue;
		if (o->code == 0)
			(void)kill(getpid(), SIGKILL);
		code = -abs(o->code);
	}
	pthread_mutex_unlock(&armed.lock);
	if (code == 0 || !point->can_fail)
		return 0;
	return error_set(e, code, "fail point %s: %s", point->name, strerror(-code));
}

#endif
