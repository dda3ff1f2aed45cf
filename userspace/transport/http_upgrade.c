/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/http_upgrade.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"

#define MAX_HEADER_BYTES 8192

static const char end_of_headers[] = "\r\n\r\n";

static int send_request(int fd, const char *path, struct error *e)
{
	char request[512];
	int length = snprintf(request, sizeof(request),
			      "POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
			      "Upgrade: h2c\r\nContent-Length: 0\r\n\r\n",
			      path);

	/* A new socket takes so few bytes at once. */
	if (send(fd, request, (size_t)length, MSG_NOSIGNAL) != length)
		return error_set(e, -ECONNRESET, "the connection was lost");
	return 0;
}

/* Waits until there is something to read. */
static int wait_for_bytes(int fd, int64_t until_ns, struct error *e)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int ready;

	do {
		int64_t left_ns = until_ns - clock_monotonic_ns();

		if (left_ns <= 0)
			return error_set(e, -ETIMEDOUT, "no answer");
		ready = poll(&p, 1, (int)(left_ns / 1000000) + 1);
	} while (ready == 0 || (ready < 0 && errno == EINTR));
	return ready < 0 ? error_set(e, -errno, "poll: %s", strerror(errno)) : 0;
}

/* Byte by byte, because what follows the headers is HTTP/2. */
static int read_headers(int fd, int64_t until_ns, char headers[MAX_HEADER_BYTES], struct error *e)
{
	size_t length = 0;

	while (length < MAX_HEADER_BYTES - 1) {
		int code = wait_for_bytes(fd, until_ns, e);

		if (code < 0)
			return code;
		if (recv(fd, headers + length, 1, 0) != 1)
			return error_set(e, -ECONNRESET, "the connection was lost");
		headers[++length] = '\0';
		if (length >= strlen(end_of_headers) &&
		    strcmp(headers + length - strlen(end_of_headers), end_of_headers) == 0)
			return 0;
	}
	return error_set(e, -EPROTO, "the headers of its answer are too long");
}

int http_upgrade(int fd, const char *path, int64_t patience_ns, struct error *e)
{
	static const char switching[] = "HTTP/1.1 101 ";
	char headers[MAX_HEADER_BYTES] = "";
	int code = send_request(fd, path, e);

	if (code < 0)
		return code;
	code = read_headers(fd, clock_monotonic_ns() + patience_ns, headers, e);
	if (code < 0)
		return code;
	if (strncmp(headers, switching, strlen(switching)) == 0)
		return 0;
	headers[strcspn(headers, "\r\n")] = '\0';
	return error_set(e, -EPROTO, "no gRPC at %s: '%.100s'", path, headers);
}
