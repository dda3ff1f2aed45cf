/* SPDX-License-Identifier: Apache-2.0 */
#include "service/containerd_upload.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "containerd.pb-c.h"

#define CONTENT "/containerd.services.content.v1.Content/"
#define CREATE_LEASE "/containerd.services.leases.v1.Leases/Create"
#define LEASE_S 3600
#define PIECE_BYTES (512 << 10) /* a message of containerd has at most 16 MiB */
#define PIPE_BYTES (1 << 20)

/* ---- the lease ---- */

/* Without it the blob is there, too, until containerd next collects what nothing refers to. */
static void make_lease(struct containerd_upload *u)
{
	Varve__Containerd__CreateLeaseRequest request =
		VARVE__CONTAINERD__CREATE_LEASE_REQUEST__INIT;
	Varve__Containerd__CreateLeaseRequest__LabelsEntry
		label = VARVE__CONTAINERD__CREATE_LEASE_REQUEST__LABELS_ENTRY__INIT,
		*labels[] = { &label };
	time_t ends = time(NULL) + LEASE_S;
	char text[sizeof("2000-01-01T00:00:00Z")];
	ProtobufCMessage *reply;
	uint64_t number = 0;
	struct tm utc;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number) || !gmtime_r(&ends, &utc) ||
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
		return;
	(void)snprintf(u->lease, sizeof(u->lease), "varve-diff-%016" PRIx64, number);
	label.key = (char *)"containerd.io/gc.expire";
	label.value = text;
	request.id = u->lease;
	request.labels = labels;
	request.n_labels = 1;
	if (message_call_one(u->channel, CREATE_LEASE, &request.base,
			     &varve__containerd__empty__descriptor, &reply, NULL) < 0)
		u->lease[0] = '\0';
	else
		protobuf_c_message_free_unpacked(reply, NULL);
}

/* A lease is in the headers of a channel. */
static int connect_with_lease(struct containerd_upload *u, const struct containerd_access *access,
			      struct error *e)
{
	struct containerd_access leased = *access;
	int code = containerd_client_connect(access, &u->channel, e);

	if (code < 0)
		return code;
	make_lease(u);
	if (!*u->lease)
		return 0;
	leased.lease = u->lease;
	grpc_channel_free(take_ptr(u->channel));
	return containerd_client_connect(&leased, &u->channel, e);
}

/* ---- the thread ---- */

static int send_piece(struct containerd_upload *u, uint8_t *piece, size_t length, struct error *e)
{
	Varve__Containerd__WriteRequest request = VARVE__CONTAINERD__WRITE_REQUEST__INIT;
	int code;

	request.action = VARVE__CONTAINERD__WRITE_ACTION__WRITE;
	request.ref = u->ref;
	request.offset = u->offset;
	request.data = (ProtobufCBinaryData){ .data = piece, .len = length };
	code = message_call_send(u->channel, &request.base, e);
	if (code == 0)
		u->offset += (int64_t)length;
	return code;
}

/* Fills up: few large messages rather than what the pipe happens to hold. 0 at its end. */
static ssize_t read_piece(int fd, uint8_t *piece, size_t size)
{
	size_t filled = 0;

	while (filled < size) {
		ssize_t length = read(fd, piece + filled, size - filled);

		if (length < 0 && errno == EINTR)
			continue;
		if (length <= 0)
			return length < 0 ? -errno : (ssize_t)filled;
		filled += (size_t)length;
	}
	return (ssize_t)filled;
}

static int send_all(struct containerd_upload *u, struct error *e)
{
	cleanup(free_ptr) uint8_t *piece = malloc(PIECE_BYTES);
	ssize_t length;

	if (!piece)
		return error_set(e, -ENOMEM, "out of memory");
	while ((length = read_piece(u->pipe_fd, piece, PIECE_BYTES)) > 0) {
		int code = send_piece(u, piece, (size_t)length, e);

		if (code < 0)
			return code;
	}
	return length < 0 ? error_set(e, (int)length, "read: %s", strerror((int)-length)) : 0;
}

static void *run_sender(void *upload)
{
	struct containerd_upload *u = upload;

	(void)send_all(u, &u->failure); /* looked at by containerd_upload_end() */
	(void)close(take_fd(&u->pipe_fd));
	return NULL;
}

static int start_sender(struct containerd_upload *u, int *ret_fd, struct error *e)
{
	cleanup(close_fd) int in = -EBADF;
	int ends[2], code;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_set(e, -errno, "make a pipe: %s", strerror(errno));
	u->pipe_fd = ends[0];
	in = ends[1];
	(void)fcntl(in, F_SETPIPE_SZ, PIPE_BYTES); /* a smaller pipe works, too */
	code = pthread_create(&u->thread, NULL, run_sender, u);
	if (code != 0) {
		(void)close(take_fd(&u->pipe_fd));
		return error_set(e, -code, "start a thread: %s", strerror(code));
	}
	u->writes = true;
	*ret_fd = take_fd(&in);
	return 0;
}

static int choose_ref(struct containerd_upload *u, const char *ref, struct error *e)
{
	uint64_t number = 0;

	u->own_ref = !*ref;
	if (u->own_ref && getrandom(&number, sizeof(number), 0) != sizeof(number))
		return error_set(e, -errno, "get a random number: %s", strerror(errno));
	if (!u->own_ref)
		u->ref = strdup(ref);
	else if (asprintf(&u->ref, "varve-diff-%016" PRIx64, number) < 0)
		u->ref = NULL;
	return u->ref ? 0 : error_set(e, -ENOMEM, "out of memory");
}

