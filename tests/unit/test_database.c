/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "store/change_set.h"
#include "store/database_log.h"
#include "store/lease_rows.h"
#include "store/statement.h"

#define WRITERS 8
#define WRITES 40

struct fixture {
	char folder[64], path[96];
	struct database *database;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	(void)snprintf(f->folder, sizeof(f->folder), "/tmp/varve-test.XXXXXX");
	if (!mkdtemp(f->folder))
		return -1;
	(void)snprintf(f->path, sizeof(f->path), "%s/db", f->folder);
	*state = f;
	return database_open(f->path, DATABASE_MAY_BE_NEW, &f->database, NULL);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char path[128];

	database_close(f->database);
	(void)unlink(f->path);
	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(path, sizeof(path), "%s-%s", f->path, i ? "wal" : "shm");
		(void)unlink(path);
	}
	(void)rmdir(f->folder);
	free(f);
	return 0;
}

static int add_lease(struct database *d, const char *name, struct error *e)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	struct lease l = { .name = (char *)name, .created_ns = 1 };

	lease_rows_insert(&c, &l);
	return change_set_write(&c, d, DATABASE_DURABLE, e);
}

static int count_lease(const struct lease_row *row, void *user)
{
	*(int64_t *)user += row->created_ns;
	return 0;
}

static int64_t count_leases(struct database *d)
{
	int64_t count = 0;
	sqlite3 *db = database_lock_reader(d);

	assert_int_equal(lease_rows_load(db, count_lease, &count, NULL), 0);
	database_unlock_reader(d);
	return count;
}

static void *write_many(void *arg)
{
	static atomic_int writer;
	int id = atomic_fetch_add(&writer, 1);

	for (int i = 0; i < WRITES; i++) {
		char name[32];

		(void)snprintf(name, sizeof(name), "%d.%d", id, i);
		assert_int_equal(add_lease(arg, name, NULL), 0);
		/* The name is taken: this write fails, and no other one in the same transaction. */
		assert_int_equal(add_lease(arg, name, NULL), -EEXIST);
	}
	return NULL;
}

static void writers_share_transactions_but_not_errors(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[WRITERS];

	for (int i = 0; i < WRITERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, write_many, f->database), 0);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(count_leases(f->database), WRITERS * WRITES);
}

static void a_change_set_is_all_or_nothing(void **state)
{
	struct fixture *f = *state;
	cleanup(change_set_free) struct change_set c = { 0 };
	struct lease one = { .name = (char *)"one", .created_ns = 1 };
	struct error e = { 0 };

	lease_rows_insert(&c, &one);
	lease_rows_insert(&c, &one);
	assert_int_equal(change_set_write(&c, f->database, DATABASE_RELAXED, &e), -EEXIST);
	assert_true(e.text[0] != '\0');
	assert_int_equal(count_leases(f->database), 0);
	/* The refused changes are still in the set. */
	assert_false(change_set_is_empty(&c));
}

static void written_rows_survive_a_reopen(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(add_lease(f->database, "kept", NULL), 0);
	database_close(f->database);
	f->database = NULL;
	assert_int_equal(database_open(f->path, DATABASE_MAY_BE_NEW, &f->database, NULL), 0);
	assert_int_equal(count_leases(f->database), 1);
}

