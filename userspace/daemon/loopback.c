/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/loopback.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/cleanup.h"

#define BACKLOG 64

static int parse_port(const char *text, in_port_t *ret_port)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long port = digits > 0 && digits <= 5 ? strtoul(text, NULL, 10) : 0;

	if (text[digits] != '\0' || port == 0 || port > UINT16_MAX)
		return -EINVAL;
	*ret_port = htons((uint16_t)port);
	return 0;
}

int loopback_parse(const char *text, union loopback *ret_address)
{
	const char *colon = strrchr(text, ':');
	union loopback address = { 0 };
	char host[INET_ADDRSTRLEN] = "";

	if (!colon)
		return -EINVAL;
	if (strncmp(text, "[::1]:", strlen("[::1]:")) == 0) {
		address.v6.sin6_family = AF_INET6;
		address.v6.sin6_addr = in6addr_loopback;
		if (parse_port(colon + 1, &address.v6.sin6_port) < 0)
			return -EINVAL;
	} else {
		if ((size_t)(colon - text) >= sizeof(host))
			return -EINVAL;
		memcpy(host, text, (size_t)(colon - text));
		address.v4.sin_family = AF_INET;
		if (inet_pton(AF_INET, host, &address.v4.sin_addr) != 1 ||
		    ntohl(address.v4.sin_addr.s_addr) >> 24 != 127 ||
		    parse_port(colon + 1, &address.v4.sin_port) < 0)
			return -EINVAL;
	}
	*ret_address = address;
	return 0;
}

int loopback_listen(const char *text, int *ret_fd, struct error *e)
{
	cleanup(close_fd) int fd = -EBADF;
	union loopback address;
	socklen_t size;
	int one = 1;

	if (loopback_parse(text, &address) < 0)
		return error_set(e, -EINVAL, "'%s' is not a loopback address with a port", text);
	size = address.any.sa_family == AF_INET ? sizeof(address.v4) : sizeof(address.v6);
	fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(e, -errno, "socket: %s", strerror(errno));
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one,
			 sizeof(one)); /* a restart, then, waits */
	if (bind(fd, &address.any, size) < 0 || listen(fd, BACKLOG) < 0)
		return error_set(e, -errno, "listen at %s: %s", text, strerror(errno));
	*ret_fd = take_fd(&fd);
	return 0;
}
