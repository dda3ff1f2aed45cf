/* SPDX-License-Identifier: Apache-2.0 */
#include "service/containerd_blob.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "containerd.pb-c.h"

#define PLUGINS "/containerd.services.introspection.v1.Introspection/Plugins"
#define READ "/containerd.services.content.v1.Content/Read"
#define PIPE_BYTES (1 << 20)

/* ---- the file ---- */

static const char *find_root(const Varve__Containerd__PluginsReply *reply)
{
	for (size_t i = 0; i < reply->n_plugins; i++)
		for (size_t j = 0; j < reply->plugins[i]->n_exports; j++)
			if (strcmp(reply->plugins[i]->exports[j]->key, "root") == 0)
				return reply->plugins[i]->exports[j]->value;
	return NULL;
}

/* The folder in which containerd keeps its content, the caller's to free; NULL: not known. */
static int ask_root(struct grpc_channel *ch, char **ret_root, struct error *e)
{
	char *filters[] = { (char *)"type==io.containerd.content.v1,id==content" };
	Varve__Containerd__PluginsRequest request = VARVE__CONTAINERD__PLUGINS_REQUEST__INIT;
	ProtobufCMessage *reply;
	const char *root;
	int code;

	request.filters = filters;
	request.n_filters = 1;
	code = message_call_one(ch, PLUGINS, &request.base,
				&varve__containerd__plugins_reply__descriptor, &reply, e);
	if (code == -ETIMEDOUT || code == -ECANCELED || code == -EAGAIN)
		return code;
	if (code < 0)
		return 0; /* then not: the service Content may answer all the same */
	root = find_root((Varve__Containerd__PluginsReply *)reply);
	if (root && *root == '/')
		*ret_root = strdup(root);
	protobuf_c_message_free_unpacked(reply, NULL);
	return 0;
}

/* Negative when it is not there as it should be: then the service is asked. */
static int open_file(const char *root, const struct digest *digest, int64_t size)
{
	cleanup(free_ptr) char *path = NULL;
	cleanup(close_fd) int fd = -EBADF;
	struct stat st;

	if (asprintf(&path, "%s/blobs/sha256/%s", root, digest_hex(digest)) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (size > 0 && st.st_size != size))
		return -EINVAL;
	return take_fd(&fd);
}

/* ---- the pipe ---- */

static int write_all(int fd, const uint8_t *bytes, size_t length, struct error *e)
{
	while (length > 0) {
		ssize_t written = write(fd, bytes, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return error_set(e, -errno, "write: %s", strerror(errno));
		bytes += written;
		length -= (size_t)written;
	}
	return 0;
}

static int write_piece(const uint8_t *bytes, size_t length, void *blob, struct error *e)
{
	const struct containerd_blob *b = blob;
	ProtobufCMessage *message = message_call_unpack(
		b->channel, &varve__containerd__read_reply__descriptor, bytes, length, e);
	const ProtobufCBinaryData *piece;
	int code;

	if (!message)
		return e->code;
	piece = &((Varve__Containerd__ReadReply *)message)->data;
	code = write_all(b->pipe_fd, piece->data, piece->len, e);
	protobuf_c_message_free_unpacked(message, NULL);
	return code;
}

static int read_blob(struct containerd_blob *b, struct error *e)
{
	Varve__Containerd__ReadRequest request = VARVE__CONTAINERD__READ_REQUEST__INIT;
	int code = grpc_channel_begin(b->channel, READ, write_piece, b, e);

	request.digest = b->digest.text;
	if (code < 0)
		return code;
	code = message_call_send(b->channel, &request.base, e);
	return code < 0 ? code : grpc_channel_finish(b->channel, e);
}

static void *run_reader(void *blob)
{
	struct containerd_blob *b = blob;

	(void)read_blob(b, &b->failure); /* looked at when the blob is closed */
	(void)close(take_fd(&b->pipe_fd));
	return NULL;
}

static int start_reader(struct containerd_blob *b, int *ret_fd, struct error *e)
{
	cleanup(close_fd) int out = -EBADF;
	int ends[2], code;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_set(e, -errno, "make a pipe: %s", strerror(errno));
	out = ends[0];
	b->pipe_fd = ends[1];
	(void)fcntl(out, F_SETPIPE_SZ, PIPE_BYTES); /* a smaller pipe works, too */
	code = pthread_create(&b->thread, NULL, run_reader, b);
	if (code != 0) {
		(void)close(take_fd(&b->pipe_fd));
		return error_set(e, -code, "start a thread: %s", strerror(code));
	}
	b->reads = true;
	*ret_fd = take_fd(&out);
	return 0;
}

int containerd_blob_open(struct containerd_blob *b, const struct containerd_access *access,
			 const struct digest *digest, int64_t size, int *ret_fd, struct error *e)
{
	cleanup(free_ptr) char *root = NULL;
	int code = containerd_client_connect(access, &b->channel, e), fd;

	if (code < 0)
		return code;
	b->digest = *digest;
	code = ask_root(b->channel, &root, e);
	if (code < 0)
		return code;
	fd = root ? open_file(root, digest, size) : -ENOENT;
	if (fd < 0)
		return start_reader(b, ret_fd, e);
	*ret_fd = fd;
	return 0;
}

int containerd_blob_close(struct containerd_blob *b, struct error *e)
{
	int code = 0;

	if (b->reads)
		(void)pthread_join(b->thread, NULL); /* it is ours */
	b->reads = false;
	if (b->failure.code < 0 && b->failure.code != -EPIPE)
		code = error_set(e, b->failure.code, "%s", b->failure.text);
	grpc_channel_free(take_ptr(b->channel));
	return code;
}
