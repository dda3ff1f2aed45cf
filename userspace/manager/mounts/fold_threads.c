/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/mounts/fold_threads.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "manager/mounts/counter_fold.h"
#include "usage/usage_files.h"

#define FOLD_NICE (-10)

/* Many processes can fill a buffer together, and one thread empties it: it must not be one among
 * them. */
static void hurry(void)
{
	(void)setpriority(PRIO_PROCESS, (id_t)gettid(),
			  FOLD_NICE); /* without CAP_SYS_NICE: as is */
}

/* Waits for the source; false when the thread has to end. */
static bool wait_for(const struct manager *m, int source)
{
	struct pollfd sources[] = {
		{ .fd = m->fold_end_fd, .events = POLLIN },
		{ .fd = source, .events = POLLIN }, /* -1 is left out */
	};

	while (poll(sources, ARRAY_SIZE(sources), -1) < 0)
		if (errno != EINTR)
			return false; /* housekeeping is enough for what comes slowly */
	return !sources[0].revents;
}

static void *put_buffers_aside(void *arg)
{
	struct manager *m = arg;
	int source = usage_files_event_fd(m->usage);

	hurry();
	while (wait_for(m, source)) {
		struct error e = { 0 };

		usage_files_clear_events(m->usage);
		if (usage_files_put_aside(m->usage, &e) < 0)
			manager_report(m, true, "%s; it will be tried again", e.text);
		(void)eventfd_write(m->fold_wake_fd, 1); /* EAGAIN: it is awake */
	}
	return NULL;
}

static void *fold_when_woken(void *arg)
{
	struct manager *m = arg;
	eventfd_t wakes;

	hurry();
	while (wait_for(m, m->fold_wake_fd)) {
		(void)eventfd_read(m->fold_wake_fd, &wakes); /* it was just written */
		counter_fold(m);
	}
	return NULL;
}

int fold_threads_start(struct manager *m, struct error *e)
{
	int code;

	m->fold_wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	m->fold_end_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (m->fold_wake_fd < 0 || m->fold_end_fd < 0)
		return error_set(e, -errno, "make an eventfd: %s", strerror(errno));
	code = pthread_create(&m->fold_thread, NULL, fold_when_woken, m);
	if (code == 0) {
		m->fold_threads_run = true;
		code = pthread_create(&m->buffer_thread, NULL, put_buffers_aside, m);
	}
	if (code == 0)
		return 0;
	if (m->fold_threads_run) {
		(void)eventfd_write(m->fold_end_fd, 1);
		pthread_join(m->fold_thread, NULL);
		m->fold_threads_run = false;
	}
	return error_set(e, -code, "start the threads that fold: %s", strerror(code));
}

void fold_threads_stop(struct manager *m)
{
	if (!m->fold_threads_run)
		return;
	(void)eventfd_write(m->fold_end_fd, 1); /* nothing else writes to it */
	pthread_join(m->buffer_thread, NULL);
	pthread_join(m->fold_thread, NULL);
	m->fold_threads_run = false;
}