static void run_sql(const char *path, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void a_newer_schema_is_refused(void **state)
{
	struct fixture *f = *state;
	struct error e = { 0 };

	database_close(f->database);
	f->database = NULL;
	run_sql(f->path, "PRAGMA user_version = 1000");
	assert_int_equal(database_open(f->path, DATABASE_MAY_BE_NEW, &f->database, &e), -ENOTSUP);
	assert_non_null(strstr(e.text, "newer varved"));
	f->database = NULL;
}

static void a_schema_that_no_version_had_is_refused(void **state)
{
	struct fixture *f = *state;
	struct error e = { 0 };

	database_close(f->database);
	f->database = NULL;
	run_sql(f->path, "PRAGMA user_version = -1");
	assert_int_equal(database_open(f->path, DATABASE_MAY_BE_NEW, &f->database, &e), -ENOTSUP);
	assert_non_null(strstr(e.text, "schema -1"));
	run_sql(f->path, "PRAGMA user_version = 0"); /* with all of the tables */
	assert_int_equal(database_open(f->path, DATABASE_MAY_BE_NEW, &f->database, &e), -EILSEQ);
	assert_non_null(strstr(e.text, "tables that no varved has made"));
	assert_null(f->database);
}

/* database_open() writes neither to the file nor to the log of a database that it refuses. */
static void an_empty_database_is_refused_where_it_must_exist(void **state)
{
	struct fixture *f = *state;
	char log[128];
	struct error e = { 0 };
	struct stat st;
	FILE *file;

	database_close(f->database);
	f->database = NULL;
	assert_int_equal(unlink(f->path), 0);
	assert_int_equal(database_open(f->path, DATABASE_MUST_EXIST, &f->database, &e), -ENOENT);
	assert_non_null(strstr(e.text, "missing"));
	assert_int_equal(stat(f->path, &st), -1);

	(void)snprintf(log, sizeof(log), "%s-wal", f->path);
	file = fopen(log, "w");
	assert_true(fputs("what is left of it", file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(fclose(fopen(f->path, "w")), 0);
	assert_int_equal(database_open(f->path, DATABASE_MUST_EXIST, &f->database, &e), -ENOENT);
	assert_non_null(strstr(e.text, "empty"));
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_size, 0);
	assert_int_equal(stat(log, &st), 0);
	assert_true(st.st_size > 0);

	run_sql(f->path, "VACUUM"); /* SQLite's own header, and nothing in it */
	assert_int_equal(database_open(f->path, DATABASE_MUST_EXIST, &f->database, &e), -ENOENT);
	run_sql(f->path, "PRAGMA user_version = 3");
	assert_int_equal(database_open(f->path, DATABASE_MAY_BE_NEW, &f->database, &e), -ENOENT);
	assert_null(f->database);
}

static mode_t mode_of(const struct fixture *f, const char *suffix)
{
	char path[128];
	struct stat st;

	(void)snprintf(path, sizeof(path), "%s%s", f->path, suffix);
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void assert_private(const struct fixture *f)
{
	assert_int_equal(mode_of(f, ""), 0600);
	assert_int_equal(mode_of(f, "-wal"), 0600);
}

static void only_the_owner_can_read_or_lock_the_database(void **state)
{
	struct fixture *f = *state;
	static const char *const suffixes[] = { "", "-wal" };
	mode_t umasks[] = { 0, 022, 0777 }, before = umask(0);
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(umasks); i++) {
		database_close(f->database);
		f->database = NULL;
		for (size_t k = 0; k < ARRAY_SIZE(suffixes); k++) {
			(void)snprintf(path, sizeof(path), "%s%s", f->path, suffixes[k]);
			(void)unlink(path);
		}
		(void)umask(umasks[i]);
		assert_int_equal(database_open(f->path, DATABASE_MAY_BE_NEW, &f->database, NULL),
				 0);
		assert_int_equal(add_lease(f->database, "l", NULL), 0);
		(void)umask(before);
		assert_private(f);
	}

	/* Earlier versions left these modes. */
	database_close(f->database);
	f->database = NULL;
	for (size_t k = 0; k < ARRAY_SIZE(suffixes); k++) {
		(void)snprintf(path, sizeof(path), "%s%s", f->path, suffixes[k]);
		assert_int_equal(chmod(path, 0644), 0);
	}
	assert_int_equal(database_open(f->path, DATABASE_MUST_EXIST, &f->database, NULL), 0);
	assert_int_equal(count_leases(f->database), 1);
	assert_private(f);
}

static void the_error_says_that_another_process_holds_the_lock(void **state)
{
	struct fixture *f = *state;
	struct error e = { 0 };
	sqlite3 *holder, *other; /* which does not wait, unlike a struct database */

	database_close(f->database);
	f->database = NULL;
	assert_int_equal(sqlite3_open(f->path, &holder), SQLITE_OK);
	assert_int_equal(sqlite3_exec(holder, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_open(f->path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_BUSY);
	assert_int_equal(statement_error(other, SQLITE_BUSY, &e), -EAGAIN);
	assert_non_null(strstr(e.text, "another process has locked the database"));
	assert_non_null(strstr(e.text, f->path));
	assert_int_equal(sqlite3_close(other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(holder, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(holder), SQLITE_OK);
	assert_int_equal(database_open(f->path, DATABASE_MUST_EXIST, &f->database, NULL), 0);
	assert_int_equal(add_lease(f->database, "l", NULL), 0);
}

/* A mapped file ends the agent where the file system has no space, or fails. */
static void no_file_of_the_database_is_mapped(void **state)
{
	struct fixture *f = *state;
	cleanup(free_ptr) char *line = NULL;
	char index[128];
	size_t size = 0;
	FILE *maps;

	database_close(f->database);
	f->database = NULL;
	(void)snprintf(index, sizeof(index), "%s-shm", f->path);
	assert_int_equal(fclose(fopen(index, "w")), 0); /* as an earlier version leaves it */
	assert_int_equal(database_open(f->path, DATABASE_MUST_EXIST, &f->database, NULL), 0);
	assert_int_equal(add_lease(f->database, "l", NULL), 0);
	assert_int_equal(count_leases(f->database), 1);
	maps = fopen("/proc/self/maps", "r");
	while (getline(&line, &size, maps) >= 0)
		assert_null(strstr(line, f->path));
	assert_int_equal(fclose(maps), 0);
	assert_int_equal(access(index, F_OK), -1);
}

static void other_processes_are_kept_out_of_the_database(void **state)
{
	struct fixture *f = *state;
	char command[256];

	(void)snprintf(command, sizeof(command), "sqlite3 %s 'SELECT 1 FROM store' 2> /dev/null",
		       f->path);
	assert_int_not_equal(system(command), 0);
	assert_int_equal(add_lease(f->database, "l", NULL), 0);
	database_close(f->database);
	f->database = NULL;
	assert_int_equal(system(command), 0);
	assert_int_equal(database_open(f->path, DATABASE_MUST_EXIST, &f->database, NULL), 0);
	assert_int_equal(count_leases(f->database), 1);
}

static void a_file_that_is_not_a_database_is_refused_by_name(void **state)
{
	struct fixture *f = *state;
	struct error e = { 0 };
	FILE *file;

	database_close(f->database);
	f->database = NULL;
	file = fopen(f->path, "w");
	for (int i = 0; i < 1000; i++)
		assert_true(fputs("no database\n", file) >= 0);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(database_open(f->path, DATABASE_MAY_BE_NEW, &f->database, &e), -EILSEQ);
	assert_non_null(strstr(e.text, f->path));
	f->database = NULL;
}

static void a_quota_that_is_used_up_is_a_full_disk(void **state)
{
	struct fixture *f = *state;
	sqlite3 *db = database_lock_reader(f->database);
	struct error e = { 0 };

	errno = EDQUOT;
	assert_int_equal(statement_error(db, SQLITE_IOERR_WRITE, &e), -ENOSPC);
	assert_non_null(strstr(e.text, "no space for the database"));
	assert_non_null(strstr(e.text, strerror(EDQUOT)));
	assert_non_null(strstr(e.text, f->path));
	errno = EDQUOT; /* what else it may have lost is unknown */
	assert_int_equal(statement_error(db, SQLITE_IOERR_FSYNC, &e), -EIO);
	errno = EIO;
	assert_int_equal(statement_error(db, SQLITE_IOERR_WRITE, &e), -EIO);
	database_unlock_reader(f->database);
}

static uint32_t frames_in_log(const struct fixture *f)
{
	uint32_t frames;

	assert_int_equal(database_log_rewrite(f->path, &frames, NULL), 0);
	return frames;
}

static void a_log_is_written_again_up_to_its_last_whole_commit(void **state)
{
	struct fixture *f = *state;
	int in_log, in_file;
	char log[128];
	uint32_t before;
	struct stat st;
	sqlite3 *db;

	assert_int_equal(add_lease(f->database, "first", NULL), 0);
	before = frames_in_log(f);
	assert_int_equal(add_lease(f->database, "second", NULL), 0);
	assert_int_equal(count_leases(f->database), 2); /* so the reader knows the log */

	db = database_lock_reader(f->database);
	assert_int_equal(sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_log,
						   &in_file),
			 SQLITE_OK);
	database_unlock_reader(f->database);
	assert_int_equal(frames_in_log(f), in_log);
	assert_true(before > 0 && before < frames_in_log(f));

	(void)snprintf(log, sizeof(log), "%s-wal", f->path);
	assert_int_equal(stat(log, &st), 0);
	assert_int_equal(truncate(log, st.st_size - 1), 0);
	assert_int_equal(frames_in_log(f), before);
	assert_int_equal(count_leases(f->database), 2); /* they are in the file now */
}

#define WITH_DATABASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DATABASE(writers_share_transactions_but_not_errors),
		WITH_DATABASE(a_change_set_is_all_or_nothing),
		WITH_DATABASE(written_rows_survive_a_reopen),
		WITH_DATABASE(a_newer_schema_is_refused),
		WITH_DATABASE(a_schema_that_no_version_had_is_refused),
		WITH_DATABASE(an_empty_database_is_refused_where_it_must_exist),
		WITH_DATABASE(only_the_owner_can_read_or_lock_the_database),
		WITH_DATABASE(the_error_says_that_another_process_holds_the_lock),
		WITH_DATABASE(no_file_of_the_database_is_mapped),
		WITH_DATABASE(other_processes_are_kept_out_of_the_database),
		WITH_DATABASE(a_file_that_is_not_a_database_is_refused_by_name),
		WITH_DATABASE(a_quota_that_is_used_up_is_a_full_disk),
		WITH_DATABASE(a_log_is_written_again_up_to_its_last_whole_commit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
