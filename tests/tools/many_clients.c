/* SPDX-License-Identifier: Apache-2.0 */
/*
 * many_clients SOCKET CLIENTS SECONDS: runs clients with a connection each that call all methods at
 * once on records that they share. The agent may refuse calls on records that are deleted, in use
 * or of the wrong kind, and too many of anything. The program exits with 1 after any other failure,
 * and after a failure of a method that must always work. It may leave pins and the leases m0 to m3
 * behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <time.h>

#include "base/cleanup.h"
#include "transport/grpc_client.h"
#include "varve.pb-c.h"

#define CLIENTS_MAX 64
#define SHARED 48 /* ids; so few that clients often use the same */
#define ID_SIZE 32
#define REQUEST_SIZE 512

static const char *socket_path;
static atomic_bool stop, failed;

static struct {
	pthread_mutex_t lock;
	char ids[SHARED][ID_SIZE];
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER };

struct client {
	struct grpc_client *connection;
	unsigned random;
	size_t done, refused;
	char reply_id[ID_SIZE], reply_mount_point[256];
};

static unsigned choose(struct client *c, unsigned count)
{
	return (unsigned)rand_r(&c->random) % count;
}

static void take_id(struct client *c, char id[ID_SIZE])
{
	pthread_mutex_lock(&pool.lock);
	memcpy(id, pool.ids[choose(c, SHARED)], ID_SIZE);
	pthread_mutex_unlock(&pool.lock);
	if (!*id)
		(void)snprintf(id, ID_SIZE, "nosuchrecord");
}

static void put_id(struct client *c, const char *id)
{
	pthread_mutex_lock(&pool.lock);
	(void)snprintf(pool.ids[choose(c, SHARED)], ID_SIZE, "%s", id);
	pthread_mutex_unlock(&pool.lock);
}

static char *choose_lease(struct client *c)
{
	static char *const leases[] = { "", "", "m0", "m1", "m2", "m3", "cli" };

	return leases[choose(c, ARRAY_SIZE(leases))];
}

static int ignore(const uint8_t *bytes, size_t length, void *user)
{
	(void)bytes;
	(void)length;
	(void)user;
	return 0;
}

static int take_mount(const uint8_t *bytes, size_t length, void *user)
{
	Varve__V1__MountReply *reply = varve__v1__mount_reply__unpack(NULL, length, bytes);
	struct client *c = user;

	if (!reply)
		return -EPROTO;
	(void)snprintf(c->reply_id, sizeof(c->reply_id), "%s", reply->id);
	(void)snprintf(c->reply_mount_point, sizeof(c->reply_mount_point), "%s", reply->mountpoint);
	varve__v1__mount_reply__free_unpacked(reply, NULL);
	return 0;
}

static int take_record(const uint8_t *bytes, size_t length, void *user)
{
	Varve__V1__IdReply *reply = varve__v1__id_reply__unpack(NULL, length, bytes);
	struct client *c = user;

	if (!reply)
		return -EPROTO;
	(void)snprintf(c->reply_id, sizeof(c->reply_id), "%s", reply->id);
	varve__v1__id_reply__free_unpacked(reply, NULL);
	return 0;
}

static bool may_be_refused(int code)
{
	return code == -ENOENT || code == -EBUSY || code == -EINVAL || code == -ENOTEMPTY ||
	       code == -EEXIST || code == -EMFILE;
}

/* Returns 0 when the agent did not refuse it. */
static int call(struct client *c, const char *method, const ProtobufCMessage *request, bool always,
		int (*reply)(const uint8_t *bytes, size_t length, void *user))
{
	uint8_t bytes[REQUEST_SIZE];
	size_t length = protobuf_c_message_pack(request, bytes); /* short texts only */
	struct error e = { 0 };
	char path[64];
	int code;

	(void)snprintf(path, sizeof(path), "/varve.v1.Cache/%s", method);
	code = grpc_client_call(c->connection, path, bytes, length, reply, c, &e);
	c->done += code == 0;
	c->refused += code < 0;
	if (code < 0 && (always || !may_be_refused(code))) {
		fprintf(stderr, "%s: %s\n", method, e.text);
		atomic_store(&failed, true);
	}
	return code;
}

