/* SPDX-License-Identifier: Apache-2.0 */
#include "fetch/agent_link.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define BYTES_MAX (FETCH_MESSAGE_MAX - sizeof(struct fetch_reply_head))
#define FACT_SIZE 256
#define TEXT_SIZE 800

int agent_link_receive(char message[FETCH_MESSAGE_MAX], struct fetch_request *ret_request,
		       int *ret_upload_fd, struct error *e)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec vector = { message, FETCH_MESSAGE_MAX };
	struct msghdr m = { .msg_iov = &vector,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	ssize_t length;

	do {
		length = recvmsg(FETCH_SOCKET, &m, MSG_CMSG_CLOEXEC);
	} while (length < 0 && errno == EINTR);
	if (length < 0)
		return error_set(e, -errno, "varve-fetch: read the request: %s", strerror(errno));
	*ret_upload_fd = -1;
	if (m.msg_controllen >= CMSG_LEN(sizeof(int)) && control.head.cmsg_type == SCM_RIGHTS)
		memcpy(ret_upload_fd, CMSG_DATA(&control.head), sizeof(int));
	if ((m.msg_flags & MSG_TRUNC) ||
	    fetch_request_read(message, (size_t)length, ret_request) < 0)
		return error_set(e, -EBADMSG, "varve-fetch: the agent sent an invalid request");
	return 0;
}

static int send_reply(enum fetch_reply_kind kind, int code, int64_t size_bytes, const void *bytes,
		      size_t length)
{
	struct fetch_reply_head head = { .kind = kind, .code = code, .size_bytes = size_bytes };
	struct iovec vectors[] = { { &head, sizeof(head) }, { (void *)bytes, length } };
	struct msghdr m = { .msg_iov = vectors, .msg_iovlen = length > 0 ? 2 : 1 };
	ssize_t sent;

	do {
		sent = sendmsg(FETCH_SOCKET, &m, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -EPIPE : 0;
}

/* Copies what can be printed; other bytes become '?'. Returns the length with the NUL. */
static size_t copy_text(char *to, size_t size, const char *from)
{
	size_t length = 0;

	for (; from && *from && length < size - 1; from++)
		to[length++] = (char)(*from < 0x20 || *from > 0x7e ? '?' : *from);
	to[length] = '\0';
	return length + 1;
}

int agent_link_facts(int64_t size_bytes, const char *media_type, const char *digest)
{
	char texts[2 * FACT_SIZE];
	size_t length = copy_text(texts, FACT_SIZE, media_type);

	length += copy_text(texts + length, FACT_SIZE, digest);
	return send_reply(FETCH_REPLY_FACTS, 0, size_bytes, texts, length);
}

int agent_link_bytes(const void *bytes, size_t length)
{
	const char *at = bytes;
	int code = 0;

	while (code == 0 && length > 0) {
		size_t part = length < BYTES_MAX ? length : BYTES_MAX;

		code = send_reply(FETCH_REPLY_BYTES, 0, 0, at, part);
		at += part;
		length -= part;
	}
	return code;
}

int agent_link_restart(void)
{
	return send_reply(FETCH_REPLY_RESTART, 0, 0, NULL, 0);
}

int agent_link_sent(int64_t bytes)
{
	return send_reply(FETCH_REPLY_SENT, 0, bytes, NULL, 0);
}

int agent_link_done(void)
{
	return send_reply(FETCH_REPLY_DONE, 0, 0, NULL, 0);
}

int agent_link_failed(const struct error *e)
{
	char text[TEXT_SIZE];
	size_t length = copy_text(text, sizeof(text), e->text);

	return send_reply(FETCH_REPLY_FAILED, e->code, 0, text, length);
}

bool agent_link_is_gone(int wait_ms)
{
	struct pollfd p = { .fd = FETCH_SOCKET, .events = POLLRDHUP };

	return poll(&p, 1, wait_ms) > 0;
}
