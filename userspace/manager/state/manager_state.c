/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/state/manager_state.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct manager *manager_lock(struct manager *m)
{
	ranked_lock_acquire(&m->lock);
	return m;
}

void manager_unlock(struct manager *m)
{
	ranked_lock_release(&m->lock);
}

void manager_yield(struct manager *m)
{
	ranked_lock_yield(&m->lock);
}

void manager_wait(struct manager *m)
{
	ranked_lock_wait(&m->lock, &m->idle);
}

void manager_report(struct manager *m, bool problem, const char *format, ...)
{
	char text[1200];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args); /* a cut text is still a text */
	va_end(args);
	m->report(problem, text, m->user);
}

int manager_find(struct manager *m, const char *id, struct record **ret_record, struct error *e)
{
	char whole_id[RECORD_ID_LENGTH + 1];
	struct record *r;
	int code = record_graph_resolve(m->graph, id, &r, e);

	manager_assert_locked(m);
	if (code < 0)
		return code;
	memcpy(whole_id, r->id, sizeof(whole_id));
	while (r && r->busy) {
		manager_wait(m);
		r = record_graph_find(m->graph, whole_id);
	}
	if (!r || r->state != RECORD_LIVE)
		return error_set(e, -ENOENT, "no record '%s': it has just been removed", whole_id);
	*ret_record = r;
	return 0;
}

void manager_reserve(struct record *r)
{
	manager_assert_some_locked();
	r->busy = true;
	if (r->twin)
		r->twin->busy = true;
}

void manager_unreserve(struct manager *m, struct record *r)
{
	manager_assert_locked(m);
	r->busy = false;
	if (r->twin)
		r->twin->busy = false;
	pthread_cond_broadcast(&m->idle);
}
