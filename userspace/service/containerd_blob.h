/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A blob of containerd's content store, to be read: the file itself, where containerd says in which
 * folder of this host it keeps them, else a pipe that a thread fills from the service Content. The
 * bytes are not verified here.
 */
#pragma once

#include <pthread.h>

#include "base/digest.h"
#include "owners/clients/containerd_client.h"
#include "owners/clients/message_call.h"

/* From zeros; to be closed if it was opened. */
struct containerd_blob {
	struct digest digest;
	struct grpc_channel *channel;
	int pipe_fd; /* the thread's end */
	bool reads; /* there is a thread */
	pthread_t thread;
	struct error failure; /* of the thread */
};

/* *ret_fd is the caller's, and closed before the blob is. `size`: what the blob should have, or 0.
 * Whether it is there at all may show only at the end. */
int containerd_blob_open(struct containerd_blob *b, const struct containerd_access *access,
			 const struct digest *digest, int64_t size, int *ret_fd, struct error *e);
/* Waits for the thread, and returns what ended it before the end of the blob: -ENOENT when
 * containerd has no such blob; or see grpc_channel_finish(). 0 also when nothing read the pipe any
 * more. */
int containerd_blob_close(struct containerd_blob *b, struct error *e);
