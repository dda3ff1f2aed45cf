/* SPDX-License-Identifier: Apache-2.0 */
#include "service/native_service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "manager/content/content.h"
#include "manager/records/records.h"
#include "manager/manager.h"
#include "service/native_messages.h"
#include "service/owners_service.h"
#include "service/service_call.h"
#include "varve.pb-c.h"

/* Listings are sent in messages of this many entries. */
#define BATCH 200

static void reply_empty(struct grpc_call *call, int code, const struct error *e)
{
	Varve__V1__Empty empty = VARVE__V1__EMPTY__INIT;

	service_call_reply(call, code, &empty.base, e);
}

static struct manager *manager_of(void *user)
{
	return ((struct native_service *)user)->manager;
}

static void reply_mounted(struct grpc_call *call, int code, char *id, char *mountpoint,
			  const struct error *e)
{
	Varve__V1__MountReply mounted = VARVE__V1__MOUNT_REPLY__INIT;

	mounted.id = id;
	mounted.mountpoint = mountpoint;
	service_call_reply(call, code, &mounted.base, e);
}

static void run_new(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Varve__V1__NewRequest *request = (Varve__V1__NewRequest *)message;
	struct error e = { 0 };
	int code;
	cleanup(free_ptr) struct record_label *labels =
		calloc(request->n_labels + 1, sizeof(*labels));
	struct lease_holder holder = service_call_holder(call, request->lease);
	struct record_options options = {
		.parent = request->parent,
		.description = request->description,
		.type = request->record_type,
		.retain = request->retain,
		.created_ns = request->created_ns,
		.labels = labels,
		.label_count = request->n_labels,
		.image_refs = (const char *const *)request->image_refs,
		.image_ref_count = request->n_image_refs,
		.uid_map = request->id_map ? request->id_map->uids : NULL,
		.gid_map = request->id_map ? request->id_map->gids : NULL,
		.cancelled = grpc_call_cancel_flag(call),
	};
	char id[RECORD_ID_LENGTH + 1] = "";
	cleanup(free_ptr) char *mountpoint = NULL;

	for (size_t i = 0; labels && i < request->n_labels; i++)
		labels[i] = (struct record_label){ .key = request->labels[i]->key,
						   .value = request->labels[i]->value };
	code = labels ? record_create(manager_of(user), &options, &holder, id, &mountpoint, &e)
		      : -ENOMEM;
	reply_mounted(call, code, id, mountpoint, &e);
}

static void run_mount(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Varve__V1__MountRequest *request = (Varve__V1__MountRequest *)message;
	struct error e = { 0 };
	int code;
	struct record_mount_options options = { request->read_only, request->lease };
	struct content_watch watch = { .cancelled = grpc_call_cancel_flag(call) };
	char id[RECORD_ID_LENGTH + 1] = "";
	cleanup(free_ptr) char *mountpoint = NULL;

	/* Unpacks the lazy layers first, which may take long and can be cancelled. */
	code = content_extract(manager_of(user), request->id, &watch, &e);
	if (code == 0)
		code = record_mount(manager_of(user), request->id, &options, id, &mountpoint, &e);
	reply_mounted(call, code, id, mountpoint, &e);
}

static void run_unmount(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Varve__V1__IdRequest *request = (Varve__V1__IdRequest *)message;
	struct error e = { 0 };
	int code;
	code = record_mount_end(manager_of(user), request->id, &e);
	reply_empty(call, code, &e);
}

static void reply_id(struct grpc_call *call, int code, char *id, const struct error *e)
{
	Varve__V1__IdReply found = VARVE__V1__ID_REPLY__INIT;

	found.id = id;
	service_call_reply(call, code, &found.base, e);
}

static void run_commit(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Varve__V1__LeaseIdRequest *request = (Varve__V1__LeaseIdRequest *)message;
	struct error e = { 0 };
	int code;
	struct lease_holder holder = service_call_holder(call, request->lease);
	char id[RECORD_ID_LENGTH + 1] = "";

	code = record_commit(manager_of(user), request->id, &holder, id, &e);
	reply_id(call, code, id, &e);
}

static void run_finalize(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Varve__V1__IdRequest *request = (Varve__V1__IdRequest *)message;
	struct error e = { 0 };
	int code;
	code = record_finalize(manager_of(user), request->id, &e);
	reply_empty(call, code, &e);
}