int containerd_upload_begin(struct containerd_upload *u, const struct containerd_access *access,
			    const char *ref, int *ret_fd, struct error *e)
{
	int code = choose_ref(u, ref, e);

	if (code < 0)
		return code;
	code = connect_with_lease(u, access, e);
	if (code < 0)
		return code;
	/* The replies to the pieces say nothing new. */
	code = grpc_channel_begin(u->channel, CONTENT "Write", NULL, NULL, e);
	return code < 0 ? code : start_sender(u, ret_fd, e);
}

static int join(struct containerd_upload *u, struct error *e)
{
	if (u->writes)
		(void)pthread_join(u->thread, NULL); /* it is ours */
	u->writes = false;
	return u->failure.code < 0 ? error_set(e, u->failure.code, "%s", u->failure.text) : 0;
}

/* ---- the end ---- */

/* The blob was there: without the label containerd would have to unpack it to know its diff id. */
static int add_label(struct containerd_upload *u, const struct digest *digest,
		     const struct containerd_label *label, struct error *e)
{
	Varve__Containerd__UpdateRequest request = VARVE__CONTAINERD__UPDATE_REQUEST__INIT;
	Varve__Containerd__FieldMask mask = VARVE__CONTAINERD__FIELD_MASK__INIT;
	Varve__Containerd__Info info = VARVE__CONTAINERD__INFO__INIT;
	Varve__Containerd__Info__LabelsEntry entry = VARVE__CONTAINERD__INFO__LABELS_ENTRY__INIT,
					     *entries[] = { &entry };
	cleanup(free_ptr) char *path = NULL;
	ProtobufCMessage *reply;
	int code;

	if (asprintf(&path, "labels.%s", label->key) < 0) {
		path = NULL;
		return error_set(e, -ENOMEM, "out of memory");
	}
	entry.key = (char *)label->key;
	entry.value = (char *)label->value;
	info.digest = (char *)digest->text;
	info.labels = entries;
	info.n_labels = 1;
	mask.paths = &path;
	mask.n_paths = 1;
	request.info = &info;
	request.update_mask = &mask;
	code = message_call_one(u->channel, CONTENT "Update", &request.base,
				&varve__containerd__empty__descriptor, &reply, e);
	if (code == 0)
		protobuf_c_message_free_unpacked(reply, NULL);
	return code;
}

static int send_commit(struct containerd_upload *u, const struct digest *digest, int64_t size,
		       const struct containerd_label *labels, size_t count, struct error *e)
{
	Varve__Containerd__WriteRequest request = VARVE__CONTAINERD__WRITE_REQUEST__INIT;
	cleanup(free_ptr) Varve__Containerd__WriteRequest__LabelsEntry *entries =
		calloc(count + 1, sizeof(*entries));
	cleanup(free_ptr) Varve__Containerd__WriteRequest__LabelsEntry **pointers =
		calloc(count + 1, sizeof(*pointers));
	int code;

	if (!entries || !pointers)
		return error_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		varve__containerd__write_request__labels_entry__init(&entries[i]);
		entries[i].key = (char *)labels[i].key;
		entries[i].value = (char *)labels[i].value;
		pointers[i] = &entries[i];
	}
	request.action = VARVE__CONTAINERD__WRITE_ACTION__COMMIT;
	request.ref = u->ref;
	request.offset = request.total = size;
	request.expected = (char *)digest->text;
	request.labels = pointers;
	request.n_labels = count;
	code = message_call_send(u->channel, &request.base, e);
	return code < 0 ? code : grpc_channel_finish(u->channel, e);
}

int containerd_upload_commit(struct containerd_upload *u, const struct digest *digest, int64_t size,
			     const struct containerd_label *labels, size_t count, struct error *e)
{
	int code = join(u, e);

	if (code < 0)
		return code;
	code = send_commit(u, digest, size, labels, count, e);
	if (code == -EEXIST)
		code = count > 0 ? add_label(u, digest, &labels[count - 1], e) : 0;
	u->committed = code == 0;
	return code;
}

static void abort_content(struct containerd_upload *u, const struct containerd_access *access)
{
	Varve__Containerd__AbortRequest request = VARVE__CONTAINERD__ABORT_REQUEST__INIT;
	cleanup(grpc_channel_free) struct grpc_channel *ch = NULL;
	struct containerd_access late = *access;
	ProtobufCMessage *reply;

	request.ref = u->ref;
	late.cancelled = NULL; /* this has to be done then, too */
	/* Should it fail, containerd collects the content after a day. */
	if (containerd_client_connect(&late, &ch, NULL) == 0 &&
	    message_call_one(ch, CONTENT "Abort", &request.base,
			     &varve__containerd__empty__descriptor, &reply, NULL) == 0)
		protobuf_c_message_free_unpacked(reply, NULL);
}

int containerd_upload_end(struct containerd_upload *u, const struct containerd_access *access,
			  struct error *e)
{
	bool begun = u->writes || u->offset > 0;
	int code = join(u, e);

	grpc_channel_free(take_ptr(u->channel)); /* it has the lock of the ref */
	if (begun && u->own_ref && !u->committed)
		abort_content(u, access);
	free(take_ptr(u->ref));
	return code;
}
