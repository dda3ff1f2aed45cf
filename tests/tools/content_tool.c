/* SPDX-License-Identifier: Apache-2.0 */
/*
 * content_tool [OPTION…] COMMAND: calls the functions of userspace/content from a shell.
 *
 *   add FILE                                        adds it to the store; prints digest and size
 *   list                                            prints the digests and sizes in the store
 *   fetch-manifest REGISTRY REPOSITORY REFERENCE    prints digest, media type, size; then the bytes
 *   fetch-blob REGISTRY REPOSITORY DIGEST SIZE      a SIZE of -1 is unknown
 *   push-blob REGISTRY REPOSITORY DIGEST
 *   push-manifest REGISTRY REPOSITORY TAG MEDIA-TYPE FILE
 *   credentials FILE REGISTRY REPOSITORY            prints the password or helper that is found
 *
 * --store DIR, --helper PATH, --credentials FILE, --auth USER:PASSWORD, --stall SECONDS; --many N
 * fetches N times at once; --cancel cancels at the first byte. A failure prints the errno's name
 * and the error's text.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "content/blob_fetch.h"
#include "content/blob_writer.h"
#include "content/credentials_file.h"

#define MANY_MAX 64

struct tool {
	struct blob_store *store;
	struct fetch_control control;
	struct fetch_source source;
	char **args;
	int many;
	bool cancel;
	atomic_bool cancelled;
	struct error e;
};

static void on_progress(int64_t done_bytes, int64_t total_bytes, void *user)
{
	struct tool *t = user;

	(void)total_bytes;
	if (t->cancel && done_bytes > 0)
		atomic_store(&t->cancelled, true);
}

static int read_all(struct tool *t, const char *path, char **ret_bytes, size_t *ret_length)
{
	cleanup(close_file) FILE *f = fopen(path, "re");
	cleanup(free_ptr) char *bytes = NULL;
	size_t length = 0, got;

	if (!f)
		return error_set(&t->e, -errno, "open %s: %s", path, strerror(errno));
	do {
		bytes = realloc(bytes, length + 65536);
		if (!bytes)
			return error_set(&t->e, -ENOMEM, "out of memory");
		got = fread(bytes + length, 1, 65536, f);
		length += got;
	} while (got > 0);
	*ret_bytes = take_ptr(bytes);
	*ret_length = length;
	return 0;
}

static int add(struct tool *t)
{
	struct blob_expectation expected = { .size_bytes = -1 };
	cleanup(free_ptr) char *bytes = NULL;
	cleanup(blob_writer_abandon) struct blob_writer *w = NULL;
	struct digest digest;
	int64_t size = 0;
	size_t length = 0;
	int code = read_all(t, t->args[0], &bytes, &length);

	if (code == 0)
		code = blob_writer_begin(t->store, &expected, &w, &size, &t->e);
	if (code == 0)
		code = blob_writer_add(w, bytes, length, &t->e);
	if (code == 0)
		code = blob_writer_commit(take_ptr(w), &digest, &size, &t->e);
	if (code == 0)
		printf("%s %" PRId64 "\n", digest.text, size);
	return code;
}

static int print_blob(const struct digest *digest, int64_t size_bytes, void *user)
{
	(void)user;
	printf("%s %" PRId64 "\n", digest->text, size_bytes);
	return 0;
}

static int list(struct tool *t)
{
	return blob_store_list(t->store, print_blob, NULL, &t->e);
}

static int get_manifest(struct tool *t)
{
	cleanup(free_ptr) void *bytes = NULL;
	cleanup(free_ptr) char *media_type = NULL;
	struct digest digest;
	size_t length;
	int code = fetch_manifest(&t->control, &t->source, t->args[2], &bytes, &length, &media_type,
				  &digest, &t->e);

	if (code == 0) {
		printf("%s %s %zu\n", digest.text, media_type, length);
		(void)fwrite(bytes, 1, length, stdout);
	}
	return code;
}

struct one_of_many {
	struct tool *tool;
	pthread_t thread;
	struct digest digest;
	int code;
	struct error e;
};

static void *get_one(void *user)
{
	struct one_of_many *one = user;
	struct tool *t = one->tool;

	one->code = fetch_blob(&t->control, t->store, &t->source, &one->digest,
			       strtoll(t->args[3], NULL, 10), &one->e);
	return NULL;
}

static int get_blob(struct tool *t)
{
	struct one_of_many ones[MANY_MAX] = { 0 };
	int code = 0;

	for (int i = 0; i < t->many; i++) {
		ones[i].tool = t;
		code = digest_parse(t->args[2], &ones[i].digest, &t->e);
		if (code < 0)
			return code;
	}
	for (int i = 0; i < t->many; i++)
		if (pthread_create(&ones[i].thread, NULL, get_one, &ones[i]) != 0)
			abort();
	for (int i = 0; i < t->many; i++) {
		(void)pthread_join(ones[i].thread, NULL); /* cannot fail */
		if (ones[i].code < 0) {
			t->e = ones[i].e;
			code = ones[i].code;
		}
	}
	return code;
}

