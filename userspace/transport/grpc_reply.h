/* SPDX-License-Identifier: Apache-2.0 */
/* What a stream answers: headers, messages, trailers. Private to the server, in the loop's thread.
 */
#pragma once

#include "transport/grpc_call.h"

/* Starts the reply, or lets it go on, when there is something of it. */
void grpc_reply_advance(struct grpc_call *call);
/* Answers without a worker. */
void grpc_reply_refuse(struct grpc_call *call, int code, const char *text);
/* The same for what is no gRPC at all. */
void grpc_reply_refuse_http(struct grpc_call *call, const char *status);
