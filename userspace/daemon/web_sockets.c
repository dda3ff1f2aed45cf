/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/web_sockets.h"

#include <errno.h>

#include "base/cleanup.h"
#include "daemon/loopback.h"

static void add(struct web_sockets *s, int fd, bool is_local, bool has_pages)
{
	s->web[s->count++] =
		(struct web_socket){ .fd = fd, .is_local = is_local, .has_pages = has_pages };
}

/* Like the read-only socket, the unix socket is for users who may look. */
static int open_pair(struct web_sockets *s, const struct access *access, const char *path,
		     const char *address, bool has_pages, struct error *e)
{
	struct listeners *l = &s->unix_sockets;
	int code = path ? listeners_add(l, access, path, true, e) : 0, fd = -EBADF;

	if (code < 0)
		return code;
	if (path)
		add(s, take_fd(&l->items[l->count - 1].fd), true, has_pages);
	if (!address)
		return 0;
	code = loopback_listen(address, &fd, e);
	if (code < 0)
		return error_context(e, "%s", has_pages ? "[page]" : "[metrics]");
	add(s, fd, false, has_pages);
	return 0;
}

int web_sockets_open(const struct config *config, const struct access *access,
		     struct web_sockets *sockets, struct error *e)
{
	int code = open_pair(sockets, access, config->metrics_socket, config->file.metrics_address,
			     false, e);

	return code < 0 ? code
			: open_pair(sockets, access, config->page_socket, config->file.page_address,
				    true, e);
}

void web_sockets_hand_over(struct web_sockets *sockets, struct web_options *options)
{
	for (size_t i = 0; i < sockets->count; i++) {
		options->sockets[i] = sockets->web[i];
		sockets->web[i].fd = -EBADF;
	}
	options->socket_count = sockets->count;
}

void web_sockets_close(struct web_sockets *sockets)
{
	for (size_t i = 0; i < sockets->count; i++)
		cleanup_close_fd(&sockets->web[i].fd);
	listeners_close(&sockets->unix_sockets);
}
