/* SPDX-License-Identifier: Apache-2.0 */
#include "store/database.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fail_point.h"
#include "store/database_connection.h"
#include "store/database_log.h"
#include "store/schema.h"
#include "store/statement.h"

/* A batch is one transaction; more would only make its first caller wait longer. */
#define BATCH_MAX 256

/* Frames after which SQLite shall put the log into the file, and begin it anew. */
#define LOG_FRAMES 1000

#define PRIVATE_MODE 0600 /* of all its files */

struct write_request {
	enum database_durability durability;
	int (*change)(sqlite3 *db, void *arg, struct error *e);
	void *arg;
	struct error *e;
	int code;
	bool done;
	struct write_request *next;
};

struct database {
	sqlite3 *writer, *reader;
	pthread_mutex_t reader_lock;
	/* The queue, and what guards it. */
	pthread_mutex_t lock;
	pthread_cond_t finished;
	struct write_request *first, **last;
	bool writing; /* a caller uses the writer's connection */
	/* With `writing`: what the writer's connection is set to. */
	bool set;
	enum database_durability durability;
	uint32_t log_frames; /* of the log, that the file does not have */
	bool checkpoint_failed;
	/* With the lock. */
	bool unsettled; /* the log has what may not be on the disk yet */
	bool uncertain; /* a sync of the log has failed, and the disk may lack any of its frames */
	struct database_failure failure;
};

/* One change inside the batch's transaction: undone alone when it fails. */
static void apply(sqlite3 *db, struct write_request *w)
{
	w->code = statement_run(db, w->e, "SAVEPOINT change", "");
	if (w->code < 0)
		return;
	w->code = w->change(db, w->arg, w->e);
	if (w->code < 0)
		(void)statement_run(db, NULL, "ROLLBACK TO change",
				    ""); /* the first error counts */
	if (statement_run(db, w->code < 0 ? NULL : w->e, "RELEASE change", "") < 0 && w->code >= 0)
		w->code = w->e ? w->e->code : -EIO;
}

static bool is_durable(const struct write_request *batch)
{
	bool durable = false;

	for (const struct write_request *w = batch; w; w = w->next)
		durable |= w->durability == DATABASE_DURABLE;
	return durable;
}

/* SQLite compiles a pragma each time it is run. */
static int set_durability(struct database *d, bool durable, struct error *e)
{
	enum database_durability wanted = durable ? DATABASE_DURABLE : DATABASE_RELAXED;
	int code;

	if (d->set && d->durability == wanted)
		return 0;
	code = statement_run(d->writer, e,
			     durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL", "");
	d->durability = wanted;
	d->set = code == 0;
	return code;
}

static int begin(struct database *d, bool durable, struct error *e)
{
	int code = set_durability(d, durable, e);

	return code < 0 ? code : statement_run(d->writer, e, "BEGIN IMMEDIATE", "");
}

static int commit(sqlite3 *db, struct error *e)
{
	int code = fail_point_error("database.commit", e);

	return code < 0 ? code : statement_run(db, e, "COMMIT", "");
}

static int run_batch(struct database *d, struct write_request *batch, bool durable, struct error *e)
{
	sqlite3 *db = d->writer;
	int code = begin(d, durable, e);

	if (code < 0)
		return code;
	for (struct write_request *w = batch; w; w = w->next)
		apply(db, w);
	code = commit(db, e);
	if (code < 0)
		(void)statement_run(db, NULL, "ROLLBACK", ""); /* the commit's error counts */
	fail_point("database.committed");
	return code;
}

static struct write_request *take_batch(struct database *d)
{
	struct write_request *batch = d->first, *last = batch;

	for (int n = 1; n < BATCH_MAX && last->next; n++)
		last = last->next;
	d->first = last->next;
	if (!d->first)
		d->last = &d->first;
	last->next = NULL;
	return batch;
}

/* SQLite calls this after each commit. By itself it would say nothing of a checkpoint that fails,
 * which syncs the log, too. */
static int look_at_log(void *user, sqlite3 *db, const char *name, int frames)
{
	struct database *d = user;
	int in_log = 0, in_file = 0, code;

	d->log_frames = (uint32_t)frames;
	if (frames < LOG_FRAMES)
		return SQLITE_OK;
	code = sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_PASSIVE, &in_log, &in_file);
	if (code == SQLITE_OK && in_log == in_file)
		d->log_frames = 0;
	d->checkpoint_failed |= (code & 0xff) == SQLITE_IOERR;
	return SQLITE_OK;
}

