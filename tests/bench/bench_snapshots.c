/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_snapshots SOCKET PEER_SOCKET: measures the same calls of containerd's Snapshots to a
 * running agent and to a peer, in turns, over one connection each, then from many clients at once.
 * Prints medians and ratios of medians as JSON lines. Leaves its snapshots behind.
 *
 * bench_snapshots LARGE_SOCKET SMALL_SOCKET growth: how much more Prepare, Commit and Remove take
 * with a large store than with a small one, in turns.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "snapshots.pb-c.h"
#include "transport/grpc_client.h"

#define DEPTH 5
#define ROUNDS 300
#define WARM_UP 20
#define FILES 10000
#define LISTED 10000
#define LISTINGS 51
#define CLIENTS 32
#define LIVES 40 /* of each client, in each turn */
#define TURNS 7

#define SNAPSHOTS(name) Containerd__Services__Snapshots__V1__##name
#define INIT(NAME) CONTAINERD__SERVICES__SNAPSHOTS__V1__##NAME##__INIT

enum side { VARVE, PEER, SIDES };

static const char *sockets[SIDES];
static bool growth; /* the peer is an agent with a small store */

static double now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static struct grpc_client *connect_to(enum side side)
{
	struct grpc_client *client = NULL;
	struct error e = { 0 };

	if (grpc_client_connect(sockets[side], &client, &e) < 0) {
		fprintf(stderr, "bench_snapshots: %s\n", e.text);
		exit(1);
	}
	return client;
}

static void call(struct grpc_client *client, const char *method, const ProtobufCMessage *request,
		 int (*on_message)(const uint8_t *bytes, size_t length, void *user), void *user)
{
	char path[80];
	uint8_t bytes[1024];
	size_t length = protobuf_c_message_pack(request, bytes); /* a few short texts */
	struct error e = { 0 };

	(void)snprintf(path, sizeof(path), "/containerd.services.snapshots.v1.Snapshots/%s",
		       method);
	if (grpc_client_call(client, path, bytes, length, on_message, user, &e) == 0)
		return;
	fprintf(stderr, "bench_snapshots: %s: %s\n", method, e.text);
	exit(1);
}

static int ignore(const uint8_t *bytes, size_t length, void *user)
{
	(void)bytes;
	(void)length;
	(void)user;
	return 0;
}

static int take_source(const uint8_t *bytes, size_t length, void *user)
{
	SNAPSHOTS(MountsReply) *reply =
		containerd__services__snapshots__v1__mounts_reply__unpack(NULL, length, bytes);

	if (!reply || reply->n_mounts != 1)
		return -EPROTO;
	(void)snprintf(user, 4096, "%s", reply->mounts[0]->source);
	containerd__services__snapshots__v1__mounts_reply__free_unpacked(reply, NULL);
	return 0;
}

static void prepare(struct grpc_client *client, char *key, char *parent, char source[4096])
{
	SNAPSHOTS(PrepareRequest) request = INIT(PREPARE_REQUEST);

	request.key = key;
	request.parent = parent;
	call(client, "Prepare", &request.base, source ? take_source : ignore, source);
}

static void commit(struct grpc_client *client, char *key, char *name)
{
	SNAPSHOTS(CommitRequest) request = INIT(COMMIT_REQUEST);

	request.key = key;
	request.name = name;
	call(client, "Commit", &request.base, ignore, NULL);
}

static void by_key(struct grpc_client *client, const char *method, char *key)
{
	SNAPSHOTS(KeyRequest) request = INIT(KEY_REQUEST);

	request.key = key;
	call(client, method, &request.base, ignore, NULL);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
	qsort(values, count, sizeof(*values), by_value);
	return values[count / 2];
}

static void print(const char *name, double value, const char *unit)
{
	printf("{\"name\":\"%s\",\"value\":%.3f,\"unit\":\"%s\"}\n", name, value, unit);
	(void)fflush(stdout); /* the caller may be waiting for the line */
}

/* Prints the median of the agent, and its ratio to the peer's. */
static void compare(const char *what, double *values[SIDES], size_t count)
{
	double varve = median(values[VARVE], count), peer = median(values[PEER], count);
	char name[40];

	(void)snprintf(name, sizeof(name), "snapshot_%s%s_us", what, growth ? "_1m" : "");
	print(name, varve, "us");
	(void)snprintf(name, sizeof(name), "%s_%s", what, growth ? "growth_1m" : "vs_peer");
	print(name, varve / peer, "ratio");
}

/* Commits "bench/0/base-1" … "bench/0/base-DEPTH", each on top of the one before. */
static void make_base(struct grpc_client *client)
{
	char name[40], parent[40] = "", key[] = "bench/0/base";

	for (int i = 1; i <= DEPTH; i++) {
		prepare(client, key, parent, NULL);
		(void)snprintf(name, sizeof(name), "bench/0/base-%d", i);
		commit(client, key, name);
		memcpy(parent, name, sizeof(name));
	}
}

#define BASE ((char *)"bench/0/base-5")

