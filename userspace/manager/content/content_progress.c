/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/content/content_progress.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"

#define QUIET_NS (NS_PER_S / 10) /* between two reports of one piece */
#define LOOK_NS (NS_PER_S / 10) /* how often a thread that waits looks for a cancellation */

struct content_progress {
	struct content_watch watch;
	pthread_mutex_t lock;
	atomic_bool stop;
	int64_t said_ns;
};

struct content_progress *content_progress_new(const struct content_watch *watch)
{
	struct content_progress *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->watch = *watch;
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

void content_progress_free(struct content_progress *p)
{
	if (!p)
		return;
	pthread_mutex_destroy(&p->lock);
	free(p);
}

int content_progress_check(struct content_progress *p)
{
	if (p->watch.cancelled && atomic_load(p->watch.cancelled))
		content_progress_end(p);
	return atomic_load(&p->stop) ? -ECANCELED : 0;
}

int content_progress_wait(struct content_progress *p, struct ranked_lock *lock,
			  pthread_cond_t *condition)
{
	/* Whether it was woken or timed out, the caller looks at what it waits for. */
	(void)ranked_lock_wait_until(lock, condition, clock_monotonic_ns() + LOOK_NS);
	return content_progress_check(p);
}

void content_progress_end(struct content_progress *p)
{
	atomic_store(&p->stop, true);
}

int content_progress_say(struct content_progress *p, const char *action, const char *what,
			 int64_t done_bytes, int64_t total_bytes)
{
	struct content_progress_report report = { action, what, done_bytes, total_bytes };
	int64_t now = clock_boot_ns();

	if (content_progress_check(p) < 0)
		return -ECANCELED;
	if (!p->watch.progress)
		return 0;
	pthread_mutex_lock(&p->lock);
	/* The end of a piece is always reported. */
	if (done_bytes == total_bytes || now - p->said_ns >= QUIET_NS) {
		p->said_ns = now;
		if (p->watch.progress(&report, p->watch.user) < 0)
			content_progress_end(p);
	}
	pthread_mutex_unlock(&p->lock);
	return atomic_load(&p->stop) ? -ECANCELED : 0;
}

const atomic_bool *content_progress_stop(struct content_progress *p)
{
	return &p->stop;
}
