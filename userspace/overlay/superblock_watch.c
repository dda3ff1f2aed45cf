// SPDX-License-Identifier: Apache-2.0
#include "overlay/superblock_watch.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/types.h>
#include <unistd.h>

#include "base/vec.h"
#include "overlay/mount_point.h"
#include "overlay/overlay_superblock.h"

struct watched {
	int number; /* inotify's own; not used again for a very long time */
	dev_t device;
	bool gone;
};

struct superblock_watch {
	pthread_mutex_t lock;
	int events;
	bool overflowed; /* events were lost: the devices have to be asked */
	struct watched *watched;
	size_t count, capacity;
};

int superblock_watch_new(struct superblock_watch **ret_watch, struct error *e)
{
	cleanup(superblock_watch_free) struct superblock_watch *w = calloc(1, sizeof(*w));

	if (!w)
		return error_set(e, -ENOMEM, "out of memory");
	(void)pthread_mutex_init(&w->lock, NULL); /* cannot fail without attributes */
	w->events = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->events < 0)
		return error_set(e, -errno, "watch file systems (inotify): %s", strerror(errno));
	*ret_watch = take_ptr(w);
	return 0;
}

void superblock_watch_free(struct superblock_watch *w)
{
	if (!w)
		return;
	cleanup_close_fd(&w->events);
	(void)pthread_mutex_destroy(&w->lock);
	free(w->watched);
	free(w);
}

/* With the lock. */
static struct watched *find(struct superblock_watch *w, int number)
{
	for (size_t i = 0; i < w->count; i++)
		if (w->watched[i].number == number)
			return &w->watched[i];
	return NULL;
}

/* With the lock. */
static int add(struct superblock_watch *w, const char *path, dev_t device)
{
	struct watched *watched =
		vec_reserve(w->watched, &w->capacity, w->count + 1, sizeof(*watched));
	int number;

	if (!watched)
		return -ENOMEM;
	w->watched = watched;
	/* IN_UNMOUNT comes with any mask; a root is never deleted. */
	number = inotify_add_watch(w->events, path, IN_DELETE_SELF | IN_ONLYDIR | IN_DONT_FOLLOW);
	if (number < 0)
		return -errno;
	if (!find(w, number))
		w->watched[w->count++] = (struct watched){ .number = number, .device = device };
	return number;
}

int superblock_watch_add(struct superblock_watch *w, int parent, const char *name, int *ret_number,
			 struct error *e)
{
	char path[MOUNT_POINT_PATH_SIZE];
	dev_t device = 0;
	int code = overlay_superblock_device(parent, name, &device, e);

	if (code == 0)
		code = mount_point_path(parent, name, path, e);
	if (code < 0)
		return code;
	(void)pthread_mutex_lock(&w->lock);
	code = add(w, path, device);
	(void)pthread_mutex_unlock(&w->lock);
	if (code == -ENOSPC)
		return error_set(
			e, code,
			"watch '%s': too many watches (sysctl fs.inotify.max_user_watches)", name);
	if (code < 0)
		return error_set(e, code, "watch '%s': %s", name, strerror(-code));
	*ret_number = code;
	return 0;
}

/* With the lock. */
static void read_events(struct superblock_watch *w)
{
	union {
		struct inotify_event event;
		char bytes[4096];
	} buffer;
	ssize_t length;

	while ((length = read(w->events, &buffer, sizeof(buffer))) > 0) {
		const struct inotify_event *event;

		for (ssize_t at = 0; at < length; at += (ssize_t)(sizeof(*event) + event->len)) {
			event = (const struct inotify_event *)(buffer.bytes + at);
			struct watched *watched = find(w, event->wd);

			w->overflowed |= (event->mask & IN_Q_OVERFLOW) != 0;
			if (watched && event->mask & IN_UNMOUNT)
				watched->gone = true;
		}
	}
}

bool superblock_watch_is_gone(struct superblock_watch *w, int number)
{
	struct watched *watched;
	bool gone = true;

	(void)pthread_mutex_lock(&w->lock);
	read_events(w);
	watched = find(w, number);
	if (watched) {
		gone = watched->gone ||
		       (w->overflowed && !overlay_superblock_exists(watched->device));
		if (gone)
			*watched = w->watched[--w->count];
	}
	(void)pthread_mutex_unlock(&w->lock);
	return gone;
}

void superblock_watch_remove(struct superblock_watch *w, int number)
{
	struct watched *watched;

	(void)pthread_mutex_lock(&w->lock);
	watched = find(w, number);
	if (watched) {
		*watched = w->watched[--w->count];
		(void)inotify_rm_watch(w->events, number); /* it may be gone already */
	}
	(void)pthread_mutex_unlock(&w->lock);
}
