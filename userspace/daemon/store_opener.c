/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/store_opener.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"

#define PATIENCE_US UINT64_C(500000)

struct store_opener {
	struct store_opener_options options;
	pthread_t thread;
	int ended_fd; /* an eventfd that the thread writes to */
	sd_event_source *ended, *patience;
	int code; /* the thread's result, and its text */
	struct error error;
	atomic_bool done;
	bool impatient; /* PATIENCE_US are over */
};

static void *run(void *arg)
{
	struct store_opener *o = arg;
	const uint64_t one = 1;

	o->code = o->options.open(o->options.user, &o->error);
	atomic_store(&o->done, o->code == 0);
	if (write(o->ended_fd, &one, sizeof(one)) < 0)
		abort(); /* an eventfd takes a 1 */
	return NULL;
}

static int on_ended(sd_event_source *source, int fd, uint32_t events, void *user)
{
	struct store_opener *o = user;
	uint64_t one;

	(void)events;
	/* What the thread wrote before is seen after this. */
	if (read(fd, &one, sizeof(one)) < 0)
		abort(); /* an eventfd has what was written to it */
	(void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
	(void)sd_event_source_set_enabled(o->patience, SD_EVENT_OFF);
	o->options.progress(true, o->code, o->options.user);
	return 0;
}

static int on_patience(sd_event_source *source, uint64_t now_us, void *user)
{
	struct store_opener *o = user;

	(void)source;
	(void)now_us;
	o->impatient = true;
	o->options.progress(false, 0, o->options.user);
	return 0;
}

static int add_sources(struct store_opener *o, sd_event *loop, struct error *e)
{
	int code;

	o->ended_fd = eventfd(0, EFD_CLOEXEC);
	if (o->ended_fd < 0)
		return error_set(e, -errno, "eventfd: %s", strerror(errno));
	code = sd_event_add_io(loop, &o->ended, o->ended_fd, EPOLLIN, on_ended, o);
	if (code >= 0)
		code = sd_event_add_time_relative(loop, &o->patience, CLOCK_MONOTONIC, PATIENCE_US,
						  0, on_patience, o);
	return code < 0 ? error_set(e, code, "event loop: %s", strerror(-code)) : 0;
}

int store_opener_new(sd_event *loop, const struct store_opener_options *options,
		     struct store_opener **ret_opener, struct error *e)
{
	struct store_opener *o = calloc(1, sizeof(*o));
	int code;

	if (!o)
		return error_set(e, -ENOMEM, "out of memory");
	o->options = *options;
	o->ended_fd = -EBADF;
	code = add_sources(o, loop, e);
	*ret_opener = o; /* before the thread, which may ask for it */
	if (code == 0 && pthread_create(&o->thread, NULL, run, o) != 0)
		code = error_set(e, -EAGAIN, "no thread to open the store");
	if (code < 0) {
		*ret_opener = NULL;
		store_opener_free(o);
	}
	return code;
}

bool store_opener_is_done(const struct store_opener *o)
{
	return o && atomic_load(&o->done);
}

bool store_opener_lets_run(const struct store_opener *o, const struct grpc_method *method)
{
	return store_opener_is_done(o) ||
	       (o && o->impatient && strcmp(method->path, "/varve.v1.Cache/Info") == 0);
}

int store_opener_wait(struct store_opener *o, struct error *e)
{
	pthread_join(o->thread, NULL);
	*e = o->error;
	return o->code;
}

void store_opener_free(struct store_opener *o)
{
	if (!o)
		return;
	sd_event_source_disable_unref(o->ended);
	sd_event_source_disable_unref(o->patience);
	cleanup_close_fd(&o->ended_fd);
	free(o);
}
