/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides which peers may call: root and the members of a group; through a read-only socket, which
 * serves only methods that read, also another group or everybody. The modes of the socket files
 * match, but each call is decided here.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include <sys/un.h>

#include "daemon/config.h"
#include "base/error.h"
#include "transport/grpc_call.h"
#include "transport/grpc_service.h"

struct access {
	const struct config *config;
	const char *group_name, *read_only_group_name;
	gid_t group, read_only_group; /* (gid_t)-1: the group does not exist */
	bool everybody_reads;
};

/* -ENOENT: the configuration names a group that does not exist. The default groups may be missing.
 */
int access_open(const struct config *config, struct access *ret_access, struct error *e);
/* Binds the socket to its path, where only the members of its group may connect. No other thread
 * may run yet: this changes the process's umask for a moment. */
int access_bind(const struct access *a, int fd, const struct sockaddr_un *address, bool read_only,
		struct error *e);
/* -EPERM, with a text that says what to do. */
int access_check(const struct access *a, const struct grpc_peer *peer, int socket,
		 const struct grpc_method *method, struct error *e);