static int put_blob(struct tool *t)
{
	struct digest digest;
	int code = digest_parse(t->args[2], &digest, &t->e);

	return code < 0 ? code : push_blob(&t->control, t->store, &t->source, &digest, &t->e);
}

static int put_manifest(struct tool *t)
{
	cleanup(free_ptr) char *bytes = NULL;
	size_t length = 0;
	int code = read_all(t, t->args[4], &bytes, &length);

	return code < 0 ? code
			: push_manifest(&t->control, &t->source, t->args[2], t->args[3], bytes,
					length, &t->e);
}

static int find_credentials(struct tool *t)
{
	cleanup(credentials_free) struct credentials c = { 0 };
	int code = credentials_file_find(t->args[0], t->args[1], t->args[2], &c, &t->e);

	if (code == 0)
		printf("%s\n", c.text ? c.text : c.helper ? c.helper : "none");
	return code;
}

static const struct command {
	const char *name;
	int args;
	bool remote; /* its first two arguments are registry and repository */
	int (*run)(struct tool *t);
} commands[] = {
	{ "add", 1, false, add },
	{ "list", 0, false, list },
	{ "fetch-manifest", 3, true, get_manifest },
	{ "fetch-blob", 4, true, get_blob },
	{ "push-blob", 3, true, put_blob },
	{ "push-manifest", 5, true, put_manifest },
	{ "credentials", 3, false, find_credentials },
};

static int run(struct tool *t, int count, char **args)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		const struct command *c = &commands[i];

		if (count != c->args + 1 || strcmp(args[0], c->name) != 0)
			continue;
		t->args = args + 1;
		if (c->remote) {
			t->source.registry = t->args[0];
			t->source.repository = t->args[1];
		}
		return c->run(t);
	}
	return error_set(&t->e, -EINVAL, "unknown command, or wrong number of arguments");
}

static int open_store(struct tool *t, const char *path)
{
	int root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (root < 0)
		return error_set(&t->e, -errno, "open %s: %s", path, strerror(errno));
	return blob_store_open(root, &t->store, &t->e);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "store", 1, NULL, 's' },	 { "helper", 1, NULL, 'h' },
		{ "credentials", 1, NULL, 'c' }, { "auth", 1, NULL, 'a' },
		{ "stall", 1, NULL, 't' },	 { "many", 1, NULL, 'm' },
		{ "cancel", 0, NULL, 'x' },	 { 0 },
	};
	struct tool t = { .many = 1 };
	const char *store = ".";
	int option, code;

	while ((option = getopt_long(argc, argv, "+", options, NULL)) >= 0) {
		switch (option) {
		case 's':
			store = optarg;
			break;
		case 'h':
			t.control.helper = optarg;
			break;
		case 'c':
			t.control.credentials_file = optarg;
			break;
		case 'a':
			t.source.credentials = optarg;
			break;
		case 't':
			t.control.stall_seconds = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 'm':
			t.many = (int)strtoul(optarg, NULL, 10) % (MANY_MAX + 1);
			break;
		case 'x':
			t.cancel = true;
			break;
		default:
			return 2;
		}
	}
	t.control.cancelled = &t.cancelled;
	t.control.progress = on_progress;
	t.control.user = &t;
	code = open_store(&t, store);
	if (code == 0)
		code = run(&t, argc - optind, argv + optind);
	blob_store_close(t.store);
	if (code < 0)
		fprintf(stderr, "%s: %s\n", strerrorname_np(-code), t.e.text);
	return code < 0;
}
