/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures a running agent with many clients. Prints JSON lines.
 *
 * bench_scale SOCKET create    how many records 64 clients, and one, make and mount per second
 * bench_scale SOCKET prune     how long Info takes while a prune evicts all that it may
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "transport/grpc_client.h"
#include "varve.pb-c.h"

#define CREATORS 64
#define CREATE_SECONDS 2
#define CREATE_ROUNDS 3
#define CALLS_MAX 1000000

static const char *socket_path;
static atomic_bool stop;

static double now_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what, const struct error *e)
{
	fprintf(stderr, "bench_scale: %s: %s\n", what, e->text);
	exit(1);
}

static struct grpc_client *connect_client(void)
{
	struct grpc_client *client;
	struct error e = { 0 };

	if (grpc_client_connect(socket_path, &client, &e) < 0)
		die("connect", &e);
	return client;
}

static int ignore(const uint8_t *bytes, size_t length, void *user)
{
	(void)bytes;
	(void)length;
	(void)user;
	return 0;
}

static void call(struct grpc_client *client, const char *method, const ProtobufCMessage *request,
		 int (*reply)(const uint8_t *bytes, size_t length, void *user), void *user)
{
	uint8_t bytes[1024];
	size_t length = protobuf_c_message_pack(request, bytes); /* a few short texts */
	struct error e = { 0 };
	char path[64];

	(void)snprintf(path, sizeof(path), "/varve.v1.Cache/%s", method);
	if (grpc_client_call(client, path, bytes, length, reply, user, &e) < 0)
		die(method, &e);
}

/* ---- create ---- */

static void *create_records(void *unused)
{
	struct grpc_client *client = connect_client();
	size_t made = 0;

	(void)unused;
	while (!atomic_load(&stop)) {
		Varve__V1__NewRequest request = VARVE__V1__NEW_REQUEST__INIT;

		call(client, "New", &request.base, ignore, NULL);
		made++;
	}
	grpc_client_free(client); /* the agent releases what the client made */
	return (void *)made;
}

static int take_records(const uint8_t *bytes, size_t length, void *user)
{
	Varve__V1__InfoReply *info = varve__v1__info_reply__unpack(NULL, length, bytes);

	if (!info)
		return -1;
	*(uint64_t *)user = info->records;
	varve__v1__info_reply__free_unpacked(info, NULL);
	return 0;
}

/* Waits until the agent has deleted what the creators made. */
static void wait_for_records(uint64_t wanted)
{
	Varve__V1__Empty request = VARVE__V1__EMPTY__INIT;
	struct grpc_client *client = connect_client();
	uint64_t records = UINT64_MAX;

	while (records > wanted) {
		call(client, "Info", &request.base, take_records, &records);
		(void)nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	}
	grpc_client_free(client);
}

static double creations_per_second(size_t creators)
{
	pthread_t threads[CREATORS];
	double start, took;
	size_t sum = 0;

	wait_for_records(0);
	start = now_s();

	atomic_store(&stop, false);
	for (size_t i = 0; i < creators; i++)
		if (pthread_create(&threads[i], NULL, create_records, NULL) != 0)
			exit(1);
	(void)nanosleep(&(struct timespec){ .tv_sec = CREATE_SECONDS }, NULL);
	atomic_store(&stop, true);
	took = now_s() - start;
	for (size_t i = 0; i < creators; i++) {
		void *made;

		pthread_join(threads[i], &made);
		sum += (size_t)made;
	}
	return (double)sum / took;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void measure_creation(void)
{
	double one[CREATE_ROUNDS], many[CREATE_ROUNDS], ratio[CREATE_ROUNDS];

	for (size_t i = 0; i < CREATE_ROUNDS; i++) {
		one[i] = creations_per_second(1);
		many[i] = creations_per_second(CREATORS);
		ratio[i] = many[i] / one[i];
	}
	qsort(one, CREATE_ROUNDS, sizeof(*one), by_value);
	qsort(many, CREATE_ROUNDS, sizeof(*many), by_value);
	qsort(ratio, CREATE_ROUNDS, sizeof(*ratio), by_value);
	printf("{\"name\":\"create_one_per_s\",\"value\":%.0f,\"unit\":\"1/s\"}\n",
	       one[CREATE_ROUNDS / 2]);
	printf("{\"name\":\"create_64_per_s\",\"value\":%.0f,\"unit\":\"1/s\"}\n",
	       many[CREATE_ROUNDS / 2]);
	printf("{\"name\":\"create_scaling\",\"value\":%.2f,\"unit\":\"ratio\"}\n",
	       ratio[CREATE_ROUNDS / 2]);
}

/* ---- prune ---- */

static void *prune_all(void *unused)
{
	struct grpc_client *client = connect_client();
	Varve__V1__PruneRequest request = VARVE__V1__PRUNE_REQUEST__INIT;
	static double took;
	double start = now_s();

	(void)unused;
	call(client, "Prune", &request.base, ignore, NULL);
	took = now_s() - start;
	grpc_client_free(client);
	atomic_store(&stop, true);
	return &took;
}

static void measure_prune(void)
{
	cleanup(free_ptr) double *calls = calloc(CALLS_MAX, sizeof(*calls));
	struct grpc_client *client = connect_client();
	Varve__V1__Empty request = VARVE__V1__EMPTY__INIT;
	size_t count = 0;
	pthread_t pruner;
	void *took;

	if (!calls || pthread_create(&pruner, NULL, prune_all, NULL) != 0)
		exit(1);
	while (!atomic_load(&stop) && count < CALLS_MAX) {
		double start = now_s();

		call(client, "Info", &request.base, ignore, NULL);
		calls[count++] = now_s() - start;
		(void)nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
	}
	pthread_join(pruner, &took);
	grpc_client_free(client);
	qsort(calls, count, sizeof(*calls), by_value);
	printf("{\"name\":\"prune_s\",\"value\":%.2f,\"unit\":\"s\"}\n", *(double *)took);
	printf("{\"name\":\"info_p99_prune_ms\",\"value\":%.2f,\"unit\":\"ms\"}\n",
	       calls[count * 99 / 100] * 1e3);
	printf("{\"name\":\"info_worst_prune_ms\",\"value\":%.2f,\"unit\":\"ms\"}\n",
	       calls[count - 1] * 1e3);
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fputs("usage: bench_scale SOCKET create|prune\n", stderr);
		return 2;
	}
	socket_path = argv[1];
	if (strcmp(argv[2], "create") == 0)
		measure_creation();
	else
		measure_prune();
	return 0;
}