static int rewrite_log(struct database *d, struct error *e)
{
	const char *path = sqlite3_db_filename(d->writer, "main");
	uint32_t frames = 0;
	int code;

	if (d->log_frames == 0)
		return 0;
	code = database_log_rewrite(path, &frames, e);
	if (code == 0 && frames < d->log_frames)
		return database_log_failed(path, "it has lost what was written", e);
	return code;
}

/* By the thread that writes: all that the log had when a sync failed is on the disk, or in no log,
 * as are the changes that failed. */
static int make_certain(struct database *d, struct error *e)
{
	int code, tries = 0;

	do {
		code = rewrite_log(d, e);
		if (code < 0)
			return code;
		errno = 0; /* for statement_error() */
		code = sqlite3_wal_checkpoint_v2(d->writer, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL,
						 NULL);
		/* SQLite's descriptor may report a failure that another one had reported. */
	} while ((code & 0xff) == SQLITE_IOERR && tries++ == 0);
	if (code == SQLITE_BUSY && d->log_frames > 0)
		return 0; /* a reader uses the log, which is on the disk now */
	if (code != SQLITE_OK)
		return statement_error(d->writer, code, e);
	d->log_frames = 0;
	database_log_reserve(d->writer);
	return 0;
}

/* Waits until no other thread writes. With the lock, as is give_writer(). */
static void take_writer(struct database *d)
{
	while (d->writing)
		pthread_cond_wait(&d->finished, &d->lock);
	d->writing = true;
}

static void give_writer(struct database *d)
{
	d->writing = false;
	pthread_cond_broadcast(&d->finished);
}

static bool is_of_the_disk(int code)
{
	return code == -EIO || code == -ENOSPC || code == -EROFS || code == -EILSEQ;
}

/* With the lock. */
static void note_result(struct database *d, int code, const struct error *e)
{
	if (!is_of_the_disk(code)) {
		d->failure.over |= code == 0;
		return;
	}
	d->failure = (struct database_failure){ .code = code, .at_ns = clock_wall_ns() };
	(void)snprintf(d->failure.text, sizeof(d->failure.text), "%s", e ? e->text : "");
}

void database_last_failure(struct database *d, struct database_failure *ret_failure)
{
	pthread_mutex_lock(&d->lock);
	*ret_failure = d->failure;
	pthread_mutex_unlock(&d->lock);
}

/* Writes the requests that wait, of all callers. With the lock, which is released during the write.
 */
static void write_batch(struct database *d)
{
	struct write_request *batch = take_batch(d), *next;
	bool durable = is_durable(batch), uncertain = d->uncertain;
	struct error e = { 0 };
	int code;

	d->writing = true;
	pthread_mutex_unlock(&d->lock);
	code = uncertain ? make_certain(d, &e) : 0;
	uncertain = code < 0;
	if (code == 0)
		code = run_batch(d, batch, durable, &e);
	pthread_mutex_lock(&d->lock);
	d->uncertain = uncertain || code == -EIO || d->checkpoint_failed;
	d->checkpoint_failed = false;
	d->unsettled |= !durable; /* now: database_settle() may have run meanwhile */
	d->writing = false;
	for (struct write_request *w = batch; w; w = next) {
		next = w->next;
		if (code < 0) {
			w->code = code;
			error_set(w->e, code, "%s", e.text);
		}
		d->uncertain |= w->code == -EIO;
		note_result(d, w->code, code < 0 ? &e : w->e);
		w->done = true; /* w is its caller's, and gone once the lock is free */
	}
	pthread_cond_broadcast(&d->finished);
}

