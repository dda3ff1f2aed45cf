/* SPDX-License-Identifier: Apache-2.0 */
#include "service/control_worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/version.h"
#include "graph/record_filter.h"
#include "manager/manager.h"
#include "manager/eviction/eviction.h"

#define LABEL(name) (char *)"org.mobyproject.buildkit.worker." name

enum { LABEL_EXECUTOR, LABEL_HOSTNAME, LABEL_SNAPSHOTTER, LABEL_ROOT, LABEL_ACCOUNTING, LABELS };

struct control_worker {
	Moby__Buildkit__V1__WorkerRecord record;
	Moby__Buildkit__V1__WorkerRecord__LabelsEntry labels[LABELS], *label_pointers[LABELS];
	Moby__Buildkit__V1__Platform platform, *platform_pointer;
	Moby__Buildkit__V1__BuildkitVersion version;
	Moby__Buildkit__V1__GCPolicy *policies, **policy_pointers;
	struct manager_info info;
	struct utsname host;
};

/* The names of machines in uname(2), and in Go, whose names images use. */
static const struct machine {
	const char *machine, *architecture, *variant;
} machines[] = {
	{ "x86_64", "amd64", "" },    { "aarch64", "arm64", "" },
	{ "i686", "386", "" },	      { "armv7l", "arm", "v7" },
	{ "armv6l", "arm", "v6" },    { "riscv64", "riscv64", "" },
	{ "ppc64le", "ppc64le", "" }, { "loongarch64", "loong64", "" },
};

static void fill_platform(struct control_worker *w)
{
	Moby__Buildkit__V1__Platform *p = &w->platform;

	moby__buildkit__v1__platform__init(p);
	p->os = (char *)"linux";
	p->architecture = w->host.machine;
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++)
		if (strcmp(w->host.machine, machines[i].machine) == 0) {
			p->architecture = (char *)machines[i].architecture;
			p->variant = (char *)machines[i].variant;
		}
	w->platform_pointer = p;
	w->record.platforms = &w->platform_pointer;
	w->record.n_platforms = 1;
}

static void fill_labels(struct control_worker *w)
{
	char *const labels[LABELS][2] = {
		[LABEL_EXECUTOR] = { LABEL("executor"), (char *)"none" },
		[LABEL_HOSTNAME] = { LABEL("hostname"), w->host.nodename },
		[LABEL_SNAPSHOTTER] = { LABEL("snapshotter"), (char *)"varve" },
		[LABEL_ROOT] = { (char *)"varve.root", w->info.root },
		[LABEL_ACCOUNTING] = { (char *)"varve.accounting",
				       (char *)usage_backend_name(w->info.backend) },
	};

	for (size_t i = 0; i < LABELS; i++) {
		moby__buildkit__v1__worker_record__labels_entry__init(&w->labels[i]);
		w->labels[i].key = labels[i][0];
		w->labels[i].value = labels[i][1];
		w->label_pointers[i] = &w->labels[i];
	}
	w->record.labels = w->label_pointers;
	w->record.n_labels = LABELS;
}

static void fill_policy(Moby__Buildkit__V1__GCPolicy *m, const struct eviction_policy_view *v)
{
	const struct prune_policy *p = v->policy;

	moby__buildkit__v1__gcpolicy__init(m);
	m->all = p->all;
	m->keep_duration = p->keep_duration_ns;
	m->n_filters = p->filter_count;
	m->filters = p->filters;
	m->reserved_space = prune_space_bytes(&p->limits.reserved, &v->disk);
	m->max_used_space = prune_space_bytes(&p->limits.max_used, &v->disk);
	m->min_free_space = prune_space_bytes(&p->limits.min_free, &v->disk);
}

/* The policies that the agent runs by itself over its own records. */
static int fill_policies(struct control_worker *w, struct manager *m, struct error *e)
{
	cleanup(free_ptr) struct eviction_policy_view *views = NULL;
	size_t count = 0, used = 0;
	int code = 0;

	if (eviction_policies_are_automatic(m))
		code = eviction_policies_list(m, EVICTION_POLICIES_NO_USAGE, NULL, &views, &count,
					      e);
	if (code < 0)
		return code;
	w->policies = calloc(count + 1, sizeof(*w->policies));
	w->policy_pointers = calloc(count + 1, sizeof(*w->policy_pointers));
	if (!w->policies || !w->policy_pointers)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		if (*views[i].policy->owner)
			continue;
		fill_policy(&w->policies[used], &views[i]);
		w->policy_pointers[used] = &w->policies[used];
		used++;
	}
	w->record.gc_policy = w->policy_pointers;
	w->record.n_gc_policy = used;
	return 0;
}

void control_worker_fill_version(Moby__Buildkit__V1__BuildkitVersion *version)
{
	moby__buildkit__v1__buildkit_version__init(version);
	version->package = (char *)"varve";
	/* In the form of BuildKit's versions, because clients compare them. */
	version->version = (char *)"v" VARVE_VERSION "+varve";
}

int control_worker_new(struct manager *m, struct control_worker **ret_worker, struct error *e)
{
	cleanup(control_worker_free) struct control_worker *w = calloc(1, sizeof(*w));
	int code;

	if (!w)
		return error_set(e, -ENOMEM, "out of memory");
	moby__buildkit__v1__worker_record__init(&w->record);
	if (uname(&w->host) < 0)
		return error_set(e, -errno, "uname: %s", strerror(errno));
	code = manager_info(m, &w->info, e);
	if (code == 0)
		code = fill_policies(w, m, e);
	if (code < 0)
		return code;
	w->record.id = w->info.store_id;
	fill_labels(w);
	fill_platform(w);
	control_worker_fill_version(&w->version);
	w->record.buildkit_version = &w->version;
	*ret_worker = take_ptr(w);
	return 0;
}

void control_worker_free(struct control_worker *w)
{
	if (!w)
		return;
	manager_info_free(&w->info);
	free(w->policies);
	free(w->policy_pointers);
	free(w);
}

static const char *field(const char *const *path, size_t parts, char *buffer, size_t buffer_size,
			 void *user)
{
	const struct control_worker *w = user;

	(void)buffer;
	(void)buffer_size;
	if (parts == 1 && strcmp(path[0], "id") == 0)
		return w->record.id;
	for (size_t i = 0; parts == 2 && strcmp(path[0], "labels") == 0 && i < LABELS; i++)
		if (strcmp(path[1], w->labels[i].key) == 0)
			return w->labels[i].value;
	return NULL;
}

int control_worker_match(const struct control_worker *w, const char *const *filters, size_t count,
			 bool *ret_matches, struct error *e)
{
	cleanup(record_filter_free) struct record_filter *filter = NULL;
	int code = record_filter_parse(filters, count, &filter, e);

	if (code < 0)
		return code;
	*ret_matches = record_filter_match(filter, field, (void *)w);
	return 0;
}

Moby__Buildkit__V1__WorkerRecord *control_worker_record(struct control_worker *w)
{
	return &w->record;
}
