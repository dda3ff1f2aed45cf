/* SPDX-License-Identifier: Apache-2.0 */
#include "service/content_service.h"

#include <errno.h>
#include <string.h>

#include "manager/images/images.h"
#include "manager/content/content.h"
#include "service/service_call.h"
#include "varve.pb-c.h"

#define UNCOMPRESSED "containerd.io/uncompressed"

static int read_compression(const char *name, enum image_compression *ret_compression,
			    struct error *e)
{
	static const struct {
		const char *name;
		enum image_compression compression;
	} names[] = { { "", IMAGE_USUAL_COMPRESSION },
		      { "gzip", IMAGE_GZIP },
		      { "zstd", IMAGE_ZSTD },
		      { "none", IMAGE_UNCOMPRESSED } };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(name, names[i].name) != 0)
			continue;
		*ret_compression = names[i].compression;
		return 0;
	}
	return error_set(e, -EINVAL, "no compression '%.40s': gzip, zstd and none are", name);
}

static int send_progress(const struct content_progress_report *p, void *user)
{
	Varve__V1__ContentEvent event = VARVE__V1__CONTENT_EVENT__INIT;
	Varve__V1__Progress progress = VARVE__V1__PROGRESS__INIT;

	progress.action = (char *)p->action;
	progress.what = (char *)p->what;
	progress.done = p->done_bytes;
	progress.total = p->total_bytes;
	event.event_case = VARVE__V1__CONTENT_EVENT__EVENT_PROGRESS;
	event.progress = &progress;
	return service_call_send(user, &event.base);
}

static struct content_watch watch_of(struct grpc_call *call)
{
	return (struct content_watch){ .cancelled = grpc_call_cancel_flag(call),
				       .progress = send_progress,
				       .user = call };
}

static void reply_summary(struct grpc_call *call, int code, const struct image_summary *s,
			  const struct error *e)
{
	Varve__V1__ContentEvent event = VARVE__V1__CONTENT_EVENT__INIT;
	Varve__V1__ImageSummary summary = VARVE__V1__IMAGE_SUMMARY__INIT;

	summary.id = (char *)s->id;
	summary.manifest = (char *)s->manifest;
	summary.layers = s->layers;
	summary.new_layers = s->new_layers;
	summary.bytes = s->bytes;
	event.event_case = VARVE__V1__CONTENT_EVENT__EVENT_SUMMARY;
	event.summary = &summary;
	service_call_reply(call, code, &event.base, e);
}

static const char *find_diff_id(const Varve__V1__BlobRequest *request)
{
	for (size_t i = 0; i < request->n_annotations; i++)
		if (strcmp(request->annotations[i]->key, UNCOMPRESSED) == 0)
			return request->annotations[i]->value;
	return NULL;
}

static void run_get_by_blob(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Varve__V1__BlobRequest *request = (Varve__V1__BlobRequest *)message;
	struct error e = { 0 };
	int code;
	struct lease_holder holder = service_call_holder(call, request->lease);
	struct image_blob blob = {
		.digest = request->digest,
		.media_type = request->media_type,
		.size_bytes = request->size,
		.diff_id = find_diff_id(request),
		.registry = request->registry,
		.repository = request->repository,
		.parent = request->parent,
		.description = request->description,
		.type = request->record_type,
		.image_ref = request->image_ref,
		.created_ns = request->created_ns,
	};
	Varve__V1__BlobReply found = VARVE__V1__BLOB_REPLY__INIT;
	char id[RECORD_ID_LENGTH + 1] = "";
	bool is_new = false;

	code = image_by_blob(user, &blob, &holder, id, &is_new, &e);
	found.id = id;
	found.new_ = is_new;
	service_call_reply(call, code, &found.base, &e);
}

static void run_extract(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Varve__V1__IdRequest *request = (Varve__V1__IdRequest *)message;
	struct error e = { 0 };
	int code;
	struct image_summary summary = { 0 };
	struct content_watch watch = watch_of(call);

	code = content_extract(user, request->id, &watch, &e);
	reply_summary(call, code, &summary, &e);
}

static void run_import(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Varve__V1__ImportRequest *request = (Varve__V1__ImportRequest *)message;
	struct error e = { 0 };
	int code;
	struct lease_holder holder = service_call_holder(call, request->lease);
	struct image_import_options options = { .source = request->source,
						.lazy = request->lazy,
						.watch = watch_of(call) };
	struct image_summary summary = { 0 };

	code = image_import(user, &options, &holder, &summary, &e);
	reply_summary(call, code, &summary, &e);
}

static void run_export(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Varve__V1__ExportRequest *request = (Varve__V1__ExportRequest *)message;
	struct error e = { 0 };
	int code;
	struct image_export_options options = { .id = request->id,
						.destination = request->destination,
						.watch = watch_of(call) };
	struct image_summary summary = { 0 };

	code = read_compression(request->compression, &options.compression, &e);
	if (code == 0)
		code = image_export(user, &options, &summary, &e);
	reply_summary(call, code, &summary, &e);
}

static int send_piece(const void *bytes, size_t length, void *user)
{
	Varve__V1__DiffPiece piece = VARVE__V1__DIFF_PIECE__INIT;

	piece.tar = (ProtobufCBinaryData){ .data = (uint8_t *)bytes, .len = length };
	return service_call_send(user, &piece.base);
}

static void run_diff(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Varve__V1__DiffRequest *request = (Varve__V1__DiffRequest *)message;
	struct error e = { 0 };
	int code;
	struct content_watch watch = { .cancelled = grpc_call_cancel_flag(call) };
	enum image_compression compression = IMAGE_USUAL_COMPRESSION;

	code = read_compression(request->compression, &compression, &e);
	if (code == 0)
		code = image_pack_diff(user, request->id, compression, &watch, send_piece, call,
				       &e);
	service_call_finish(call, code, &e);
}

const struct grpc_method content_service_methods[] = {
	{ "/varve.v1.Cache/GetByBlob", service_call_run, GRPC_METHOD_CHANGES,
	  &(const struct service_handler){ &varve__v1__blob_request__descriptor,
					   run_get_by_blob } },
	{ "/varve.v1.Cache/Extract", service_call_run, GRPC_METHOD_CHANGES,
	  &(const struct service_handler){ &varve__v1__id_request__descriptor, run_extract } },
	{ "/varve.v1.Cache/Import", service_call_run, GRPC_METHOD_CHANGES,
	  &(const struct service_handler){ &varve__v1__import_request__descriptor, run_import } },
	{ "/varve.v1.Cache/Export", service_call_run, GRPC_METHOD_CHANGES,
	  &(const struct service_handler){ &varve__v1__export_request__descriptor, run_export } },
	/* It changes nothing, but it sends the content of files, so the read-only socket does not
	 * serve it. */
	{ "/varve.v1.Cache/Diff", service_call_run, GRPC_METHOD_CHANGES,
	  &(const struct service_handler){ &varve__v1__diff_request__descriptor, run_diff } },
	{ NULL, NULL, GRPC_METHOD_CHANGES, NULL },
};
