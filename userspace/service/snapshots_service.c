/* SPDX-License-Identifier: Apache-2.0 */
#include "service/snapshots_service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "manager/snapshots/snapshots.h"
#include "service/service_call.h"
#include "snapshots.pb-c.h"

/* A listing is sent in messages of this many snapshots, or of fewer if their texts are long. */
#define BATCH 200
#define BATCH_BYTES ((size_t)512 * 1024)

#define SNAPSHOTS(name) Containerd__Services__Snapshots__V1__##name
#define INIT(NAME) CONTAINERD__SERVICES__SNAPSHOTS__V1__##NAME##__INIT
static void reply_empty(struct grpc_call *call, int code, const struct error *e)
{
	SNAPSHOTS(Empty) empty = INIT(EMPTY);

	service_call_reply(call, code, &empty.base, e);
}

/* The entries of all maps in these messages have the same layout. */
static struct record_label *read_labels(void *entries, size_t count)
{
	SNAPSHOTS(PrepareRequest__LabelsEntry) **from = entries;
	struct record_label *labels = calloc(count + 1, sizeof(*labels));

	for (size_t i = 0; labels && i < count; i++)
		labels[i] = (struct record_label){ from[i]->key, from[i]->value };
	return labels;
}

static void reply_mount(struct grpc_call *call, int code, struct snapshot_mount *answer,
			const struct error *e)
{
	SNAPSHOTS(Mount) mount = INIT(MOUNT), *mounts[] = { &mount };
	SNAPSHOTS(MountsReply) mounted = INIT(MOUNTS_REPLY);

	mount.type = (char *)answer->type;
	mount.source = answer->source;
	mount.options = answer->options;
	mount.n_options = answer->option_count;
	mounted.mounts = mounts;
	mounted.n_mounts = ARRAY_SIZE(mounts);
	service_call_reply(call, code, &mounted.base, e);
}

static void create(struct grpc_call *call, struct manager *m, enum snapshot_kind kind,
		   ProtobufCMessage *message)
{
	SNAPSHOTS(PrepareRequest) *request = (SNAPSHOTS(PrepareRequest) *)message;
	struct error e = { 0 };
	int code;
	cleanup(free_ptr) struct record_label *labels =
		read_labels(request->labels, request->n_labels);
	struct snapshot_request wanted = { .kind = kind,
					   .key = request->key,
					   .parent = request->parent,
					   .labels = labels,
					   .label_count = request->n_labels };
	cleanup(snapshot_mount_free) struct snapshot_mount mount = { 0 };

	code = labels ? snapshot_create(m, &wanted, &mount, &e) : -ENOMEM;
	reply_mount(call, code, &mount, &e);
}

static void run_prepare(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	create(call, user, SNAPSHOT_ACTIVE, message);
}

static void run_view(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	create(call, user, SNAPSHOT_VIEW, message);
}

static void run_mounts(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	SNAPSHOTS(KeyRequest) *request = (SNAPSHOTS(KeyRequest) *)message;
	struct error e = { 0 };
	int code;
	cleanup(snapshot_mount_free) struct snapshot_mount mount = { 0 };

	code = snapshot_mount(user, request->key, &mount, &e);
	reply_mount(call, code, &mount, &e);
}

static void run_commit(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	SNAPSHOTS(CommitRequest) *request = (SNAPSHOTS(CommitRequest) *)message;
	struct error e = { 0 };
	int code;
	cleanup(free_ptr) struct record_label *labels =
		read_labels(request->labels, request->n_labels);

	code = labels ? snapshot_commit(user, request->key, request->name, labels,
					request->n_labels, &e)
		      : -ENOMEM;
	reply_empty(call, code, &e);
}

static void run_remove(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	SNAPSHOTS(KeyRequest) *request = (SNAPSHOTS(KeyRequest) *)message;
	struct error e = { 0 };
	int code;
	code = snapshot_remove(user, request->key, &e);
	reply_empty(call, code, &e);
}

static void run_usage(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	SNAPSHOTS(KeyRequest) *request = (SNAPSHOTS(KeyRequest) *)message;
	struct error e = { 0 };
	int code;
	SNAPSHOTS(UsageReply) usage = INIT(USAGE_REPLY);

	code = snapshot_view_usage(user, request->key, grpc_call_cancel_flag(call), &usage.size,
				   &usage.inodes, &e);
	service_call_reply(call, code, &usage.base, &e);
}

