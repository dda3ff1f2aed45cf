/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/snapshots/spare_layers.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/directory.h"
#include "base/fail_point.h"
#include "layer/layer_sync.h"
#include "manager/state/new_names.h"
#include "manager/state/store_files.h"
#include "manager/state/store_root.h"
#include "manager/state/trash.h"

/* None are made before the first is wanted. A batch shares one commit of the journal. */
#define SPARES_MAX 64
#define SPARES_LOW 32

/* Commit, which follows soon in an unpack, writes the same log to the disk anyway. */
#define SETTLE_NS (NS_PER_S / 4)

#define PATH_SIZE STORE_FILES_PATH_SIZE

struct spare_layers {
	struct manager *m;
	pthread_t thread;
	struct ranked_lock lock; /* guards what follows */
	pthread_cond_t changed;
	struct spare_layer spares[SPARES_MAX];
	size_t count;
	bool wanted; /* more of them */
	bool unmovable; /* layers/ is a quota project of its own: none are made any more */
	bool stopping;
	int64_t settle_at_ns; /* by the monotonic clock; 0: nothing is to be settled */
};

static void spare_path(const char *name, const char *leaf, char path[PATH_SIZE])
{
	(void)snprintf(path, PATH_SIZE, "spare/%s%s", name, leaf); /* names are short */
}

/* ---- making them ---- */

static int fill_directory(const struct manager *m, const char *name)
{
	char path[PATH_SIZE], target[PATH_SIZE];
	int code;

	spare_path(name, "/fs", path);
	code = directory_make(m->root_fd, path, 0755); /* as store_files_make() */
	if (code < 0)
		return code;
	spare_path(name, "/work", path);
	if (mkdirat(m->root_fd, path, 0700) < 0)
		return -errno;
	spare_path(name, "/link", path);
	store_files_link_target(name, target);
	return symlinkat(target, m->root_fd, path) < 0 ? -errno : 0;
}

/* The trash thread deletes what this cannot. */
static void discard(struct manager *m, const char *name)
{
	char path[PATH_SIZE], to[PATH_SIZE];

	spare_path(name, "", path);
	(void)snprintf(to, sizeof(to), "trash/%s.%" PRIx64, name, (uint64_t)clock_wall_ns());
	(void)renameat(m->root_fd, path, m->root_fd, to); /* what stays goes at the next start */
	trash_wake(m);
}

static bool make_spare(struct manager *m, struct spare_layer *spare)
{
	char path[PATH_SIZE];

	manager_lock(m);
	new_names_layer(m, spare->name);
	manager_unlock(m);
	spare_path(spare->name, "", path);
	if (mkdirat(m->root_fd, path, 0700) < 0)
		return false;
	if (fill_directory(m, spare->name) == 0)
		return true;
	discard(m, spare->name);
	return false;
}