static void run_get(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Varve__V1__GetRequest *request = (Varve__V1__GetRequest *)message;
	struct error e = { 0 };
	int code;
	struct lease_holder holder = service_call_holder(call, request->lease);
	struct record_get_options options = {
		.is_mutable = request->mutable_,
		.no_use = request->no_use,
		.image_refs = (const char *const *)request->image_refs,
		.image_ref_count = request->n_image_refs,
	};
	char id[RECORD_ID_LENGTH + 1] = "";

	code = record_hold_get(manager_of(user), request->id, &options, &holder, id, &e);
	reply_id(call, code, id, &e);
}

static void run_release(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Varve__V1__LeaseIdRequest *request = (Varve__V1__LeaseIdRequest *)message;
	struct error e = { 0 };
	int code;
	struct lease_holder holder = service_call_holder(call, request->lease);

	code = record_hold_release(manager_of(user), request->id, &holder, &e);
	reply_empty(call, code, &e);
}

static void run_remove(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Varve__V1__IdRequest *request = (Varve__V1__IdRequest *)message;
	struct error e = { 0 };
	int code;
	code = record_delete(manager_of(user), request->id, &e);
	reply_empty(call, code, &e);
}

static void run_pin(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Varve__V1__PinRequest *request = (Varve__V1__PinRequest *)message;
	struct error e = { 0 };
	int code;
	char id[RECORD_ID_LENGTH + 1] = "";

	code = record_edit_pin(manager_of(user), request->id, request->pinned, id, &e);
	reply_id(call, code, id, &e);
}

static void run_label(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Varve__V1__LabelRequest *request = (Varve__V1__LabelRequest *)message;
	struct error e = { 0 };
	int code;
	cleanup(free_ptr) struct record_label *set = calloc(request->n_set + 1, sizeof(*set));
	struct record_label_change change = { .set = set,
					      .set_count = request->n_set,
					      .removed = (const char *const *)request->removed,
					      .removed_count = request->n_removed };
	char id[RECORD_ID_LENGTH + 1] = "";

	for (size_t i = 0; set && i < request->n_set; i++)
		set[i] = (struct record_label){ .key = request->set[i]->key,
						.value = request->set[i]->value };
	code = set ? record_edit_labels(manager_of(user), request->id, &change, id, &e) : -ENOMEM;
	reply_id(call, code, id, &e);
}

static int add_owner_names(struct owners *owners, Varve__V1__RecordBatch *batch)
{
	int code = 0;

	for (size_t i = 0; i < batch->n_records && code == 0; i++)
		code = owners_service_names(owners, batch->records[i]->id,
					    &batch->records[i]->owners,
					    &batch->records[i]->n_owners);
	return code;
}

static int send_records(struct grpc_call *call, struct owners *owners,
			const struct record_view *views, size_t count, const char *backend)
{
	for (size_t at = 0; at < count; at += BATCH) {
		size_t part = count - at < BATCH ? count - at : BATCH;
		Varve__V1__RecordBatch *batch = native_messages_records(&views[at], part, backend);
		int code = batch ? add_owner_names(owners, batch) : -ENOMEM;

		if (code == 0)
			code = service_call_send(call, &batch->base);
		native_messages_free(batch ? &batch->base : NULL);
		if (code < 0)
			return code;
	}
	return 0;
}

static const char *backend_name(struct manager *m)
{
	struct manager_info info;
	const char *name;

	if (manager_info(m, &info, NULL) < 0)
		return "none";
	name = usage_backend_name(info.backend);
	manager_info_free(&info);
	return name;
}

static void run_list(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Varve__V1__ListRequest *request = (Varve__V1__ListRequest *)message;
	struct owners *owners = ((struct native_service *)user)->owners;
	struct error e = { 0 };
	int code = 0;
	struct record_query query = { .ids = (const char *const *)request->ids,
				      .id_count = request->n_ids,
				      .filters = (const char *const *)request->filters,
				      .filter_count = request->n_filters,
				      .disk_usage = request->disk_usage,
				      .cancelled = grpc_call_cancel_flag(call) };
	struct record_view *views = NULL;
	size_t count = 0;

	if (request->ask_owners)
		code = owners_refresh(owners, query.cancelled, &e);
	if (code == 0)
		code = record_list(manager_of(user), &query, &views, &count, &e);
	if (code == 0)
		code = send_records(call, owners, views, count, backend_name(manager_of(user)));
	record_list_free(views, count);
	service_call_finish(call, code, &e);
}

static int name_stats(struct owners *owners, Varve__V1__StatsBatch *batch)
{
	int code = 0;

	for (size_t i = 0; i < batch->n_stats && code == 0; i++)
		code = owners_service_names(owners, batch->stats[i]->id, &batch->stats[i]->owners,
					    &batch->stats[i]->n_owners);
	return code;
}