static void run_clean_up(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	const struct error none = { 0 };

	(void)message; /* the request has no fields */
	snapshot_remove_clean_up(user);
	reply_empty(call, 0, &none);
}

/* ---- messages about snapshots ---- */

/* An Info that borrows the view's texts. */
struct info {
	SNAPSHOTS(Info) message;
	SNAPSHOTS(Timestamp) created, updated;
	void *labels;
};

static void free_info(struct info *info)
{
	free(info->labels);
}

static void set_time(SNAPSHOTS(Timestamp) * to, int64_t ns)
{
	containerd__services__snapshots__v1__timestamp__init(to);
	to->seconds = ns / NS_PER_S;
	to->nanos = (int32_t)(ns % NS_PER_S);
}

/* One allocation has the entries, and the pointers to them. */
static int set_labels(const struct snapshot_view *v, struct info *info)
{
	SNAPSHOTS(Info__LabelsEntry) * entries, **pointers;

	info->labels = malloc(v->label_count * (sizeof(*entries) + sizeof(*pointers)));
	if (!info->labels)
		return -ENOMEM;
	entries = info->labels;
	pointers = (SNAPSHOTS(Info__LabelsEntry) **)(entries + v->label_count);
	for (size_t i = 0; i < v->label_count; i++) {
		containerd__services__snapshots__v1__info__labels_entry__init(&entries[i]);
		entries[i].key = v->labels[i].key;
		entries[i].value = v->labels[i].value;
		pointers[i] = &entries[i];
	}
	info->message.labels = pointers;
	info->message.n_labels = v->label_count;
	return 0;
}

static int make_info(const struct snapshot_view *v, struct info *info)
{
	*info = (struct info){ .message = INIT(INFO) };
	if (v->label_count > 0 && set_labels(v, info) < 0)
		return -ENOMEM;
	set_time(&info->created, v->created_ns);
	set_time(&info->updated, v->updated_ns);
	info->message.name = v->name;
	info->message.parent = v->parent;
	info->message.kind = (SNAPSHOTS(Kind))v->kind;
	info->message.created_at = &info->created;
	info->message.updated_at = &info->updated;
	return 0;
}

static void reply_info(struct grpc_call *call, int code, struct snapshot_view *v,
		       const struct error *e)
{
	SNAPSHOTS(InfoReply) reply = INIT(INFO_REPLY);
	struct info info;

	if (code == 0)
		code = make_info(v, &info);
	if (code < 0) {
		service_call_finish(call, code, e);
	} else {
		reply.info = &info.message;
		service_call_reply(call, 0, &reply.base, e);
		free_info(&info);
	}
	snapshot_view_free(v);
}

static void run_stat(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	SNAPSHOTS(KeyRequest) *request = (SNAPSHOTS(KeyRequest) *)message;
	struct error e = { 0 };
	int code;
	struct snapshot_view v = { 0 };

	code = snapshot_view_stat(user, request->key, &v, &e);
	reply_info(call, code, &v, &e);
}

static void run_update(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	SNAPSHOTS(UpdateRequest) *request = (SNAPSHOTS(UpdateRequest) *)message;
	struct error e = { 0 };
	int code;
	static SNAPSHOTS(Info) no_info = INIT(INFO);
	const SNAPSHOTS(Info) *info = request->info ? request->info : &no_info;
	const SNAPSHOTS(FieldMask) *mask = request->update_mask;
	cleanup(free_ptr) struct record_label *labels = read_labels(info->labels, info->n_labels);
	struct snapshot_view v = { 0 };

	code = labels ? snapshot_view_update(user, info->name,
					     mask ? (const char *const *)mask->paths : NULL,
					     mask ? mask->n_paths : 0, labels, info->n_labels, &v,
					     &e)
		      : -ENOMEM;
	reply_info(call, code, &v, &e);
}

static size_t text_bytes(const struct snapshot_view *v)
{
	size_t bytes = strlen(v->name) + strlen(v->parent);

	for (size_t i = 0; i < v->label_count; i++)
		bytes += strlen(v->labels[i].key) + strlen(v->labels[i].value);
	return bytes;
}

/* The snapshots of one message. */
struct batch {
	struct info infos[BATCH];
	size_t count;
};

static void batch_free(struct batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		free_info(&b->infos[i]);
}
DEFINE_CLEANUP_VALUE(struct batch, batch_free)

