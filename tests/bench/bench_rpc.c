/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_rpc SOCKET PID: measures the median round trip of a call without work (LeaseList of an
 * agent that has only the lease cli) over one connection, and the growth of the agent's resident
 * memory by a hundred thousand calls. Prints JSON lines.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "transport/grpc_client.h"

#define CALLS 100000
#define WARM_UP 2000

static struct grpc_client *client;

static double now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail */
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double call(void)
{
	struct error e = { 0 };
	double start = now_us();

	if (grpc_client_call(client, "/varve.v1.Cache/LeaseList", "", 0, NULL, NULL, &e) < 0) {
		fprintf(stderr, "bench_rpc: %s\n", e.text);
		exit(1);
	}
	return now_us() - start;
}

static long resident_kib(const char *pid)
{
	char path[64], line[256];
	long kib = -1;

	(void)snprintf(path, sizeof(path), "/proc/%s/status", pid);
	cleanup(close_file) FILE *f = fopen(path, "re");

	while (f && kib < 0 && fgets(line, sizeof(line), f))
		(void)sscanf(line, "VmRSS: %ld", &kib);
	if (kib < 0) {
		fprintf(stderr, "bench_rpc: no VmRSS in %s\n", path);
		exit(1);
	}
	return kib;
}

int main(int argc, char **argv)
{
	static double times[CALLS];
	struct error e = { 0 };
	long before;

	if (argc != 3) {
		fputs("usage: bench_rpc SOCKET PID\n", stderr);
		return 2;
	}
	if (grpc_client_connect(argv[1], &client, &e) < 0) {
		fprintf(stderr, "bench_rpc: %s\n", e.text);
		return 1;
	}
	for (int i = 0; i < WARM_UP; i++)
		(void)call();
	before = resident_kib(argv[2]);
	for (int i = 0; i < CALLS; i++)
		times[i] = call();
	qsort(times, CALLS, sizeof(*times), by_value);
	printf("{\"name\":\"rpc_us\",\"value\":%.1f,\"unit\":\"us\"}\n", times[CALLS / 2]);
	printf("{\"name\":\"rss_growth_kib\",\"value\":%ld,\"unit\":\"KiB\"}\n",
	       resident_kib(argv[2]) - before);
	grpc_client_free(client);
	return 0;
}
