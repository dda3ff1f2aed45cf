/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "content/blob_store.h"
#include "content/blob_writer.h"

#define MIB (1024 * 1024)

/* Each test gets an empty directory with a store in it. */
struct place {
	char path[64];
	int root;
	struct blob_store *store;
	struct error e;
};

static int make_place(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	if (!p)
		return -1;
	(void)snprintf(p->path, sizeof(p->path), "/tmp/blob_store.XXXXXX");
	if (!mkdtemp(p->path))
		return -1;
	p->root = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = p;
	return p->root < 0 ? -1 : blob_store_open(p->root, &p->store, &p->e);
}

static int remove_place(void **state)
{
	cleanup(free_ptr) struct place *p = *state;
	char command[128];

	blob_store_close(p->store);
	(void)close(p->root);
	(void)snprintf(command, sizeof(command), "rm -rf '%s'", p->path);
	return system(command);
}

static struct digest digest_for(const char *text)
{
	struct digest digest;

	assert_int_equal(digest_of(text, strlen(text), &digest), 0);
	return digest;
}

static unsigned int count_files(struct place *p, const char *folder)
{
	int fd = openat(p->root, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cleanup(close_directory) DIR *d = fdopendir(fd);
	unsigned int count = 0;
	struct dirent *entry;

	assert_non_null(d);
	while ((entry = readdir(d)))
		count += entry->d_name[0] != '.';
	return count;
}

static void write_file(struct place *p, const char *path, const char *text)
{
	int fd = openat(p->root, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(close(fd), 0);
}

static struct blob_writer *begin(struct place *p, const struct digest *digest, int64_t size,
				 int64_t expected_offset)
{
	struct blob_expectation expected = { .digest = digest, .size_bytes = size };
	struct blob_writer *w = NULL;
	int64_t offset = -1;

	assert_int_equal(blob_writer_begin(p->store, &expected, &w, &offset, &p->e), 0);
	assert_int_equal(offset, expected_offset);
	return w;
}

static void add(struct place *p, struct blob_writer *w, const char *text)
{
	assert_int_equal(blob_writer_add(w, text, strlen(text), &p->e), 0);
}

static int commit(struct place *p, struct blob_writer *w)
{
	struct digest digest;
	int64_t size;

	return blob_writer_commit(w, &digest, &size, &p->e);
}

static void assert_blob(struct place *p, const struct digest *digest, const char *text)
{
	cleanup(close_fd) int fd = -1;
	char buffer[64] = "";
	int64_t size = -1;

	assert_true(blob_store_has(p->store, digest));
	assert_int_equal(blob_store_open_blob(p->store, digest, &fd, &size, &p->e), 0);
	assert_int_equal(size, strlen(text));
	assert_int_equal(read(fd, buffer, sizeof(buffer)), strlen(text));
	assert_memory_equal(buffer, text, strlen(text));
}

static void a_written_blob_can_be_read_and_removed(void **state)
{
	struct place *p = *state;
	struct digest hello = digest_for("hello"), digest;
	struct blob_writer *w = begin(p, NULL, -1, 0);
	int64_t size = -1;
	int fd = -1;

	add(p, w, "hel");
	add(p, w, "lo");
	assert_false(blob_store_has(p->store, &hello));
	assert_int_equal(blob_writer_commit(w, &digest, &size, &p->e), 0);
	assert_int_equal(size, 5);
	assert_string_equal(digest.text, hello.text);
	assert_blob(p, &hello, "hello");
	assert_int_equal(count_files(p, "ingest"), 0);

	assert_int_equal(blob_store_remove(p->store, &hello, &p->e), 0);
	assert_int_equal(blob_store_remove(p->store, &hello, &p->e), 0);
	assert_int_equal(blob_store_open_blob(p->store, &hello, &fd, &size, &p->e), -ENOENT);
	assert_non_null(strstr(p->e.text, hello.text));
}

/* A part without a digest cannot be resumed. */
static void an_abandoned_part_without_digest_is_deleted(void **state)
{
	struct place *p = *state;
	struct blob_writer *w = begin(p, NULL, -1, 0);

	add(p, w, "hel");
	assert_int_equal(count_files(p, "ingest"), 1);
	blob_writer_abandon(w);
	assert_int_equal(count_files(p, "ingest"), 0);
}

static void a_writer_resumes_an_abandoned_part(void **state)
{
	struct place *p = *state;
	struct digest hello = digest_for("hello");
	struct blob_writer *w = begin(p, &hello, 5, 0);

	add(p, w, "he");
	blob_writer_abandon(w);
	/* Another process can resume it, too. */
	blob_store_close(p->store);
	assert_int_equal(blob_store_open(p->root, &p->store, &p->e), 0);
	w = begin(p, &hello, 5, 2);
	add(p, w, "l");
	assert_int_equal(commit(p, w), -ENODATA);
	assert_non_null(strstr(p->e.text, "only 3 of 5 bytes"));
	w = begin(p, &hello, -1, 3);
	add(p, w, "lo");
	assert_int_equal(commit(p, w), 0);
	assert_blob(p, &hello, "hello");
	assert_int_equal(count_files(p, "ingest"), 0);
}

/* The part was damaged between two writers. */
static void a_damaged_part_is_refused_and_deleted(void **state)
{
	struct place *p = *state;
	struct digest hello = digest_for("hello");
	struct blob_writer *w = begin(p, &hello, 5, 0);
	char path[128];

	add(p, w, "hel");
	blob_writer_abandon(w);
	(void)snprintf(path, sizeof(path), "ingest/%s", digest_hex(&hello));
	write_file(p, path, "hal");
	w = begin(p, &hello, 5, 3);
	add(p, w, "lo");
	assert_int_equal(commit(p, w), -EBADMSG);
	/* A part that is longer than the blob is discarded. */
	write_file(p, path, "hello world");
	w = begin(p, &hello, 5, 0);
	add(p, w, "hello");
	assert_int_equal(commit(p, w), 0);
	assert_blob(p, &hello, "hello");
}

static void a_reset_writer_starts_over(void **state)
{
	struct place *p = *state;
	struct digest hello = digest_for("hello");
	struct blob_writer *w = begin(p, &hello, 5, 0);

	add(p, w, "hal");
	assert_int_equal(blob_writer_reset(w, &p->e), 0);
	add(p, w, "hello");
	assert_int_equal(commit(p, w), 0);
	assert_blob(p, &hello, "hello");
}

static void a_blob_with_a_wrong_digest_is_never_visible(void **state)
{
	struct place *p = *state;
	struct digest hello = digest_for("hello"), hallo = digest_for("hallo");
	struct blob_writer *w = begin(p, &hello, 5, 0);

	add(p, w, "hallo");
	assert_int_equal(commit(p, w), -EBADMSG);
	assert_non_null(strstr(p->e.text, hello.text));
	assert_non_null(strstr(p->e.text, hallo.text));
	assert_false(blob_store_has(p->store, &hello));
	assert_false(blob_store_has(p->store, &hallo));
	assert_int_equal(count_files(p, "ingest"), 0);
	w = begin(p, &hello, 5, 0);
	blob_writer_abandon(w);
}

static void a_writer_refuses_more_bytes_than_expected(void **state)
{
	struct place *p = *state;
	struct digest hello = digest_for("hello");
	struct blob_writer *w = begin(p, &hello, 5, 0);

	add(p, w, "hell");
	assert_int_equal(blob_writer_add(w, "o!", 2, &p->e), -EFBIG);
	assert_non_null(strstr(p->e.text, hello.text));
	blob_writer_abandon(w);
	w = begin(p, &hello, 5, 4);
	blob_writer_abandon(w);
}

struct second_writer {
	struct place *place;
	const struct digest *digest;
	const atomic_bool *cancelled;
	atomic_bool done;
	int code;
};

static void *write_second(void *user)
{
	struct second_writer *s = user;
	struct blob_expectation expected = { s->digest, 5, s->cancelled };
	struct blob_writer *w = NULL;
	struct error e = { 0 };
	struct digest digest;
	int64_t offset, size;

	s->code = blob_writer_begin(s->place->store, &expected, &w, &offset, &e);
	if (s->code == 0)
		s->code = blob_writer_add(w, &"hello"[offset], (size_t)(5 - offset), &e);
	if (s->code == 0)
		s->code = blob_writer_commit(w, &digest, &size, &e);
	atomic_store(&s->done, true);
	return NULL;
}

static void start_second(struct second_writer *s, pthread_t *thread)
{
	assert_int_equal(pthread_create(thread, NULL, write_second, s), 0);
	/* It must not be done while the first one writes; this gives it the time to be. */
	for (int i = 0; i < 100; i++)
		sched_yield();
	assert_false(atomic_load(&s->done));
}

static void a_second_writer_waits_for_the_first(void **state)
{
	struct place *p = *state;
	struct digest hello = digest_for("hello");
	struct second_writer second = { .place = p, .digest = &hello };
	struct blob_writer *w = begin(p, &hello, 5, 0);
	pthread_t thread;

	start_second(&second, &thread);
	add(p, w, "hello");
	assert_int_equal(commit(p, w), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(second.code, -EEXIST);
}

/* The second writer resumes where the first one gave up. */
static void a_second_writer_resumes_after_the_first_gave_up(void **state)
{
	struct place *p = *state;
	struct digest hello = digest_for("hello");
	struct second_writer second = { .place = p, .digest = &hello };
	struct blob_writer *w = begin(p, &hello, 5, 0);
	pthread_t thread;

	start_second(&second, &thread);
	add(p, w, "hel");
	blob_writer_abandon(w);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(second.code, 0);
	assert_blob(p, &hello, "hello");
}

static void a_waiting_writer_can_be_cancelled(void **state)
{
	struct place *p = *state;
	struct digest hello = digest_for("hello");
	atomic_bool cancelled = false;
	struct second_writer second = { .place = p, .digest = &hello, .cancelled = &cancelled };
	struct blob_writer *w = begin(p, &hello, 5, 0);
	pthread_t thread;

	start_second(&second, &thread);
	atomic_store(&cancelled, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(second.code, -ECANCELED);
	add(p, w, "hello");
	assert_int_equal(commit(p, w), 0);
}

static void set_age(struct place *p, const char *path, int64_t age_ns)
{
	int64_t then = clock_wall_ns() - age_ns;
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
				     { then / NS_PER_S, then % NS_PER_S } };

	assert_int_equal(utimensat(p->root, path, times, AT_SYMLINK_NOFOLLOW), 0);
}

static void a_sweep_deletes_old_parts_that_have_no_writer(void **state)
{
	struct place *p = *state;
	struct digest hello = digest_for("hello");
	struct blob_writer *w = begin(p, &hello, 5, 0);
	char path[128];

	(void)snprintf(path, sizeof(path), "ingest/%s", digest_hex(&hello));
	write_file(p, "ingest/old", "x");
	write_file(p, "ingest/young", "x");
	set_age(p, "ingest/old", 3600 * NS_PER_S);
	set_age(p, path, 3600 * NS_PER_S);
	assert_int_equal(blob_store_sweep_ingest(p->store, 1800 * NS_PER_S, &p->e), 0);
	/* A part that is being written stays, however old it is. */
	assert_int_equal(count_files(p, "ingest"), 2);
	assert_int_equal(faccessat(p->root, "ingest/old", F_OK, 0), -1);
	assert_int_equal(blob_store_sweep_ingest(p->store, 0, &p->e), 0);
	assert_int_equal(count_files(p, "ingest"), 1);
	blob_writer_abandon(w);
}

static int sum_sizes(const struct digest *digest, int64_t size_bytes, void *user)
{
	struct digest parsed;

	assert_int_equal(digest_parse(digest->text, &parsed, NULL), 0);
	*(int64_t *)user += size_bytes;
	return 0;
}

static int stop(const struct digest *digest, int64_t size_bytes, void *user)
{
	(void)digest, (void)size_bytes, (void)user;
	return -EINTR;
}

static void a_list_has_every_blob_and_no_other_file(void **state)
{
	static const char *const texts[] = { "a", "bb", "cccc" };
	struct place *p = *state;
	int64_t total = 0;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct blob_writer *w = begin(p, NULL, -1, 0);

		add(p, w, texts[i]);
		assert_int_equal(commit(p, w), 0);
	}
	write_file(p, "blobs/sha256/stranger", "xxxxxxxxx");
	assert_int_equal(blob_store_list(p->store, sum_sizes, &total, &p->e), 0);
	assert_int_equal(total, 7);
	assert_int_equal(blob_store_list(p->store, stop, NULL, &p->e), -EINTR);
}

/* The store neither reads nor writes through a link. */
static void links_in_the_store_are_not_followed(void **state)
{
	struct place *p = *state;
	struct digest hello = digest_for("hello");
	struct blob_expectation expected = { .digest = &hello, .size_bytes = 5 };
	struct blob_store *second = NULL;
	struct blob_writer *w = NULL;
	char path[128];
	int64_t number;
	int fd = -1;

	write_file(p, "outside", "hello");
	(void)snprintf(path, sizeof(path), "ingest/%s", digest_hex(&hello));
	assert_int_equal(symlinkat("../outside", p->root, path), 0);
	assert_int_equal(blob_writer_begin(p->store, &expected, &w, &number, &p->e), -ELOOP);
	(void)snprintf(path, sizeof(path), "blobs/sha256/%s", digest_hex(&hello));
	assert_int_equal(symlinkat("../../outside", p->root, path), 0);
	assert_false(blob_store_has(p->store, &hello));
	assert_int_equal(blob_store_open_blob(p->store, &hello, &fd, &number, &p->e), -ELOOP);

	assert_int_equal(renameat(p->root, "ingest", p->root, "elsewhere"), 0);
	assert_int_equal(symlinkat("elsewhere", p->root, "ingest"), 0);
	assert_int_equal(blob_store_open(p->root, &second, &p->e), -ELOOP);
}

static void fill(struct place *p, struct blob_writer *w, const char *bytes, size_t length,
		 int64_t offset)
{
	int code = 0;

	for (size_t at = (size_t)offset; code == 0 && at < length; at += 4096)
		code = blob_writer_add(w, bytes + at, 4096, &p->e);
	assert_int_equal(code, -ENOSPC);
}

/* The part stays on the full disk, and a writer resumes it when there is space. */
static void a_full_disk_keeps_the_part_and_the_writer_can_resume(void **state)
{
	struct place *p = *state;
	cleanup(free_ptr) char *bytes = malloc(2 * MIB);
	struct blob_expectation expected = { .size_bytes = 2 * MIB };
	struct blob_writer *w = NULL;
	struct digest digest;
	char path[80];
	int64_t offset = 0;

	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		skip();
	(void)snprintf(path, sizeof(path), "%s/small", p->path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(mount("none", path, "tmpfs", 0, "size=1m"), 0);
	blob_store_close(take_ptr(p->store));
	assert_int_equal(close(p->root), 0);
	p->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(blob_store_open(p->root, &p->store, &p->e), 0);

	memset(bytes, 'x', 2 * MIB);
	assert_int_equal(digest_of(bytes, 2 * MIB, &digest), 0);
	expected.digest = &digest;
	w = begin(p, &digest, 2 * MIB, 0);
	fill(p, w, bytes, 2 * MIB, 0);
	assert_non_null(strstr(p->e.text, digest.text));
	blob_writer_abandon(take_ptr(w));
	assert_false(blob_store_has(p->store, &digest));

	assert_int_equal(mount("none", path, "tmpfs", MS_REMOUNT, "size=4m"), 0);
	assert_int_equal(blob_writer_begin(p->store, &expected, &w, &offset, &p->e), 0);
	assert_true(offset > MIB / 2);
	assert_int_equal(blob_writer_add(w, bytes, (size_t)(2 * MIB - offset), &p->e), 0);
	assert_int_equal(commit(p, w), 0);
	assert_true(blob_store_has(p->store, &digest));
	blob_store_close(take_ptr(p->store));
	assert_int_equal(close(p->root), 0);
	p->root = -1;
	assert_int_equal(umount2(path, 0), 0);
}

/* Writes blobs until it is killed. */
static void write_forever(struct place *p)
{
	char text[32];

	for (unsigned int i = 0;; i++) {
		struct blob_expectation expected = { .size_bytes = -1 };
		struct blob_writer *w;
		struct digest digest;
		int64_t offset;

		(void)snprintf(text, sizeof(text), "blob %u", i);
		if (digest_of(text, strlen(text), &digest) < 0)
			_exit(1);
		expected.digest = &digest;
		if (blob_writer_begin(p->store, &expected, &w, &offset, NULL) < 0)
			continue;
		if (blob_writer_add(w, text + offset, strlen(text) - (size_t)offset, NULL) < 0 ||
		    blob_writer_commit(w, &digest, &offset, NULL) < 0)
			_exit(1);
	}
}

struct whole_blobs {
	struct place *place;
	unsigned int count;
};

static int check_whole(const struct digest *digest, int64_t size_bytes, void *user)
{
	struct whole_blobs *whole = user;
	cleanup(close_fd) int fd = -1;
	struct digest content;
	char buffer[64];
	int64_t size;

	assert_int_equal(blob_store_open_blob(whole->place->store, digest, &fd, &size, NULL), 0);
	assert_int_equal(size, size_bytes);
	assert_int_equal(read(fd, buffer, sizeof(buffer)), size);
	assert_int_equal(digest_of(buffer, (size_t)size, &content), 0);
	assert_string_equal(content.text, digest->text);
	whole->count++;
	return 0;
}

static void killed_writers_leave_only_complete_blobs(void **state)
{
	struct place *p = *state;
	struct whole_blobs whole = { .place = p };

	for (unsigned int i = 0; i < 20; i++) {
		unsigned int had = whole.count;
		int status;
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* when the test fails */
			write_forever(p);
		}
		for (int tries = 0; tries < 10000 && whole.count <= had + i; tries++) {
			whole.count = 0;
			assert_int_equal(blob_store_list(p->store, check_whole, &whole, NULL), 0);
			assert_int_equal(usleep(100), 0);
		}
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
	}
	assert_true(count_files(p, "ingest") <= 20);
	assert_int_equal(blob_store_sweep_ingest(p->store, 0, &p->e), 0);
	assert_int_equal(count_files(p, "ingest"), 0);
}

int main(void)
{
#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, make_place, remove_place)
	const struct CMUnitTest tests[] = {
		IN_PLACE(a_written_blob_can_be_read_and_removed),
		IN_PLACE(an_abandoned_part_without_digest_is_deleted),
		IN_PLACE(a_writer_resumes_an_abandoned_part),
		IN_PLACE(a_damaged_part_is_refused_and_deleted),
		IN_PLACE(a_reset_writer_starts_over),
		IN_PLACE(a_blob_with_a_wrong_digest_is_never_visible),
		IN_PLACE(a_writer_refuses_more_bytes_than_expected),
		IN_PLACE(a_second_writer_waits_for_the_first),
		IN_PLACE(a_second_writer_resumes_after_the_first_gave_up),
		IN_PLACE(a_waiting_writer_can_be_cancelled),
		IN_PLACE(a_sweep_deletes_old_parts_that_have_no_writer),
		IN_PLACE(a_list_has_every_blob_and_no_other_file),
		IN_PLACE(links_in_the_store_are_not_followed),
		IN_PLACE(a_full_disk_keeps_the_part_and_the_writer_can_resume),
		IN_PLACE(killed_writers_leave_only_complete_blobs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
