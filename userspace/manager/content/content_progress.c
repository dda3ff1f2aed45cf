/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/content/content_progress.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/clock.h"

#define QUIET_NS (NS_PER_S / 10)

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
	if (content_is_cancelled(&p->watch))
		content_progress_end(p);
	return atomic_load(&p->stop) ? -ECANCELED : 0;
}

void content_progress_end(struct content_progress *p)
{
	atomic_store(&p->stop, true);
}

int content_progress_say(struct content_progress *p, const char *action, const char *what,
			 int64_t done_bytes, int64_t total_bytes)
{
	struct content_progress_report now = { action, what, done_bytes, total_bytes };

	if (content_progress_check(p) == 0 && p->watch.progress) {
		int64_t clock = clock_boot_ns();

		pthread_mutex_lock(&p->lock);
		/* The end of a piece is always told. */
		if (done_bytes == total_bytes || clock - p->said_ns >= QUIET_NS) {
			p->said_ns = clock;
			if (p->watch.progress(&now, p->watch.user) < 0)
				atomic_store(&p->stop, true);
		}
		pthread_mutex_unlock(&p->lock);
	}
	return atomic_load(&p->stop) ? -ECANCELED : 0;
}

const atomic_bool *content_progress_stop(struct content_progress *p)
{
	return &p->stop;
}
