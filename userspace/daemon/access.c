/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/access.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define NO_GROUP ((gid_t)-1)

static int find_group(const char *said, const char *default_name, const char **ret_name,
		      gid_t *ret_gid, struct error *e)
{
	const char *name = said ? said : default_name;
	const struct group *group = getgrnam(name);

	if (!group && said)
		return error_set(e, -ENOENT, "group '%s' does not exist: groupadd --system %s",
				 name, name);
	*ret_name = name;
	*ret_gid = group ? group->gr_gid : NO_GROUP;
	return 0;
}

int access_open(const struct config *config, struct access *ret_access, struct error *e)
{
	struct access a = { .config = config, .read_only_group = NO_GROUP };
	const char *readers = config->file.read_only_group;
	int code = find_group(config->file.group, CONFIG_DEFAULT_GROUP, &a.group_name, &a.group, e);

	if (code < 0)
		return code;
	a.everybody_reads = readers && strcmp(readers, CONFIG_EVERYBODY) == 0;
	if (!a.everybody_reads)
		code = find_group(readers, CONFIG_DEFAULT_READ_ONLY_GROUP, &a.read_only_group_name,
				  &a.read_only_group, e);
	if (code < 0)
		return code;
	*ret_access = a;
	return 0;
}

/* The kernel makes a socket's file with the mode of the socket, less the umask, and in the group of
 * the thread: nothing is changed by its path, where another file may be by then. */
static int bind_as(int fd, const struct sockaddr_un *address, mode_t mode, gid_t gid,
		   struct error *e)
{
	mode_t umask_before = umask(0);
	int gid_before = gid == NO_GROUP ? -1 : setfsgid(gid), code = 0;

	if (fchmod(fd, mode) < 0 ||
	    bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		code = error_set(e, -errno, "bind %s: %s", address->sun_path, strerror(errno));
	if (gid_before >= 0)
		(void)setfsgid((gid_t)gid_before);
	(void)umask(umask_before);
	return code;
}

int access_bind(const struct access *a, int fd, const struct sockaddr_un *address, bool read_only,
		struct error *e)
{
	bool everybody = read_only && a->everybody_reads;
	gid_t gid = read_only ? a->read_only_group : a->group;
	struct stat st;
	int code;

	/* Without a group, only root can use it. */
	if (everybody || gid == NO_GROUP)
		return bind_as(fd, address, everybody ? 0666 : 0600, NO_GROUP, e);
	code = bind_as(fd, address, 0660, gid, e);
	if (code == 0 && lstat(address->sun_path, &st) == 0 && st.st_gid != gid)
		return error_set(e, -EPERM,
				 "%s did not get its group: the agent may not set it, or its "
				 "directory gives it another one (chmod g-s)",
				 address->sun_path);
	return code;
}

/* By the groups that the peer had when it connected. */
static bool is_member(const struct grpc_peer *peer, int socket, gid_t gid)
{
	cleanup(free_ptr) gid_t *groups = NULL;
	socklen_t size = 0;

	if (gid == NO_GROUP)
		return false;
	if (peer->gid == gid)
		return true;
	/* The first call returns the size of the list. */
	if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) == 0 || errno != ERANGE)
		return false;
	groups = malloc(size);
	if (!groups || getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups, &size) < 0)
		return false;
	for (size_t i = 0; i < size / sizeof(*groups); i++)
		if (groups[i] == gid)
			return true;
	return false;
}

static int refuse_change(const struct access *a, const struct grpc_method *method, struct error *e)
{
	return error_set(e, -EPERM,
			 "%s may change something, and this socket is read-only: call it at %s, as "
			 "root or as a member of the group %s",
			 method->path, a->config->socket, a->group_name);
}

static int refuse_peer(const struct access *a, const struct grpc_peer *peer, struct error *e)
{
	if (peer->read_only)
		return error_set(
			e, -EPERM,
			"uid %u may not read here: the socket is for root and members of the "
			"group %s",
			peer->uid, a->read_only_group_name);
	return error_set(e, -EPERM,
			 "uid %u may not use this: the socket is for root and members of the group "
			 "%s%s%s",
			 peer->uid, a->group_name,
			 a->config->read_only_socket ? "; to read only, use " : "",
			 a->config->read_only_socket ? a->config->read_only_socket : "");
}

int access_check(const struct access *a, const struct grpc_peer *peer, int socket,
		 const struct grpc_method *method, struct error *e)
{
	bool may_look = peer->read_only && a->everybody_reads;

	if (peer->uid != 0 && !may_look && !is_member(peer, socket, a->group) &&
	    !(peer->read_only && is_member(peer, socket, a->read_only_group)))
		return refuse_peer(a, peer, e);
	if (peer->read_only && method->kind == GRPC_METHOD_CHANGES)
		return refuse_change(a, method, e);
	return 0;
}
