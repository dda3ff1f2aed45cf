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

#include <cmocka.h>

#include "store/change_set.h"
#include "store/lease_rows.h"

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
	return database_open(f->path, &f->database, NULL);
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
		/* The name is taken: this one fails, and nobody else in the same transaction. */
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
	/* What was refused is still in the set, and can be looked at or written elsewhere. */
	assert_false(change_set_is_empty(&c));
}

static void what_was_written_is_there_again(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(add_lease(f->database, "kept", NULL), 0);
	database_close(f->database);
	f->database = NULL;
	assert_int_equal(database_open(f->path, &f->database, NULL), 0);
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
	assert_int_equal(database_open(f->path, &f->database, &e), -ENOTSUP);
	assert_non_null(strstr(e.text, "newer varved"));
	f->database = NULL;
}

static void a_file_that_is_no_database_is_named(void **state)
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
	assert_int_equal(database_open(f->path, &f->database, &e), -EILSEQ);
	assert_non_null(strstr(e.text, f->path));
	f->database = NULL;
}

#define WITH_DATABASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DATABASE(writers_share_transactions_but_not_errors),
		WITH_DATABASE(a_change_set_is_all_or_nothing),
		WITH_DATABASE(what_was_written_is_there_again),
		WITH_DATABASE(a_newer_schema_is_refused),
		WITH_DATABASE(a_file_that_is_no_database_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