/* Other clients may unmount it meanwhile, or mount it read-only: then this does nothing. */
static void touch_files(struct client *c)
{
	struct statfs fs;
	char byte = 'x';

	cleanup(close_fd) int root = open(c->reply_mount_point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0 || fstatfs(root, &fs) < 0 || fs.f_type != OVERLAYFS_SUPER_MAGIC)
		return;
	cleanup(close_fd) int fd = openat(root, "file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0 && write(fd, &byte, 1) == 1)
		(void)!pread(fd, &byte, 1, 0);
}

/* ---- one operation each ---- */

static void make(struct client *c)
{
	Varve__V1__NewRequest request = VARVE__V1__NEW_REQUEST__INIT;
	char parent[ID_SIZE];

	take_id(c, parent);
	request.parent = choose(c, 2) ? parent : "";
	request.lease = choose_lease(c);
	request.retain = choose(c, 2) == 1;
	if (call(c, "New", &request.base, false, take_mount) < 0)
		return;
	put_id(c, c->reply_id);
	touch_files(c);
}

static void mount_one(struct client *c)
{
	Varve__V1__MountRequest request = VARVE__V1__MOUNT_REQUEST__INIT;
	char id[ID_SIZE];

	take_id(c, id);
	request.id = id;
	request.read_only = choose(c, 2) == 1;
	if (call(c, "Mount", &request.base, false, take_mount) == 0)
		touch_files(c);
}

static void by_id(struct client *c)
{
	static const char *const methods[] = { "Unmount", "Finalize", "Remove", "Explain" };
	Varve__V1__IdRequest request = VARVE__V1__ID_REQUEST__INIT;
	char id[ID_SIZE];

	take_id(c, id);
	request.id = id;
	(void)call(c, methods[choose(c, ARRAY_SIZE(methods))], &request.base, false, ignore);
}

static void commit_or_release(struct client *c)
{
	Varve__V1__LeaseIdRequest request = VARVE__V1__LEASE_ID_REQUEST__INIT;
	char id[ID_SIZE];

	take_id(c, id);
	request.id = id;
	request.lease = choose_lease(c);
	if (choose(c, 2))
		(void)call(c, "Release", &request.base, false, ignore);
	else if (call(c, "Commit", &request.base, false, take_record) == 0)
		put_id(c, c->reply_id);
}

static void get(struct client *c)
{
	Varve__V1__GetRequest request = VARVE__V1__GET_REQUEST__INIT;
	char id[ID_SIZE];

	take_id(c, id);
	request.id = id;
	request.mutable_ = choose(c, 3) == 0;
	request.no_use = choose(c, 3) == 0;
	request.lease = choose_lease(c);
	if (call(c, "Get", &request.base, false, take_record) == 0)
		put_id(c, c->reply_id);
}

static void pin_or_label(struct client *c)
{
	Varve__V1__PinRequest pin = VARVE__V1__PIN_REQUEST__INIT;
	Varve__V1__LabelRequest label = VARVE__V1__LABEL_REQUEST__INIT;
	Varve__V1__Label set = VARVE__V1__LABEL__INIT;
	Varve__V1__Label *sets[] = { &set };
	char id[ID_SIZE];

	take_id(c, id);
	pin.id = label.id = id;
	pin.pinned = choose(c, 4) == 0;
	set.key = "k";
	set.value = choose(c, 2) ? "a" : "b";
	label.n_set = 1;
	label.set = sets;
	if (choose(c, 2))
		(void)call(c, "Pin", &pin.base, false, ignore);
	else
		(void)call(c, "Label", &label.base, false, ignore);
}

static void change_leases(struct client *c)
{
	Varve__V1__LeaseRequest lease = VARVE__V1__LEASE_REQUEST__INIT;
	Varve__V1__NeedRequest need = VARVE__V1__NEED_REQUEST__INIT;
	char id[ID_SIZE], name[3], *needs[] = { id };

	(void)snprintf(name, sizeof(name), "m%u", choose(c, 4));
	take_id(c, id);
	lease.name = need.lease = name;
	need.n_needs = 1;
	need.needs = needs;
	switch (choose(c, 4)) {
	case 0:
		(void)call(c, "LeaseRemove", &lease.base, false, ignore);
		break;
	case 1:
		(void)call(c, "LeaseNeed", &need.base, false, ignore);
		break;
	default:
		(void)call(c, "LeaseCreate", &lease.base, false, ignore);
	}
}

/* B56: a listing never fails because a record is deleted meanwhile. */
static void list(struct client *c)
{
	Varve__V1__ListRequest listing = VARVE__V1__LIST_REQUEST__INIT;
	Varve__V1__StatsRequest stats = VARVE__V1__STATS_REQUEST__INIT;
	Varve__V1__FilesRequest files = VARVE__V1__FILES_REQUEST__INIT;
	char id[ID_SIZE];

	take_id(c, id);
	files.id = id;
	listing.disk_usage = choose(c, 2) == 1;
	stats.by_mount = choose(c, 2) == 1;
	switch (choose(c, 4)) {
	case 0:
		(void)call(c, "Stats", &stats.base, true, ignore);
		break;
	case 1:
		(void)call(c, "Files", &files.base, false, ignore);
		break;
	default:
		(void)call(c, "List", &listing.base, true, ignore);
	}
}

static void look(struct client *c)
{
	static const char *const methods[] = { "Info", "LeaseList", "PolicyList", "Doctor" };
	Varve__V1__Empty request = VARVE__V1__EMPTY__INIT;

	(void)call(c, methods[choose(c, ARRAY_SIZE(methods))], &request.base, true, ignore);
}

static void prune(struct client *c)
{
	Varve__V1__PruneRequest request = VARVE__V1__PRUNE_REQUEST__INIT;
	Varve__V1__FsckRequest fsck = VARVE__V1__FSCK_REQUEST__INIT;

	request.all = choose(c, 2) == 1;
	request.dry_run = choose(c, 2) == 1;
	request.keep_storage = choose(c, 2) ? 0 : 65536;
	if (choose(c, 4) == 0)
		(void)call(c, "Fsck", &fsck.base, true, ignore);
	else
		(void)call(c, "Prune", &request.base, true, ignore);
}

/* ---- all of them ---- */

static void *run_client(void *user)
{
	static void (*const operations[])(struct client * c) = {
		make, make, make, mount_one,	 by_id, by_id, commit_or_release, commit_or_release,
		get,  get,  list, change_leases, look,	prune, pin_or_label,
	};
	struct client *c = user;
	struct error e = { 0 };

	if (grpc_client_connect(socket_path, &c->connection, &e) < 0) {
		fprintf(stderr, "connect: %s\n", e.text);
		atomic_store(&failed, true);
		return NULL;
	}
	while (!atomic_load(&stop) && !atomic_load(&failed))
		operations[choose(c, ARRAY_SIZE(operations))](c);
	grpc_client_free(c->connection);
	return NULL;
}

int main(int argc, char **argv)
{
	static struct client clients[CLIENTS_MAX];
	pthread_t threads[CLIENTS_MAX];
	size_t count, started = 0, done = 0, refused = 0;

	count = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
	if (count == 0 || count > CLIENTS_MAX) {
		fputs("usage: many_clients SOCKET CLIENTS SECONDS\n", stderr);
		return 2;
	}
	socket_path = argv[1];
	for (; started < count; started++) {
		clients[started].random = (unsigned)started + 1;
		if (pthread_create(&threads[started], NULL, run_client, &clients[started]) != 0)
			return 1;
	}
	(void)nanosleep(&(struct timespec){ .tv_sec = atoi(argv[3]) }, NULL);
	atomic_store(&stop, true);
	for (size_t i = 0; i < count; i++) {
		pthread_join(threads[i], NULL);
		done += clients[i].done;
		refused += clients[i].refused;
	}
	printf("%zu done, %zu refused\n", done, refused);
	return atomic_load(&failed) || done < count;
}
