/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/upkeep_peers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/vec.h"
#include "manager/manager.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* since 6.5 */
#endif

static bool is_upkeep(const struct grpc_method *method)
{
	static const char *const services[] = { "/containerd.services.snapshots.",
						"/containerd.services.diff." };

	for (size_t i = 0; i < ARRAY_SIZE(services); i++)
		if (strncmp(method->path, services[i], strlen(services[i])) == 0)
			return true;
	return false;
}

static bool is_known(const struct upkeep_peers *peers, uint64_t connection)
{
	for (size_t i = 0; i < peers->count; i++)
		if (peers->connections[i] == connection)
			return true;
	return false;
}

/* Not remembered: the next call tries again. */
static void remember(struct upkeep_peers *peers, uint64_t connection)
{
	uint64_t *grown =
		vec_reserve(peers->connections, &peers->capacity, peers->count + 1, sizeof(*grown));

	if (!grown)
		return;
	peers->connections = grown;
	grown[peers->count++] = connection;
}

/* FIXME(kernel < 6.5): the process that is told by its number may be another one by now. */
static int open_peer(int socket, pid_t pid)
{
	socklen_t size = sizeof(int);
	int fd;

	if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &fd, &size) == 0)
		return fd;
	if (errno != ENOPROTOOPT)
		return -errno;
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	return fd < 0 ? -errno : fd;
}

static void mark(struct upkeep_peers *peers, int pidfd, pid_t pid)
{
	struct error e = { 0 };

	if (manager_mark_upkeep(peers->manager, pidfd, &e) < 0 && e.code != -ESRCH)
		log_warning("pid=%d reads by it count as use: %s", pid, e.text);
}

/* Takes the descriptor. */
static int add_early(struct upkeep_peers *peers, int pidfd, pid_t pid)
{
	struct early_peer *grown = vec_reserve(peers->early, &peers->early_capacity,
					       peers->early_count + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	peers->early = grown;
	grown[peers->early_count++] = (struct early_peer){ pidfd, pid };
	return 0;
}

void upkeep_peers_begin(struct upkeep_peers *peers)
{
	peers->can_mark = true;
	for (size_t i = 0; i < peers->early_count; i++) {
		mark(peers, peers->early[i].pidfd, peers->early[i].pid);
		(void)close(peers->early[i].pidfd); /* no data can be lost by this */
	}
	peers->early_count = 0;
}

void upkeep_peers_note(struct upkeep_peers *peers, const struct grpc_peer *peer, int socket,
		       const struct grpc_method *method)
{
	if (peer->read_only || !is_upkeep(method) || is_known(peers, peer->connection))
		return;
	remember(peers, peer->connection);
	cleanup(close_fd) int fd = open_peer(socket, peer->pid);
	/* A process that has ended, or that passed its connection on, reads nothing more. */
	if (fd == -ESRCH || fd == -EINVAL)
		return;
	if (fd < 0)
		log_warning("pid=%d reads by it count as use: open its process: %s", peer->pid,
			    strerror(-fd));
	else if (peers->can_mark)
		mark(peers, fd, peer->pid);
	else if (add_early(peers, fd, peer->pid) == 0)
		(void)take_fd(&fd);
	else
		log_warning("pid=%d reads by it count as use: out of memory", peer->pid);
}

void upkeep_peers_forget(struct upkeep_peers *peers, uint64_t connection)
{
	for (size_t i = 0; i < peers->count; i++)
		if (peers->connections[i] == connection)
			peers->connections[i] = peers->connections[--peers->count];
}

void upkeep_peers_free(struct upkeep_peers *peers)
{
	for (size_t i = 0; i < peers->early_count; i++)
		(void)close(peers->early[i].pidfd); /* no data can be lost by this */
	free(peers->early);
	free(peers->connections);
}
