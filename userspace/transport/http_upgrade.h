/* SPDX-License-Identifier: Apache-2.0 */
/* From HTTP/1.1 to HTTP/2 on one connection, as Docker serves gRPC on the socket of its API. */
#pragma once

#include <stdint.h>

#include "base/error.h"

/* Asks for the path with "Upgrade: h2c". Afterwards the socket, which is a blocking one, has
 * nothing but HTTP/2. -EPROTO: the server answered something else; -ETIMEDOUT: it did not answer;
 * -ECONNRESET. */
int http_upgrade(int fd, const char *path, int64_t patience_ns, struct error *e);
