/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/grpc_stream.h"

#include <stdlib.h>

#include "transport/grpc_lane.h"

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

void grpc_stream_close(struct grpc_stream *stream)
{
	struct grpc_call *call = stream->call;

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
