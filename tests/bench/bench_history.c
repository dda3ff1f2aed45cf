/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures what learning from needs costs: the state of a record, and the processor's time for a
 * hundred needs a second, their folds into a database included. The time of the needs is made up,
 * so that half an hour takes no longer than the work in it. Prints JSON lines.
 *
 * bench_history FOLDER
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "manager/history/history.h"
#include "manager/history/history_save.h"
#include "manager/history/history_state.h"

#define LAYERS 100000
#define LAYERS_AT_ONCE 5000 /* that are made between two folds */
#define DEPTH 5 /* of the chains */
#define NEEDS_A_SECOND 100
#define SECONDS 1800
#define FOLD_SECONDS 5

static void die(const char *what, const struct error *e)
{
	fprintf(stderr, "bench_history: %s: %s\n", what, e->text);
	exit(1);
}

static void report(bool problem, const char *text, void *user)
{
	(void)problem;
	(void)user;
	fprintf(stderr, "bench_history: %s\n", text);
}

static struct record *make_layer(struct manager *m, unsigned number, struct record *parent)
{
	char id[RECORD_ID_LENGTH + 1], name[LAYER_NAME_LENGTH + 1];
	struct record *r;
	struct layer *layer;

	(void)snprintf(id, sizeof(id), "record%u", number);
	(void)snprintf(name, sizeof(name), "%u", number);
	r = record_new(id, id, "regular");
	layer = record_graph_add_layer(m->graph, name);
	if (!r || !layer || record_graph_insert(m->graph, r, parent, layer) < 0)
		exit(1);
	history_begin(m, r);
	history_made(m, r);
	return r;
}

static void fold(struct manager *m)
{
	cleanup(change_set_free) struct change_set c = { 0 };
	struct error e = { 0 };

	manager_lock(m);
	history_save(m, &c);
	manager_unlock(m);
	if (change_set_write(&c, m->database, DATABASE_RELAXED, &e) < 0)
		die("write", &e);
	manager_lock(m);
	history_save_done(m, true);
	manager_unlock(m);
}

static double processor_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); /* cannot fail */
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void need_layers(struct manager *m)
{
	int64_t now_ns = clock_wall_ns();
	unsigned chance = 1;

	for (unsigned second = 0; second < SECONDS; second++) {
		cleanup(manager_unlock) struct manager *locked = manager_lock(m);

		for (unsigned i = 0; i < NEEDS_A_SECOND; i++) {
			char name[LAYER_NAME_LENGTH + 1];

			chance = chance * 1664525U + 1013904223U;
			(void)snprintf(name, sizeof(name), "%u", (chance >> 8) % LAYERS);
			history_needed(locked, name,
				       now_ns + second * NS_PER_S +
					       i * (NS_PER_S / NEEDS_A_SECOND));
		}
		if (second % FOLD_SECONDS == 0) {
			manager_unlock(locked);
			fold(m);
			(void)manager_lock(m);
		}
	}
}

int main(int argc, char **argv)
{
	struct manager m = { .report = report,
			     .events = event_ring_new(),
			     .graph = record_graph_new() };
	struct record *below = NULL;
	struct error e = { 0 };
	char path[4096];
	double before;

	if (argc != 2 || !m.events || !m.graph) {
		fputs("usage: bench_history FOLDER\n", stderr);
		return 2;
	}
	(void)snprintf(path, sizeof(path), "%s/db", argv[1]);
	ranked_lock_init(&m.lock, MANAGER_RANK_STATE);
	if (database_open(path, DATABASE_MAY_BE_NEW, &m.database, &e) < 0 ||
	    history_save_load(&m, &e) < 0)
		die("open", &e);
	for (unsigned i = 0; i < LAYERS; i++) {
		manager_lock(&m);
		below = make_layer(&m, i, i % DEPTH ? below : NULL);
		manager_unlock(&m);
		if (i % LAYERS_AT_ONCE == LAYERS_AT_ONCE - 1)
			fold(&m);
	}

	before = processor_s();
	need_layers(&m);
	printf("{\"name\":\"learning_percent\",\"value\":%.3f,\"unit\":\"percent\"}\n",
	       100 * (processor_s() - before) / SECONDS);
	printf("{\"name\":\"forecast_state_bytes\",\"value\":%zu,\"unit\":\"bytes\"}\n",
	       sizeof(struct forecast_past) + sizeof(m.history->events->cost_ms));
	history_state_free(m.history);
	record_graph_free(m.graph);
	event_ring_free(m.events);
	database_close(m.database);
	ranked_lock_destroy(&m.lock);
	return 0;
}