int database_write(struct database *d, enum database_durability durability,
		   int (*change)(sqlite3 *db, void *arg, struct error *e), void *arg,
		   struct error *e)
{
	struct write_request w = { .durability = durability, .change = change, .arg = arg, .e = e };

	pthread_mutex_lock(&d->lock);
	*d->last = &w;
	d->last = &w.next;
	/* A caller that finds no write under way writes for all that wait: a writer thread would
	 * cost a single client two context switches for each write. */
	while (!w.done) {
		if (d->writing)
			pthread_cond_wait(&d->finished, &d->lock);
		else
			write_batch(d);
	}
	pthread_mutex_unlock(&d->lock);
	return w.code;
}

/* The sync of another thread may have got the only report of a failure. With the lock. */
static int look_for_failure(struct database *d, struct error *e)
{
	int code = 0;

	take_writer(d);
	if (d->uncertain) {
		pthread_mutex_unlock(&d->lock);
		code = make_certain(d, e);
		pthread_mutex_lock(&d->lock);
		d->uncertain = code < 0;
	}
	give_writer(d);
	return code;
}

int database_settle(struct database *d, struct error *e)
{
	bool unsettled;
	int code;

	pthread_mutex_lock(&d->lock);
	unsettled = d->unsettled;
	d->unsettled = false;
	pthread_mutex_unlock(&d->lock);
	if (!unsettled)
		return 0;
	code = database_log_sync(d->writer, e);
	pthread_mutex_lock(&d->lock);
	d->uncertain |= code < 0;
	if (code == 0)
		code = look_for_failure(d, e);
	d->unsettled |= code < 0;
	pthread_mutex_unlock(&d->lock);
	return code;
}

sqlite3 *database_lock_reader(struct database *d)
{
	pthread_mutex_lock(&d->reader_lock);
	return d->reader;
}

void database_unlock_reader(struct database *d)
{
	pthread_mutex_unlock(&d->reader_lock);
}

