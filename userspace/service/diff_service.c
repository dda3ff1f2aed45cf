/* SPDX-License-Identifier: Apache-2.0 */
#include "service/diff_service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "diff.pb-c.h"
#include "manager/snapshots/snapshots.h"
#include "service/containerd_blob.h"
#include "service/containerd_upload.h"
#include "service/service_call.h"

#define UNCOMPRESSED "containerd.io/uncompressed"
#define MEDIA_TYPE_TAR "application/vnd.oci.image.layer.v1.tar"

#define DIFF(name) Containerd__Services__Diff__V1__##name
#define INIT(NAME) CONTAINERD__SERVICES__DIFF__V1__##NAME##__INIT

/* NULL: no memory. */
static struct snapshot_mount_text *read_mounts(DIFF(Mount) * *from, size_t count)
{
	struct snapshot_mount_text *mounts = calloc(count + 1, sizeof(*mounts));

	for (size_t i = 0; mounts && i < count; i++)
		mounts[i] = (struct snapshot_mount_text){ .type = from[i]->type,
							  .source = from[i]->source,
							  .options = from[i]->options,
							  .option_count = from[i]->n_options };
	return mounts;
}

static struct containerd_access make_access(const struct diff_service *s, const char *namespace,
					    const atomic_bool *cancelled)
{
	return (struct containerd_access){ .socket = s->containerd,
					   .namespace = namespace,
					   .cancelled = cancelled,
					   .patience_ns = s->patience_ns };
}

/* ---- media types ---- */

/* What containerd itself unpacks without a program for the media type. What a blob is compressed
 * with shows when it is read; this is for the blobs that are made. */
static const struct layer_type {
	const char *media_type;
	enum tar_compression compression;
} layer_types[] = {
	{ "application/vnd.oci.image.layer.v1.tar+gzip", TAR_COMPRESSION_GZIP }, /* the default */
	{ "application/vnd.oci.image.layer.v1.tar", TAR_COMPRESSION_NONE },
	{ "application/vnd.oci.image.layer.v1.tar+zstd", TAR_COMPRESSION_ZSTD },
	{ "application/vnd.oci.image.layer.nondistributable.v1.tar", TAR_COMPRESSION_NONE },
	{ "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", TAR_COMPRESSION_GZIP },
	{ "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd", TAR_COMPRESSION_ZSTD },
	{ "application/vnd.docker.image.rootfs.diff.tar", TAR_COMPRESSION_NONE },
	{ "application/vnd.docker.image.rootfs.diff.tar.gzip", TAR_COMPRESSION_GZIP },
	{ "application/vnd.docker.image.rootfs.diff.tar.zstd", TAR_COMPRESSION_ZSTD },
	{ "application/vnd.docker.image.rootfs.foreign.diff.tar", TAR_COMPRESSION_NONE },
	{ "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", TAR_COMPRESSION_GZIP },
	{ "application/vnd.docker.image.rootfs.foreign.diff.tar.zstd", TAR_COMPRESSION_ZSTD },
};

static int find_layer_type(const char *media_type, const struct layer_type **ret_type,
			   struct error *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(layer_types); i++) {
		if (strcmp(media_type, layer_types[i].media_type) != 0)
			continue;
		*ret_type = &layer_types[i];
		return 0;
	}
	return error_set(e, -EOPNOTSUPP, "the media type '%.200s' is not that of a layer",
			 media_type);
}

/* ---- Apply ---- */

struct apply {
	const struct diff_service *service;
	struct snapshot_apply_options options;
	struct containerd_blob blob;
	struct tar_apply_result result;
};

static int open_blob(void *user, const char *namespace, int *ret_fd, struct error *e)
{
	struct apply *a = user;
	const struct containerd_access access =
		make_access(a->service, namespace, a->options.cancelled);

	return containerd_blob_open(&a->blob, &access, &a->options.blob, a->options.size_bytes,
				    ret_fd, e);
}

static int read_apply_request(const DIFF(ApplyRequest) * request, struct apply *a, struct error *e)
{
	const DIFF(Descriptor) *diff = request->diff;
	const struct layer_type *type = NULL;
	int code;

	if (!diff)
		return error_set(e, -EINVAL, "the request has no descriptor");
	/* CRI gives every layer a payload for decryption, which only concerns media types that the
	 * agent does not know. */
	code = find_layer_type(diff->media_type, &type, e);
	if (code < 0)
		return code;
	code = digest_parse(diff->digest, &a->options.blob, e);
	for (size_t i = 0; code == 0 && i < diff->n_annotations; i++)
		if (strcmp(diff->annotations[i]->key, UNCOMPRESSED) == 0)
			code = digest_parse(diff->annotations[i]->value, &a->options.diff_id, e);
	a->options.size_bytes = diff->size;
	a->options.media_type = type->media_type;
	a->options.sync = request->sync_fs;
	return code;
}

static int apply(const DIFF(ApplyRequest) * request, struct apply *a, struct error *e)
{
	cleanup(free_ptr) struct snapshot_mount_text *mounts =
		read_mounts(request->mounts, request->n_mounts);
	struct error late = { 0 };
	int code;

	if (!mounts)
		return error_set(e, -ENOMEM, "out of memory");
	a->options.open_blob = open_blob;
	a->options.user = a;
	code = snapshot_apply(a->service->manager, mounts, request->n_mounts, &a->options,
			      &a->result, e);
	/* A blob that did not come says more than the archive that was cut off by that. */
	if (containerd_blob_close(&a->blob, &late) < 0)
		code = error_set(e, late.code, "unpack blob %s: %s", a->options.blob.text,
				 late.text);
	return code;
}