/* Sends as many snapshots as fit into one message. Returns their number. */
static int send_batch(struct grpc_call *call, const struct snapshot_view *views, size_t count)
{
	SNAPSHOTS(ListReply) reply = INIT(LIST_REPLY);
	SNAPSHOTS(Info) * pointers[BATCH];
	cleanup(batch_free) struct batch b;
	size_t bytes = 0;
	int code;

	b.count = 0;
	while (b.count < count && b.count < BATCH && bytes < BATCH_BYTES) {
		bytes += text_bytes(&views[b.count]);
		code = make_info(&views[b.count], &b.infos[b.count]);
		if (code < 0)
			return code;
		pointers[b.count] = &b.infos[b.count].message;
		b.count++;
	}
	reply.info = pointers;
	reply.n_info = b.count;
	code = service_call_send(call, &reply.base);
	return code < 0 ? code : (int)b.count;
}

static void run_list(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	SNAPSHOTS(ListRequest) *request = (SNAPSHOTS(ListRequest) *)message;
	struct error e = { 0 };
	int code;
	struct snapshot_view *views = NULL;
	size_t count = 0;

	code = snapshot_view_list(user, (const char *const *)request->filters, request->n_filters,
				  grpc_call_cancel_flag(call), &views, &count, &e);
	for (size_t sent = 0; code >= 0 && sent < count; sent += (size_t)code)
		code = send_batch(call, &views[sent], count - sent);
	snapshot_views_free(views, count);
	service_call_finish(call, code < 0 ? code : 0, &e);
}

const struct grpc_method snapshots_service_methods[] = {
	{ "/containerd.services.snapshots.v1.Snapshots/Prepare", service_call_run,
	  GRPC_METHOD_CHANGES,
	  &(const struct service_handler){
		  &containerd__services__snapshots__v1__prepare_request__descriptor,
		  run_prepare } },
	{ "/containerd.services.snapshots.v1.Snapshots/View", service_call_run, GRPC_METHOD_CHANGES,
	  &(const struct service_handler){
		  &containerd__services__snapshots__v1__prepare_request__descriptor, run_view } },
	/* It may mount a snapshot that is not mounted, for example after the host was started. */
	{ "/containerd.services.snapshots.v1.Snapshots/Mounts", service_call_run,
	  GRPC_METHOD_CHANGES,
	  &(const struct service_handler){
		  &containerd__services__snapshots__v1__key_request__descriptor, run_mounts } },
	{ "/containerd.services.snapshots.v1.Snapshots/Commit", service_call_run,
	  GRPC_METHOD_CHANGES,
	  &(const struct service_handler){
		  &containerd__services__snapshots__v1__commit_request__descriptor, run_commit } },
	{ "/containerd.services.snapshots.v1.Snapshots/Remove", service_call_run,
	  GRPC_METHOD_CHANGES,
	  &(const struct service_handler){
		  &containerd__services__snapshots__v1__key_request__descriptor, run_remove } },
	{ "/containerd.services.snapshots.v1.Snapshots/Stat", service_call_run,
	  GRPC_METHOD_READS_BRIEFLY,
	  &(const struct service_handler){
		  &containerd__services__snapshots__v1__key_request__descriptor, run_stat } },
	{ "/containerd.services.snapshots.v1.Snapshots/Update", service_call_run,
	  GRPC_METHOD_CHANGES,
	  &(const struct service_handler){
		  &containerd__services__snapshots__v1__update_request__descriptor, run_update } },
	{ "/containerd.services.snapshots.v1.Snapshots/List", service_call_run, GRPC_METHOD_READS,
	  &(const struct service_handler){
		  &containerd__services__snapshots__v1__list_request__descriptor, run_list } },
	{ "/containerd.services.snapshots.v1.Snapshots/Usage", service_call_run, GRPC_METHOD_READS,
	  &(const struct service_handler){
		  &containerd__services__snapshots__v1__key_request__descriptor, run_usage } },
	{ "/containerd.services.snapshots.v1.Snapshots/Cleanup", service_call_run,
	  GRPC_METHOD_CHANGES,
	  &(const struct service_handler){
		  &containerd__services__snapshots__v1__cleanup_request__descriptor,
		  run_clean_up } },
	{ NULL, NULL, GRPC_METHOD_CHANGES, NULL },
};