static int send_stats(struct grpc_call *call, struct native_service *service,
		      const struct record_statistics_view *stats, size_t count, struct error *e)
{
	struct manager *m = service->manager;
	cleanup(manager_info_free) struct manager_info info = { 0 };
	int code = manager_info(m, &info, e);

	if (code < 0)
		return code;
	for (size_t at = 0; at < count; at += BATCH) {
		size_t part = count - at < BATCH ? count - at : BATCH;
		Varve__V1__StatsBatch *batch = native_messages_stats(&stats[at], part, &info);

		code = batch ? name_stats(service->owners, batch) : -ENOMEM;
		if (code == 0)
			code = service_call_send(call, &batch->base);
		native_messages_free(batch ? &batch->base : NULL);
		if (code < 0)
			return code;
	}
	return 0;
}

static void run_readers(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Varve__V1__ReadersRequest *request = (Varve__V1__ReadersRequest *)message;
	struct manager *m = manager_of(user);
	struct record_reader_view *readers = NULL;
	Varve__V1__ReadersReply *reply = NULL;
	struct manager_info info;
	struct error e = { 0 };
	size_t count = 0;
	int code = record_readers(m, (const char *const *)request->ids, request->n_ids,
				  grpc_call_cancel_flag(call), &readers, &count, &e);

	if (code == 0)
		code = manager_info(m, &info, &e);
	if (code == 0) {
		reply = native_messages_readers(readers, count, info.backend);
		manager_info_free(&info);
		code = reply ? 0 : -ENOMEM;
	}
	service_call_reply(call, code, reply ? &reply->base : NULL, &e);
	native_messages_free(reply ? &reply->base : NULL);
	record_readers_free(readers, count);
}

static void run_stats(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Varve__V1__StatsRequest *request = (Varve__V1__StatsRequest *)message;
	struct error e = { 0 };
	int code;
	struct manager *m = manager_of(user);
	struct record_statistics_view *stats = NULL;
	size_t count = 0;

	code = request->ask_owners ? owners_refresh(((struct native_service *)user)->owners,
						    grpc_call_cancel_flag(call), &e)
				   : 0;
	if (code == 0)
		code = record_statistics(m, (const char *const *)request->ids, request->n_ids,
					 request->by_mount, grpc_call_cancel_flag(call), &stats,
					 &count, &e);
	if (code == 0)
		code = send_stats(call, user, stats, count, &e);
	record_statistics_free(stats, count);
	service_call_finish(call, code, &e);
}

static void run_files(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Varve__V1__FilesRequest *request = (Varve__V1__FilesRequest *)message;
	struct error e = { 0 };
	int code;
	struct record_files_query query = {
		.id = request->id,
		.which = request->all	       ? RECORD_FILES_ALL
			 : request->never_read ? RECORD_FILES_NEVER_READ
			 : request->hot	       ? RECORD_FILES_HOT
					       : RECORD_FILES_TOUCHED,
		.limit = request->limit,
		.cancelled = grpc_call_cancel_flag(call),
	};
	cleanup(record_file_list_free) struct record_file_list list = { 0 };
	size_t at = 0;

	code = record_files(manager_of(user), &query, &list, &e);
	/* One at least: it says what is missing. */
	while (code == 0 && (at == 0 || at < list.count)) {
		size_t part = list.count - at < BATCH ? list.count - at : BATCH;
		Varve__V1__FileBatch *batch = native_messages_files(&list, at, part);

		code = batch ? service_call_send(call, &batch->base) : -ENOMEM;
		native_messages_free(batch ? &batch->base : NULL);
		at += BATCH;
	}
	service_call_finish(call, code, &e);
}

static void run_lease_create(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Varve__V1__Lease lease = VARVE__V1__LEASE__INIT;
	Varve__V1__LeaseRequest *request = (Varve__V1__LeaseRequest *)message;
	struct error e = { 0 };
	int code;
	struct lease_options options = {
		.name = request->name,
		.expires_after_ns = request->expires_after_ns,
		.uid_map = request->id_map ? request->id_map->uids : NULL,
		.gid_map = request->id_map ? request->id_map->gids : NULL,
	};

	code = leases_create(manager_of(user), &options, &e);
	lease.name = request->name;
	lease.id_map = request->id_map;
	service_call_reply(call, code, &lease.base, &e);
}

static void run_lease_remove(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Varve__V1__LeaseRequest *request = (Varve__V1__LeaseRequest *)message;
	struct error e = { 0 };
	int code;
	code = leases_remove(manager_of(user), request->name, &e);
	reply_empty(call, code, &e);
}

