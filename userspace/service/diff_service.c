/* SPDX-License-Identifier: Apache-2.0 */
#include "service/diff_service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "diff.pb-c.h"
#include "manager/snapshots/snapshots.h"
#include "service/containerd_blob.h"
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

/* ---- Apply ---- */

/* What containerd itself unpacks, without a program for the media type. */
static bool is_layer(const char *media_type)
{
	static const char *const types[] = {
		"application/vnd.oci.image.layer.v1.tar",
		"application/vnd.oci.image.layer.v1.tar+gzip",
		"application/vnd.oci.image.layer.v1.tar+zstd",
		"application/vnd.oci.image.layer.nondistributable.v1.tar",
		"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
		"application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
		"application/vnd.docker.image.rootfs.diff.tar",
		"application/vnd.docker.image.rootfs.diff.tar.gzip",
		"application/vnd.docker.image.rootfs.diff.tar.zstd",
		"application/vnd.docker.image.rootfs.foreign.diff.tar",
		"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
		"application/vnd.docker.image.rootfs.foreign.diff.tar.zstd",
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (strcmp(media_type, types[i]) == 0)
			return true;
	return false;
}

struct apply {
	const struct diff_service *service;
	struct snapshot_apply_options options;
	struct containerd_blob blob;
	struct tar_apply_result result;
};

static int open_blob(void *user, const char *namespace, int *ret_fd, struct error *e)
{
	struct apply *a = user;
	const struct containerd_access access = {
		.socket = a->service->containerd,
		.namespace = namespace,
		.cancelled = a->options.cancelled,
		.patience_ns = a->service->patience_ns,
	};

	return containerd_blob_open(&a->blob, &access, &a->options.blob, a->options.size_bytes,
				    ret_fd, e);
}

static int read_apply_request(const DIFF(ApplyRequest) * request, struct apply *a, struct error *e)
{
	const DIFF(Descriptor) *diff = request->diff;
	int code;

	if (!diff)
		return error_set(e, -EINVAL, "the request has no descriptor");
	if (!is_layer(diff->media_type) || request->n_payloads > 0)
		return error_set(e, -EOPNOTSUPP, "the media type '%.200s' is not that of a layer",
				 diff->media_type);
	code = digest_parse(diff->digest, &a->options.blob, e);
	for (size_t i = 0; code == 0 && i < diff->n_annotations; i++)
		if (strcmp(diff->annotations[i]->key, UNCOMPRESSED) == 0)
			code = digest_parse(diff->annotations[i]->value, &a->options.diff_id, e);
	a->options.size_bytes = diff->size;
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

const struct grpc_method diff_service_methods[] = {
	{ "/containerd.services.diff.v1.Diff/Apply", service_call_run, GRPC_METHOD_CHANGES,
	  &(const struct service_handler){
		  &containerd__services__diff__v1__apply_request__descriptor, run_apply } },
	{ NULL, NULL, GRPC_METHOD_CHANGES, NULL },
};
