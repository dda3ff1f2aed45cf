/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cancelled_calls ROOT: opens a store without an agent, and makes each call that reads many records
 * or leases as if its client was already gone. Prints a line for each call: its name, and its
 * result.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "manager/doctor.h"
#include "manager/eviction/eviction.h"
#include "manager/manager.h"
#include "manager/records/records.h"
#include "manager/snapshots/snapshots.h"

static const atomic_bool gone = true;

static int list_records(struct manager *m, const char *id, struct error *e)
{
	const struct record_query query = { .cancelled = &gone };
	struct record_view *views = NULL;
	size_t count = 0;
	int code = record_list(m, &query, &views, &count, e);

	(void)id;
	if (code == 0)
		record_list_free(views, count);
	return code;
}

static int list_named(struct manager *m, const char *id, struct error *e)
{
	const struct record_query query = { .ids = &id, .id_count = 1, .cancelled = &gone };
	struct record_view *views = NULL;
	size_t count = 0;
	int code = record_list(m, &query, &views, &count, e);

	if (code == 0)
		record_list_free(views, count);
	return code;
}

static int count_accesses(struct manager *m, const char *id, struct error *e)
{
	struct record_statistics_view *stats = NULL;
	size_t count = 0;
	int code = record_statistics(m, NULL, 0, true, &gone, &stats, &count, e);

	(void)id;
	if (code == 0)
		record_statistics_free(stats, count);
	return code;
}

static int list_leases(struct manager *m, const char *id, struct error *e)
{
	struct lease_view *leases = NULL;
	size_t count = 0;
	int code = leases_list(m, &gone, &leases, &count, e);

	(void)id;
	if (code == 0)
		leases_free(leases, count);
	return code;
}

static int list_policies(struct manager *m, const char *id, struct error *e)
{
	struct eviction_policy_view *policies = NULL;
	size_t count = 0;
	int code =
		eviction_policies_list(m, EVICTION_POLICIES_MEASURED, &gone, &policies, &count, e);

	(void)id;
	if (code == 0)
		free(policies);
	return code;
}

static int list_snapshots(struct manager *m, const char *id, struct error *e)
{
	struct snapshot_view *views = NULL;
	size_t count = 0;
	int code = snapshot_view_list(m, NULL, 0, &gone, &views, &count, e);

	(void)id;
	if (code == 0)
		snapshot_views_free(views, count);
	return code;
}

static int explain(struct manager *m, const char *id, struct error *e)
{
	struct eviction_explanation x;

	return eviction_explain(m, id, &gone, &x, e);
}

static int examine(struct manager *m, const char *id, struct error *e)
{
	cleanup(doctor_report_free) struct doctor_report report = { 0 };

	(void)id;
	return doctor_run(m, &gone, &report, e);
}

static int plan(struct manager *m, const char *id, struct error *e)
{
	const struct eviction_options options = { .dry_run = true,
						  .scorer = "",
						  .cancelled = &gone };
	struct eviction_summary summary;

	(void)id;
	return eviction_run(m, &options, NULL, NULL, &summary, e);
}

static const struct {
	const char *name;
	int (*call)(struct manager *m, const char *id, struct error *e);
} calls[] = {
	{ "list", list_records },
	{ "list of ids", list_named },
	{ "statistics", count_accesses },
	{ "leases", list_leases },
	{ "policies", list_policies },
	{ "explain", explain },
	{ "snapshots", list_snapshots },
	{ "doctor", examine },
	{ "prune", plan },
};

static void ignore(bool problem, const char *text, void *user)
{
	(void)problem;
	(void)text;
	(void)user;
}

/* A record of the store. */
static int find_any(struct manager *m, char ret_id[RECORD_ID_LENGTH + 1], struct error *e)
{
	const struct record_query query = { .id_count = 0 };
	struct record_view *views = NULL;
	size_t count = 0;
	int code = record_list(m, &query, &views, &count, e);

	if (code < 0)
		return code;
	if (count > 0)
		memcpy(ret_id, views[0].record.id, RECORD_ID_LENGTH + 1);
	record_list_free(views, count);
	return count > 0 ? 0 : error_set(e, -ENOENT, "the store has no records");
}

int main(int argc, char **argv)
{
	struct manager_options options = { .fetch_helper = "/bin/false",
					   .backend_forced = true,
					   .backend = USAGE_BACKEND_NONE,
					   .report = ignore };
	cleanup(manager_close) struct manager *m = NULL;
	char id[RECORD_ID_LENGTH + 1];
	struct error e = { 0 };

	if (argc != 2) {
		fputs("usage: cancelled_calls ROOT\n", stderr);
		return 2;
	}
	options.root = argv[1];
	if (manager_new(&options, &m, &e) < 0 || manager_open(m, &options, &e) < 0 ||
	    find_any(m, id, &e) < 0) {
		fprintf(stderr, "cancelled_calls: %s\n", e.text);
		return 1;
	}
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		int code = calls[i].call(m, id, &e);

		printf("%s: %s\n", calls[i].name, code == 0 ? "0" : strerrorname_np(-code));
	}
	return 0;
}