static int open_connection(const char *path, sqlite3 **ret_db, struct error *e)
{
	int code = database_connection_open(path, ret_db, e), keep_log = 1;

	if (code < 0)
		return code;
	code = sqlite3_file_control(*ret_db, NULL, SQLITE_FCNTL_PERSIST_WAL, &keep_log);
	if (code == SQLITE_OK) /* close_log() does it, unless a sync of the log has failed */
		code = sqlite3_db_config(*ret_db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	return code == SQLITE_OK ? 0 : statement_error(*ret_db, code, e);
}

/*
 * Before SQLite opens the file, which would delete the log that it finds beside an empty one.
 * SQLite gives its other files the mode of this one. Nothing holds a lock on it yet that closing it
 * drops.
 */
static int prepare_file(const char *path, enum database_presence presence, struct error *e)
{
	bool must_exist = presence == DATABASE_MUST_EXIST;
	cleanup(close_fd) int fd =
		open(path, O_RDWR | O_CLOEXEC | (must_exist ? 0 : O_CREAT), PRIVATE_MODE);
	struct stat st;

	if (fd < 0 && errno == ENOENT && must_exist)
		return error_set(e, -ENOENT, "the database %s is missing", path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return error_set(e, -errno, "open the database %s: %s", path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return error_set(e, -EILSEQ, "%s is not a database: it is not a regular file",
				 path);
	if (st.st_size == 0 && must_exist)
		return error_set(e, -ENOENT, "the database %s is empty", path);
	if ((st.st_mode & 07777) != PRIVATE_MODE && fchmod(fd, PRIVATE_MODE) < 0)
		return error_set(e, -errno, "chmod %s: %s", path, strerror(errno));
	return 0;
}

/* An earlier version has left it readable. By name: to close it would drop its locks. */
static int restrict_log(const char *path, struct error *e)
{
	cleanup(free_ptr) char *name = NULL;

	if (asprintf(&name, "%s-wal", path) < 0) {
		name = NULL;
		return error_set(e, -ENOMEM, "open %s: out of memory", path);
	}
	if (chmod(name, PRIVATE_MODE) < 0 && errno != ENOENT)
		return error_set(e, -errno, "chmod %s: %s", name, strerror(errno));
	return 0;
}

static int prepare_files(const char *path, enum database_presence presence, struct error *e)
{
	int code = prepare_file(path, presence, e);

	return code < 0 ? code : restrict_log(path, e);
}

/* An earlier agent, or its disk, may have ended after a sync that failed. On a full disk the first
 * write tries again. */
static int prepare_log(struct database *d, const char *path, struct error *e)
{
	int code = database_log_rewrite(path, &d->log_frames, e);

	if (code == -ENOSPC) {
		d->uncertain = true;
		return 0;
	}
	return code;
}

static int prepare_schema(sqlite3 *db, enum database_presence presence, struct error *e)
{
	int code = schema_check(db, presence == DATABASE_MAY_BE_NEW, e);

	if (code < 0)
		return code;
	code = statement_run(db, e, "PRAGMA journal_mode=WAL", "");
	return code < 0 ? code : schema_migrate(db, e);
}

/* An earlier version, or sqlite3, has left the index of the log as a file. This process has the
 * lock: no other uses it. */
static void remove_index_file(const char *path)
{
	cleanup(free_ptr) char *name = NULL;

	if (asprintf(&name, "%s-shm", path) < 0)
		name = NULL;
	else
		(void)unlink(name); /* SQLite makes it anew from the log in any case */
}

int database_open(const char *path, enum database_presence presence, struct database **ret_database,
		  struct error *e)
{
	cleanup(database_close) struct database *d = calloc(1, sizeof(*d));
	int code;

	if (!d)
		return error_set(e, -ENOMEM, "open %s: out of memory", path);
	pthread_mutex_init(&d->reader_lock, NULL);
	pthread_mutex_init(&d->lock, NULL);
	pthread_cond_init(&d->finished, NULL);
	d->last = &d->first;

	code = prepare_files(path, presence, e);
	if (code < 0)
		return code;
	code = prepare_log(d, path, e);
	if (code < 0)
		return code;
	code = open_connection(path, &d->writer, e);
	if (code < 0)
		return code;
	(void)sqlite3_wal_hook(d->writer, look_at_log, d); /* in place of its own, none of ours */
	code = prepare_schema(d->writer, presence, e);
	if (code < 0) /* SQLite's errors have the path already */
		return e && strstr(e->text, path) ? code
						  : error_context(e, "the database %s", path);
	remove_index_file(path);
	code = open_connection(path, &d->reader, e);
	if (code < 0)
		return code;
	database_log_reserve(d->writer);
	*ret_database = take_ptr(d);
	return 0;
}

/* Empties the log, so that no old log meets a database file that is restored from a backup. On a
 * full disk this may fail. */
static void close_log(struct database *d)
{
	if (!d->writer || (d->uncertain && make_certain(d, NULL) < 0))
		return;
	if (statement_run(d->writer, NULL, "PRAGMA wal_checkpoint(TRUNCATE)", "") == 0)
		database_log_reserve(d->writer);
}

void database_close(struct database *d)
{
	if (!d)
		return;
	database_connection_close(d->reader);
	close_log(d);
	database_connection_close(d->writer);
	pthread_mutex_destroy(&d->reader_lock);
	pthread_mutex_destroy(&d->lock);
	pthread_cond_destroy(&d->finished);
	free(d);
}
