/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call, as the method that answers it sees it on its worker. The call belongs to the method
 * until it is finished, and stays usable when its client is gone: then it is cancelled.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "transport/grpc_peer.h"

struct grpc_call;
struct grpc_method;

/* One whole message, which lives as long as the call. */
const uint8_t *grpc_call_request(const struct grpc_call *call, size_t *ret_length);
const struct grpc_peer *grpc_call_peer(const struct grpc_call *call);
const struct grpc_method *grpc_call_method(const struct grpc_call *call);
/* True once the client has reset the stream or disconnected, or the deadline (grpc-timeout) has
 * passed. */
bool grpc_call_cancelled(const struct grpc_call *call);
/* The same as a flag, for long work that polls it. It lives as long as the call. */
const atomic_bool *grpc_call_cancel_flag(const struct grpc_call *call);
/* Queues one message (copied) and waits while the client is slow; -ECANCELED when it is gone. */
int grpc_call_send(struct grpc_call *call, const void *message, size_t length);
/* Ends the call with trailers: code is 0 or a negative errno (grpc_status.h), text may be NULL.
 * The call must not be touched afterwards. */
void grpc_call_finish(struct grpc_call *call, int code, const char *text);
/* The same, for a thread that is not a worker and to which a method handed its call. The server
 * must live until it returns. */
void grpc_call_finish_outside(struct grpc_call *call, int code, const char *text);
/* Queues the last or only message, and ends the call with OK. */
void grpc_call_reply(struct grpc_call *call, const void *message, size_t length);
