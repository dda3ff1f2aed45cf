/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses that only this machine can reach. */
#pragma once

#include <netinet/in.h>

#include "base/error.h"

union loopback {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* "127.0.0.1:9842", "[::1]:9842". -EINVAL: it is not an address with a port, or others can reach
 * it. */
int loopback_parse(const char *text, union loopback *ret_address);
/* A socket that listens there, and does not block. */
int loopback_listen(const char *text, int *ret_fd, struct error *e);
