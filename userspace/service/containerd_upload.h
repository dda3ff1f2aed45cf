/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A blob that is written into containerd's content store: a thread takes it from a pipe and sends
 * it to the service Content. A lease of the agent's own, which ends after an hour, keeps the new
 * blob until containerd's client has made use of it: the client's lease does not reach a proxy
 * plugin.
 */
#pragma once

#include <pthread.h>

#include "base/digest.h"
#include "owners/clients/containerd_client.h"
#include "owners/clients/message_call.h"

/* From zeros; to be ended if it was begun. */
struct containerd_upload {
	struct grpc_channel *channel;
	char *ref;
	char lease[40]; /* "": there is none */
	bool own_ref; /* the caller named none */
	bool committed;
	int pipe_fd; /* the thread's end */
	bool writes; /* there is a thread */
	pthread_t thread;
	int64_t offset;
	struct error failure; /* of the thread */
};

/* `ref`: of the unfinished content; "": any. What an earlier attempt left of it is overwritten.
 * *ret_fd is the caller's, and closed before the upload is committed or ended. */
int containerd_upload_begin(struct containerd_upload *u, const struct containerd_access *access,
			    const char *ref, int *ret_fd, struct error *e);

/* A label of content. */
struct containerd_label {
	const char *key, *value;
};

/* All of the blob has been written into the pipe. A blob that is there already is fine, and gets
 * the last of the labels if it has none of that key. */
int containerd_upload_commit(struct containerd_upload *u, const struct digest *digest, int64_t size,
			     const struct containerd_label *labels, size_t count, struct error *e);
/* What ended the thread is in e: 0 if nothing did, or its pipe was closed. Content that was not
 * committed, and that no caller can name, is given up. */
int containerd_upload_end(struct containerd_upload *u, const struct containerd_access *access,
			  struct error *e);