static void run_lease_need(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Varve__V1__NeedRequest *request = (Varve__V1__NeedRequest *)message;
	struct error e = { 0 };
	int code;
	struct lease_holder holder = service_call_holder(call, request->lease);

	code = lease_references_set(manager_of(user), &holder, (const char *const *)request->needs,
				    request->n_needs, &e);
	reply_empty(call, code, &e);
}

static void run_lease_list(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	struct error e = { 0 };
	int code;
	struct lease_view *leases = NULL;
	Varve__V1__LeaseReply *all = NULL;
	size_t count = 0;

	(void)message; /* the request has no fields */
	code = leases_list(manager_of(user), grpc_call_cancel_flag(call), &leases, &count, &e);
	if (code == 0 && !(all = native_messages_leases(leases, count)))
		code = -ENOMEM;
	service_call_reply(call, code, all ? &all->base : NULL, &e);
	native_messages_free(all ? &all->base : NULL);
	leases_free(leases, count);
}

const struct grpc_method native_service_methods[] = {
	{ "/varve.v1.Cache/New", service_call_run, GRPC_METHOD_CHANGES,
	  &(const struct service_handler){ &varve__v1__new_request__descriptor, run_new } },
	{ "/varve.v1.Cache/Mount", service_call_run, GRPC_METHOD_CHANGES,
	  &(const struct service_handler){ &varve__v1__mount_request__descriptor, run_mount } },
	{ "/varve.v1.Cache/Unmount", service_call_run, GRPC_METHOD_CHANGES,
	  &(const struct service_handler){ &varve__v1__id_request__descriptor, run_unmount } },
	{ "/varve.v1.Cache/Commit", service_call_run, GRPC_METHOD_CHANGES,
	  &(const struct service_handler){ &varve__v1__lease_id_request__descriptor, run_commit } },
	{ "/varve.v1.Cache/Finalize", service_call_run, GRPC_METHOD_CHANGES,
	  &(const struct service_handler){ &varve__v1__id_request__descriptor, run_finalize } },
	{ "/varve.v1.Cache/Get", service_call_run, GRPC_METHOD_CHANGES,
	  &(const struct service_handler){ &varve__v1__get_request__descriptor, run_get } },
	{ "/varve.v1.Cache/Release", service_call_run, GRPC_METHOD_CHANGES,
	  &(const struct service_handler){ &varve__v1__lease_id_request__descriptor,
					   run_release } },
	{ "/varve.v1.Cache/Remove", service_call_run, GRPC_METHOD_CHANGES,
	  &(const struct service_handler){ &varve__v1__id_request__descriptor, run_remove } },
	{ "/varve.v1.Cache/Pin", service_call_run, GRPC_METHOD_CHANGES,
	  &(const struct service_handler){ &varve__v1__pin_request__descriptor, run_pin } },
	{ "/varve.v1.Cache/Label", service_call_run, GRPC_METHOD_CHANGES,
	  &(const struct service_handler){ &varve__v1__label_request__descriptor, run_label } },
	{ "/varve.v1.Cache/List", service_call_run, GRPC_METHOD_READS,
	  &(const struct service_handler){ &varve__v1__list_request__descriptor, run_list } },
	{ "/varve.v1.Cache/Readers", service_call_run, GRPC_METHOD_READS,
	  &(const struct service_handler){ &varve__v1__readers_request__descriptor, run_readers } },
	{ "/varve.v1.Cache/Stats", service_call_run, GRPC_METHOD_READS,
	  &(const struct service_handler){ &varve__v1__stats_request__descriptor, run_stats } },
	{ "/varve.v1.Cache/Files", service_call_run, GRPC_METHOD_READS,
	  &(const struct service_handler){ &varve__v1__files_request__descriptor, run_files } },
	{ "/varve.v1.Cache/LeaseCreate", service_call_run, GRPC_METHOD_CHANGES,
	  &(const struct service_handler){ &varve__v1__lease_request__descriptor,
					   run_lease_create } },
	{ "/varve.v1.Cache/LeaseRemove", service_call_run, GRPC_METHOD_CHANGES,
	  &(const struct service_handler){ &varve__v1__lease_request__descriptor,
					   run_lease_remove } },
	{ "/varve.v1.Cache/LeaseNeed", service_call_run, GRPC_METHOD_CHANGES,
	  &(const struct service_handler){ &varve__v1__need_request__descriptor, run_lease_need } },
	{ "/varve.v1.Cache/LeaseList", service_call_run, GRPC_METHOD_READS,
	  &(const struct service_handler){ &varve__v1__empty__descriptor, run_lease_list } },
	{ NULL, NULL, GRPC_METHOD_CHANGES, NULL },
};
