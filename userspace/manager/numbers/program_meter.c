/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/numbers/program_meter.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "manager/state/manager_state.h"
#include "usage/usage_programs.h"

#define CLIENTS_MAX 64

struct client {
	uint64_t connection;
	int64_t until_ns; /* of CLOCK_BOOTTIME */
};

struct program_meter {
	pthread_mutex_t lock; /* a leaf: nothing is locked with it */
	struct client clients[CLIENTS_MAX];
	size_t count;
	int fd; /* while it is open, the kernel measures */
};

struct program_meter *program_meter_new(void)
{
	struct program_meter *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	pthread_mutex_init(&p->lock, NULL);
	p->fd = -EBADF;
	return p;
}

void program_meter_free(struct program_meter *p)
{
	if (!p)
		return;
	cleanup_close_fd(&p->fd);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static struct client *find(struct program_meter *p, uint64_t connection)
{
	for (size_t i = 0; i < p->count; i++)
		if (p->clients[i].connection == connection)
			return &p->clients[i];
	return NULL;
}

static void remove_client(struct program_meter *p, struct client *c)
{
	*c = p->clients[--p->count];
	if (p->count == 0) {
		cleanup_close_fd(&p->fd);
		p->fd = -EBADF;
	}
}

static bool keep_on(struct program_meter *p, uint64_t connection, int64_t until_ns)
{
	struct client *c = find(p, connection);

	if (!c && p->count == CLIENTS_MAX)
		return false;
	if (p->fd < 0)
		p->fd = usage_programs_measure();
	if (p->fd < 0)
		return false;
	if (!c)
		c = &p->clients[p->count++];
	*c = (struct client){ connection, until_ns };
	return true;
}

bool program_meter_keep_on(struct manager *m, uint64_t connection, int64_t for_ns)
{
	struct program_meter *p = m->program_meter;
	bool on;

	pthread_mutex_lock(&p->lock);
	on = keep_on(p, connection, clock_boot_ns() + for_ns);
	pthread_mutex_unlock(&p->lock);
	return on;
}

void program_meter_connection_closed(struct manager *m, uint64_t connection)
{
	struct program_meter *p = m->program_meter;
	struct client *c;

	pthread_mutex_lock(&p->lock);
	c = find(p, connection);
	if (c)
		remove_client(p, c);
	pthread_mutex_unlock(&p->lock);
}

void program_meter_expire(struct manager *m)
{
	struct program_meter *p = m->program_meter;
	int64_t now_ns = clock_boot_ns();

	pthread_mutex_lock(&p->lock);
	for (size_t i = p->count; i-- > 0;)
		if (p->clients[i].until_ns < now_ns)
			remove_client(p, &p->clients[i]);
	pthread_mutex_unlock(&p->lock);
}
