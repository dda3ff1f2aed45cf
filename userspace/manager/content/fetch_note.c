/* SPDX-License-Identifier: Apache-2.0 */
#include "manager/content/fetch_note.h"

#include <stdio.h>
#include <string.h>

void fetch_note(struct manager *m, const char *digest, int64_t begun_ns, int64_t bytes, int code)
{
	struct ring_event event = { .kind = code < 0 ? EVENT_FETCH_FAILED : EVENT_FETCHED,
				    .bytes = bytes };

	manager_meters_fetched(&m->meters, begun_ns, bytes, code);
	(void)snprintf(event.detail, sizeof(event.detail), "%s%s%s", digest, code < 0 ? ": " : "",
		       code < 0 ? strerror(-code) : "");
	event_ring_add(m->events, &event);
}
