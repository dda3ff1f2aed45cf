/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/grpc_stream.h"

#include <stdlib.h>

#include "base/clock.h"
#include "transport/grpc_lane.h"
#include "transport/grpc_meters.h"
#include "transport/grpc_status.h"

struct grpc_stream *grpc_stream_open(struct grpc_stream **list, int32_t id, struct grpc_call *call)
{
	struct grpc_stream *stream = calloc(1, sizeof(*stream));

	if (!stream)
		return NULL;
	stream->id = id;
	stream->call = call;
	call->stream = stream;
	stream->next = *list;
	stream->link = list;
	if (stream->next)
		stream->next->link = &stream->next;
	*list = stream;
	return stream;
}

static void count_call(const struct grpc_stream *stream)
{
	const struct grpc_call *call = stream->call;
	int64_t took_ns = clock_monotonic_ns() - (int64_t)stream->begun_us * 1000;
	int status = stream->answered ? grpc_status_from_errno(call->outbox.status)
				      : GRPC_STATUS_CANCELLED;

	if (call->method && stream->has_headers)
		grpc_meters_end(stream->meters, call->method, status, took_ns);
}

void grpc_stream_close(struct grpc_stream *stream)
{
	struct grpc_call *call = stream->call;

	count_call(stream);
	sd_event_source_disable_unref(stream->deadline);
	*stream->link = stream->next;
	if (stream->next)
		stream->next->link = stream->link;
	free(stream->path);
	free(stream);

	call->stream = NULL;
	grpc_outbox_cancel(&call->outbox);
	if (call->progress != GRPC_CALL_RUNS)
		grpc_lane_drop_call(call);
}
