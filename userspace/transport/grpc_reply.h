/* SPDX-License-Identifier: Apache-2.0 */
/* A stream's reply: headers, messages, trailers. Private to the server, in the loop's thread. */
#pragma once

#include "transport/grpc_stream.h"

/* Starts the reply, or lets it go on, when there is something of it. */
void grpc_reply_advance(struct grpc_stream *stream);
/* Answers without a worker. */
void grpc_reply_refuse(struct grpc_stream *stream, int code, const char *text);
/* The same for a request that is not gRPC at all, by a status of HTTP. */
void grpc_reply_refuse_http(struct grpc_stream *stream, const char *status);
