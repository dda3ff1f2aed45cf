/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_agent SOCKET [RECORDS]: measures the time of a record's life (new, mount, commit, release,
 * rm) over one connection to a running agent, and prints a JSON line. With RECORDS, makes that many
 * records instead, so that the agent can be measured with them.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "transport/grpc_client.h"
#include "varve.pb-c.h"

#define ROUNDS 300

static struct grpc_client *client;

static double now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print(const char *name, double *values)
{
	qsort(values, ROUNDS, sizeof(*values), by_value);
	printf("{\"name\":\"%s\",\"value\":%.3f,\"unit\":\"ms\"}\n", name, values[ROUNDS / 2]);
}

/* The first field of both IdReply and MountReply is the id. */
static int take_id(const uint8_t *bytes, size_t length, void *user)
{
	Varve__V1__IdReply *reply;

	reply = varve__v1__id_reply__unpack(NULL, length, bytes);
	if (!reply)
		return -1;
	if (*reply->id)
		(void)snprintf(user, 64, "%s", reply->id);
	varve__v1__id_reply__free_unpacked(reply, NULL);
	return 0;
}

static void call(const char *method, const ProtobufCMessage *request, char *id)
{
	char path[64];
	uint8_t bytes[1024];
	size_t length = protobuf_c_message_pack(request, bytes); /* a few short texts */
	struct error e = { 0 };

	(void)snprintf(path, sizeof(path), "/varve.v1.Cache/%s", method);
	if (grpc_client_call(client, path, bytes, length, take_id, id, &e) == 0)
		return;
	fprintf(stderr, "bench_agent: %s: %s\n", method, e.text);
	exit(1);
}

static void make_record(char id[64])
{
	Varve__V1__NewRequest request = VARVE__V1__NEW_REQUEST__INIT;

	request.lease = (char *)"cli";
	request.retain = 1;
	call("New", &request.base, id);
}

static void by_id(const char *method, char *id, char ret_id[64])
{
	Varve__V1__LeaseIdRequest request = VARVE__V1__LEASE_ID_REQUEST__INIT;

	request.id = id; /* other requests by id have it in the same field */
	request.lease = (char *)(strcmp(method, "Commit") == 0 || strcmp(method, "Release") == 0
					 ? "cli"
					 : "");
	call(method, &request.base, ret_id);
}

static double live_once(void)
{
	char id[64] = "", twin[64] = "", ignored[64];
	double start = now_ms();

	make_record(id);
	by_id("Mount", id, ignored);
	by_id("Commit", id, twin);
	by_id("Release", twin, ignored);
	by_id("Remove", twin, ignored);
	return now_ms() - start;
}

int main(int argc, char **argv)
{
	double lives[ROUNDS];
	struct error e = { 0 };
	char id[64];

	if (argc < 2 || argc > 3) {
		fputs("usage: bench_agent SOCKET [RECORDS]\n", stderr);
		return 2;
	}
	if (grpc_client_connect(argv[1], &client, &e) < 0) {
		fprintf(stderr, "bench_agent: %s\n", e.text);
		return 1;
	}
	for (int i = argc == 3 ? atoi(argv[2]) : 0; i > 0; i--) {
		char ignored[64];

		make_record(id);
		by_id("Unmount", id, ignored);
	}
	for (int i = 0; argc == 2 && i < ROUNDS; i++)
		lives[i] = live_once();
	if (argc == 2)
		print("lifecycle_ms", lives);
	grpc_client_free(client);
	return 0;
}
