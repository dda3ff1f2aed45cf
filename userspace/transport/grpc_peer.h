/* SPDX-License-Identifier: Apache-2.0 */
/* The process that made a connection. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct grpc_peer {
	uint64_t connection; /* never 0, never used twice by one server */
	pid_t pid; /* SO_PEERCRED */
	uid_t uid;
	gid_t gid;
	bool read_only; /* came through a read-only socket */
};