static void compare_lives(struct grpc_client *clients[SIDES])
{
	static double prepares[SIDES][ROUNDS], commits[SIDES][ROUNDS], removes[SIDES][ROUNDS];

	for (int i = -WARM_UP; i < ROUNDS; i++)
		for (enum side side = VARVE; side < SIDES; side++) {
			char key[] = "bench/1/active", name[] = "bench/2/committed";
			double start = now_us(), prepared, committed;

			prepare(clients[side], key, BASE, NULL);
			prepared = now_us();
			commit(clients[side], key, name);
			committed = now_us();
			by_key(clients[side], "Remove", name);
			if (i < 0)
				continue;
			prepares[side][i] = prepared - start;
			commits[side][i] = committed - prepared;
			removes[side][i] = now_us() - committed;
		}
	compare("prepare", (double *[]){ prepares[VARVE], prepares[PEER] }, ROUNDS);
	compare("commit", (double *[]){ commits[VARVE], commits[PEER] }, ROUNDS);
	compare("remove", (double *[]){ removes[VARVE], removes[PEER] }, ROUNDS);
}

static void make_files(const char *directory)
{
	cleanup(close_fd) int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; i < FILES; i++) {
		cleanup(close_fd) int file = -EBADF;
		char name[16];

		(void)snprintf(name, sizeof(name), "%d", i);
		file = openat(fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
		if (file < 0 || write(file, name, sizeof(name)) < 0) {
			perror(directory);
			exit(1);
		}
	}
}

static void compare_usage(struct grpc_client *clients[SIDES])
{
	static double usages[SIDES][ROUNDS], stats[SIDES][ROUNDS];
	char key[] = "bench/3/files", name[] = "bench/4/files";

	for (enum side side = VARVE; side < SIDES; side++) {
		char source[4096];

		prepare(clients[side], key, (char *)"", source);
		make_files(source);
		commit(clients[side], key, name);
	}
	for (int i = -WARM_UP; i < ROUNDS; i++)
		for (enum side side = VARVE; side < SIDES; side++) {
			double start = now_us(), used;

			by_key(clients[side], "Usage", name);
			used = now_us();
			by_key(clients[side], "Stat", name);
			if (i < 0)
				continue;
			usages[side][i] = used - start;
			stats[side][i] = now_us() - used;
		}
	compare("usage", (double *[]){ usages[VARVE], usages[PEER] }, ROUNDS);
	/* stat_vs_peer is of a call that does next to nothing: Usage cannot take less. */
	compare("stat", (double *[]){ stats[VARVE], stats[PEER] }, ROUNDS);
}

/* ---- many clients ---- */

struct worker {
	pthread_t thread;
	enum side side;
	int number, lives;
	bool keep; /* the committed snapshots */
};

static void *live(void *arg)
{
	const struct worker *w = arg;
	cleanup(grpc_client_free) struct grpc_client *client = connect_to(w->side);

	for (int i = 0; i < w->lives; i++) {
		char key[64], name[64];

		(void)snprintf(key, sizeof(key), "bench/5/active-%d", w->number);
		(void)snprintf(name, sizeof(name), "bench/6/committed-%d-%d", w->number, i);
		prepare(client, key, BASE, NULL);
		commit(client, key, name);
		if (!w->keep)
			by_key(client, "Remove", name);
	}
	return NULL;
}

/* Returns the lives of snapshots per second. */
static double live_in_parallel(enum side side, int lives, bool keep)
{
	struct worker workers[CLIENTS];
	double start = now_us();

	for (int i = 0; i < CLIENTS; i++) {
		workers[i] =
			(struct worker){ .side = side, .number = i, .lives = lives, .keep = keep };
		if (pthread_create(&workers[i].thread, NULL, live, &workers[i]) != 0)
			exit(1);
	}
	for (int i = 0; i < CLIENTS; i++)
		pthread_join(workers[i].thread, NULL);
	return CLIENTS * lives / (now_us() - start) * 1e6;
}

static void compare_parallel(void)
{
	static double rates[SIDES][TURNS];
	double varve, peer;

	for (int i = 0; i < TURNS; i++)
		for (enum side side = VARVE; side < SIDES; side++)
			rates[side][i] = live_in_parallel(side, LIVES, false);
	varve = median(rates[VARVE], TURNS);
	peer = median(rates[PEER], TURNS);
	print("parallel_lives_per_s", varve, "1/s");
	print("parallel_vs_peer", varve / peer, "ratio");
}

static void list(struct grpc_client *client)
{
	SNAPSHOTS(ListRequest) request = INIT(LIST_REQUEST);

	call(client, "List", &request.base, ignore, NULL);
}

static void compare_lists(struct grpc_client *clients[SIDES])
{
	static double lists[SIDES][LISTINGS];

	for (enum side side = VARVE; side < SIDES; side++)
		(void)live_in_parallel(side, LISTED / CLIENTS, true);
	for (int i = 0; i < LISTINGS; i++)
		for (enum side side = VARVE; side < SIDES; side++) {
			double start = now_us();

			list(clients[side]);
			lists[side][i] = now_us() - start;
		}
	compare("list", (double *[]){ lists[VARVE], lists[PEER] }, LISTINGS);
}

int main(int argc, char **argv)
{
	struct grpc_client *clients[SIDES];

	growth = argc == 4 && strcmp(argv[3], "growth") == 0;
	if (argc != 3 && !growth) {
		fputs("usage: bench_snapshots SOCKET PEER_SOCKET [growth]\n", stderr);
		return 2;
	}
	for (enum side side = VARVE; side < SIDES; side++) {
		sockets[side] = argv[1 + side];
		clients[side] = connect_to(side);
		make_base(clients[side]);
	}
	compare_lives(clients);
	if (!growth) {
		compare_usage(clients);
		compare_parallel();
		compare_lists(clients);
	}
	for (enum side side = VARVE; side < SIDES; side++)
		grpc_client_free(clients[side]);
	return 0;
}
