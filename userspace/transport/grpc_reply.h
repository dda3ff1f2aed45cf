/* SPDX-License-Identifier: Apache-2.0 */
/* A stream's reply: headers, messages, trailers. Private to the server, in the loop. */
#pragma once

#include "transport/grpc_stream.h"

/* Starts or resumes the reply if its outbox has output. */
void grpc_reply_advance(struct grpc_stream *stream);
/* Answers a call that no worker runs. */
void grpc_reply_refuse(struct grpc_stream *stream, int code, const char *text);
/* The same with an HTTP status, for a request that is not gRPC. */
void grpc_reply_refuse_http(struct grpc_stream *stream, const char *status);
