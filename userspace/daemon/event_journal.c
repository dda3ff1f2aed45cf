/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/event_journal.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include <systemd/sd-journal.h>

#define AT_ONCE 32

struct event_journal {
	struct event_ring *ring;
	pthread_t thread;
};

/* By kind; they never change. */
static const struct {
	const char *message_id;
	int priority;
} kinds[EVENT_KIND_COUNT] = {
	[EVENT_CREATED] = { "7fbb3b0c1d0e4a5f8d3c2a6e9b410001", LOG_DEBUG },
	[EVENT_COMMITTED] = { "7fbb3b0c1d0e4a5f8d3c2a6e9b410002", LOG_DEBUG },
	[EVENT_MOUNTED] = { "7fbb3b0c1d0e4a5f8d3c2a6e9b410003", LOG_DEBUG },
	[EVENT_FIRST_READ] = { "7fbb3b0c1d0e4a5f8d3c2a6e9b410004", LOG_DEBUG },
	[EVENT_EVICTED] = { "7fbb3b0c1d0e4a5f8d3c2a6e9b410005", LOG_INFO },
	[EVENT_REMOVED] = { "7fbb3b0c1d0e4a5f8d3c2a6e9b410006", LOG_DEBUG },
	[EVENT_REGRETTED] = { "7fbb3b0c1d0e4a5f8d3c2a6e9b410007", LOG_INFO },
	[EVENT_FETCHED] = { "7fbb3b0c1d0e4a5f8d3c2a6e9b410008", LOG_DEBUG },
	[EVENT_FETCH_FAILED] = { "7fbb3b0c1d0e4a5f8d3c2a6e9b410009", LOG_WARNING },
	[EVENT_LOST] = { "7fbb3b0c1d0e4a5f8d3c2a6e9b41000a", LOG_WARNING },
	[EVENT_LOW_SPACE] = { "7fbb3b0c1d0e4a5f8d3c2a6e9b41000b", LOG_WARNING },
	[EVENT_OWNER_LOST] = { "7fbb3b0c1d0e4a5f8d3c2a6e9b41000c", LOG_WARNING },
	[EVENT_OWNER_BACK] = { "7fbb3b0c1d0e4a5f8d3c2a6e9b41000d", LOG_INFO },
};

/* An event that the journal does not take is only missing there. */
static void write_event(const struct ring_event *event)
{
	const char *name = event_ring_kind_name(event->kind);

	(void)sd_journal_send("MESSAGE=%s%s%s%s%s", name, *event->record ? " record=" : "",
			      event->record, *event->detail ? ": " : "", event->detail,
			      "PRIORITY=%d", kinds[event->kind].priority, "MESSAGE_ID=%s",
			      kinds[event->kind].message_id, "VARVE_EVENT=%s", name,
			      "VARVE_RECORD=%s", event->record, "VARVE_LAYER=%s", event->layer,
			      "VARVE_BY=%s", event->by, "VARVE_PLAN=%s", event->plan,
			      "VARVE_BYTES=%" PRId64, event->bytes, "VARVE_SEQ=%" PRIu64,
			      event->seq, NULL);
}

static void *write_events(void *arg)
{
	struct event_journal *j = arg;
	struct ring_event events[AT_ONCE];
	uint64_t after = 0, missed;
	bool open = true;
	size_t count;

	do {
		open = event_ring_wait(j->ring, after);
		while ((count = event_ring_read(j->ring, after, events, AT_ONCE, &missed)) > 0) {
			after += count + missed;
			for (size_t i = 0; i < count; i++)
				write_event(&events[i]);
		}
	} while (open);
	return NULL;
}

/* systemd sets it to the device and inode of the stream that it connects to the journal. */
static bool is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat st;

	return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device && st.st_ino == inode;
}

int event_journal_start(struct event_ring *ring, struct event_journal **ret_journal,
			struct error *e)
{
	struct event_journal *j;
	int code;

	*ret_journal = NULL;
	if (!is_journal())
		return 0;
	j = calloc(1, sizeof(*j));
	if (!j)
		return error_set(e, -ENOMEM, "out of memory");
	j->ring = ring;
	code = -pthread_create(&j->thread, NULL, write_events, j);
	if (code < 0) {
		free(j);
		return error_set(e, code, "thread of the journal: %s", strerror(-code));
	}
	*ret_journal = j;
	return 0;
}

void event_journal_stop(struct event_journal *j)
{
	pthread_join(j->thread, NULL);
	free(j);
}