static void run_apply(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	const DIFF(ApplyRequest) *request = (DIFF(ApplyRequest) *)message;
	DIFF(ApplyReply) reply = INIT(APPLY_REPLY);
	DIFF(Descriptor) applied = INIT(DESCRIPTOR);
	struct error e = { 0 };
	struct apply a = { .service = user,
			   .options = { .cancelled = grpc_call_cancel_flag(call) } };
	int code = read_apply_request(request, &a, &e);

	if (code == 0)
		code = apply(request, &a, &e);
	applied.media_type = (char *)MEDIA_TYPE_TAR;
	applied.digest = a.result.diff_id.text;
	applied.size = (int64_t)a.result.diff_bytes;
	reply.applied = &applied;
	service_call_reply(call, code, &reply.base, &e);
}

/* ---- Diff ---- */

struct diff {
	const struct diff_service *service;
	const DIFF(DiffRequest) * request;
	const struct layer_type *type;
	struct snapshot_diff_options options;
	struct timespec newest;
	char *namespace;
	struct containerd_access access; /* set when there is an upload */
	struct containerd_upload upload;
	struct tar_diff_result result;
};

static void diff_free(struct diff *d)
{
	free(d->namespace);
}
DEFINE_CLEANUP_VALUE(struct diff, diff_free)

static int open_output(void *user, const char *namespace, int *ret_fd, struct error *e)
{
	struct diff *d = user;

	d->namespace = strdup(namespace);
	if (!d->namespace)
		return error_set(e, -ENOMEM, "out of memory");
	d->access = make_access(d->service, d->namespace, d->options.cancelled);
	return containerd_upload_begin(&d->upload, &d->access, d->request->ref, ret_fd, e);
}

static int read_diff_request(struct diff *d, struct error *e)
{
	const DIFF(Timestamp) *epoch = d->request->source_date_epoch;
	const char *media_type = d->request->media_type;
	int code =
		find_layer_type(*media_type ? media_type : layer_types[0].media_type, &d->type, e);

	if (code < 0)
		return code;
	d->options.compression = d->type->compression;
	d->options.open_output = open_output;
	d->options.user = d;
	if (epoch) {
		d->newest = (struct timespec){ epoch->seconds, epoch->nanos };
		d->options.newest = &d->newest;
	}
	return 0;
}

static int write_layer(struct diff *d, struct error *e)
{
	const DIFF(DiffRequest) *request = d->request;
	cleanup(free_ptr) struct snapshot_mount_text *left =
		read_mounts(request->left, request->n_left);
	cleanup(free_ptr) struct snapshot_mount_text *right =
		read_mounts(request->right, request->n_right);

	if (!left || !right)
		return error_set(e, -ENOMEM, "out of memory");
	return snapshot_diff(d->service->manager, left, request->n_left, right, request->n_right,
			     &d->options, &d->result, e);
}

/* With the diff id as the last label, which containerd reads. */
static int commit_layer(struct diff *d, struct error *e)
{
	const DIFF(DiffRequest) *request = d->request;
	cleanup(free_ptr) struct containerd_label *labels =
		calloc(request->n_labels + 1, sizeof(*labels));
	size_t count = 0;

	if (!labels)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < request->n_labels; i++)
		if (strcmp(request->labels[i]->key, UNCOMPRESSED) != 0)
			labels[count++] = (struct containerd_label){ request->labels[i]->key,
								     request->labels[i]->value };
	labels[count++] = (struct containerd_label){ UNCOMPRESSED, d->result.diff_id.text };
	return containerd_upload_commit(&d->upload, &d->result.blob, (int64_t)d->result.blob_bytes,
					labels, count, e);
}

static int diff(struct diff *d, struct error *e)
{
	struct error late = { 0 };
	int code = write_layer(d, e);

	if (code == 0)
		code = commit_layer(d, e);
	/* What containerd says tells more than that the pipe to it was closed. */
	if (containerd_upload_end(&d->upload, &d->access, &late) < 0)
		code = error_set(e, late.code, "%s", late.text);
	return code;
}

static void run_diff(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	DIFF(DiffReply) reply = INIT(DIFF_REPLY);
	DIFF(Descriptor) made = INIT(DESCRIPTOR);
	struct error e = { 0 };
	cleanup(diff_free) struct diff d = {
		.service = user,
		.request = (const DIFF(DiffRequest) *)message,
		.options = { .cancelled = grpc_call_cancel_flag(call) },
	};
	int code = read_diff_request(&d, &e);

	if (code == 0)
		code = diff(&d, &e);
	if (code == 0) {
		made.media_type = (char *)d.type->media_type;
		made.digest = d.result.blob.text;
		made.size = (int64_t)d.result.blob_bytes;
	}
	reply.diff = &made;
	service_call_reply(call, code, &reply.base, &e);
}

const struct grpc_method diff_service_methods[] = {
	{ "/containerd.services.diff.v1.Diff/Apply", service_call_run, GRPC_METHOD_CHANGES,
	  &(const struct service_handler){
		  &containerd__services__diff__v1__apply_request__descriptor, run_apply } },
	/* The tar is written into containerd's store, and holds what files hold. */
	{ "/containerd.services.diff.v1.Diff/Diff", service_call_run, GRPC_METHOD_CHANGES,
	  &(const struct service_handler){
		  &containerd__services__diff__v1__diff_request__descriptor, run_diff } },
	{ NULL, NULL, GRPC_METHOD_CHANGES, NULL },
};