static int open_directory(const struct manager *m, const char *path)
{
	return openat(m->root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static int sync_directory(const struct manager *m, const char *name, const char *leaf)
{
	cleanup(close_fd) int fd = -EBADF;
	char path[PATH_SIZE];

	spare_path(name, leaf, path);
	fd = open_directory(m, path);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* One commit of the journal writes them all; without a journal, each is written. */
static bool write_to_disk(const struct manager *m, const struct spare_layer *spares, size_t count)
{
	cleanup(close_fd) int fd = open_directory(m, "spare");
	int code = fd < 0 ? -errno : layer_sync_names(fd, NULL);

	if (code != 0)
		return code == 1;
	for (size_t i = 0; i < count; i++)
		if (sync_directory(m, spares[i].name, "/fs") < 0 ||
		    sync_directory(m, spares[i].name, "") < 0)
			return false;
	return fsync(fd) == 0;
}

/* Makes as many as are missing; fewer on a full disk, where Prepare tells what is wrong. */
static void refill(struct spare_layers *s, size_t missing)
{
	struct spare_layer made[SPARES_MAX];
	size_t count = 0;
	bool durable;

	while (count < missing && make_spare(s->m, &made[count]))
		count++;
	durable = write_to_disk(s->m, made, count);
	ranked_lock_acquire(&s->lock);
	for (size_t i = 0; i < count; i++) {
		made[i].durable = durable;
		if (s->count < SPARES_MAX) /* some may have been given back */
			s->spares[s->count++] = made[i];
		else
			discard(s->m, made[i].name);
	}
	ranked_lock_release(&s->lock);
}

/* ---- the thread ---- */

static void settle(struct spare_layers *s)
{
	struct error e = { 0 };

	if (database_settle(s->m->database, &e) < 0)
		manager_report(s->m, true, "write the database to the disk: %s", e.text);
}

/* With the lock, which is released during the work. False: there is nothing to do. */
static bool work(struct spare_layers *s)
{
	if (s->wanted) {
		size_t missing = SPARES_MAX - s->count;

		s->wanted = false;
		ranked_lock_release(&s->lock);
		refill(s, missing);
		ranked_lock_acquire(&s->lock);
		return true;
	}
	if (s->settle_at_ns && s->settle_at_ns <= clock_monotonic_ns()) {
		s->settle_at_ns = 0;
		ranked_lock_release(&s->lock);
		settle(s);
		ranked_lock_acquire(&s->lock);
		return true;
	}
	return false;
}

static void *run(void *spare_layers)
{
	struct spare_layers *s = spare_layers;

	ranked_lock_acquire(&s->lock);
	while (!s->stopping) {
		if (work(s))
			continue;
		if (s->settle_at_ns)
			(void)ranked_lock_wait_until(&s->lock, &s->changed, s->settle_at_ns);
		else
			ranked_lock_wait(&s->lock, &s->changed);
	}
	ranked_lock_release(&s->lock);
	return NULL;
}

int spare_layers_start(struct manager *m, struct error *e)
{
	struct spare_layers *s = calloc(1, sizeof(*s));

	if (!s)
		return error_set(e, -ENOMEM, "out of memory");
	s->m = m;
	ranked_lock_init(&s->lock, MANAGER_RANK_SPARES);
	pthread_cond_init(&s->changed, NULL);
	if (pthread_create(&s->thread, NULL, run, s) != 0) {
		ranked_lock_destroy(&s->lock);
		pthread_cond_destroy(&s->changed);
		free(s);
		return error_set(e, -EAGAIN, "no thread to make layers ahead");
	}
	m->spares = s;
	return 0;
}

/* Closing the database writes it to the disk. */
void spare_layers_stop(struct manager *m)
{
	struct spare_layers *s = take_ptr(m->spares);

	if (!s)
		return;
	ranked_lock_acquire(&s->lock);
	s->stopping = true;
	pthread_cond_signal(&s->changed);
	ranked_lock_release(&s->lock);
	pthread_join(s->thread, NULL);
	ranked_lock_destroy(&s->lock);
	pthread_cond_destroy(&s->changed);
	free(s);
}

/* ---- using them ---- */

struct spare_layer spare_layers_take(struct manager *m)
{
	struct spare_layers *s = m->spares;
	struct spare_layer spare = { 0 };

	ranked_lock_acquire(&s->lock);
	if (s->count > 0)
		spare = s->spares[--s->count];
	if (s->count < SPARES_LOW && !s->wanted && !s->unmovable) {
		s->wanted = true;
		pthread_cond_signal(&s->changed);
	}
	ranked_lock_release(&s->lock);
	return spare;
}

void spare_layers_give_back(struct manager *m, const struct spare_layer *spare)
{
	struct spare_layers *s = m->spares;
	bool full;

	if (!*spare->name)
		return;
	ranked_lock_acquire(&s->lock);
	full = s->count == SPARES_MAX;
	if (!full)
		s->spares[s->count++] = *spare;
	ranked_lock_release(&s->lock);
	if (full)
		discard(m, spare->name);
}

/* The link first: a directory in layers/ has nothing but fs and work. */
static int place(struct manager *m, const char *name)
{
	char from[PATH_SIZE], to[PATH_SIZE];
	int code;

	spare_path(name, "/link", from);
	(void)snprintf(to, sizeof(to), "l/%s", name);
	if (renameat(m->root_fd, from, m->root_fd, to) < 0 && errno != ENOENT)
		return -errno;
	code = fail_point_error("spare.linked", NULL);
	if (code < 0)
		return code;
	spare_path(name, "", from);
	(void)snprintf(to, sizeof(to), "layers/%s", name);
	if (renameat(m->root_fd, from, m->root_fd, to) < 0)
		return -errno;
	return fail_point_error("spare.placed", NULL);
}

static void give_up(struct spare_layers *s)
{
	ranked_lock_acquire(&s->lock);
	s->unmovable = true;
	s->wanted = false;
	ranked_lock_release(&s->lock);
}

bool spare_layers_place(struct manager *m, const struct spare_layer *spare)
{
	int code = place(m, spare->name);

	if (code == 0)
		return true;
	if (code == -EXDEV)
		give_up(m->spares);
	discard(m, spare->name);
	(void)store_files_discard(m, spare->name, NULL); /* recover finds what this leaves */
	return false;
}

void spare_layers_settle_soon(struct manager *m)
{
	struct spare_layers *s = m->spares;

	ranked_lock_acquire(&s->lock);
	if (!s->settle_at_ns) {
		s->settle_at_ns = clock_monotonic_ns() + SETTLE_NS;
		pthread_cond_signal(&s->changed);
	}
	ranked_lock_release(&s->lock);
}

/* ---- at start ---- */

int spare_layers_rescue(struct manager *m, const char *name)
{
	char path[PATH_SIZE];
	int code;

	spare_path(name, "/fs", path);
	if (faccessat(m->root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	code = place(m, name);
	if (code == 0)
		manager_report(m, false, "layer=%s was made just before a power cut: found again",
			       name);
	return code;
}

static void clear_one(struct manager *m, const char *name)
{
	char path[PATH_SIZE];

	(void)snprintf(path, sizeof(path), "layers/%s", name);
	if (faccessat(m->root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0) {
		(void)snprintf(path, sizeof(path), "l/%s", name);
		(void)unlinkat(m->root_fd, path, 0); /* there is one if place() was cut off */
	}
	discard(m, name);
}

int spare_layers_clear(struct manager *m, struct error *e)
{
	cleanup(close_directory) DIR *d = store_root_open_directory(m, "spare");
	struct dirent *entry;

	if (!d)
		return error_set(e, -errno, "open %s/spare: %s", m->root, strerror(errno));
	while ((entry = readdir(d)))
		if (entry->d_name[0] != '.' && strlen(entry->d_name) <= LAYER_NAME_LENGTH)
			clear_one(m, entry->d_name);
	return 0;
}
