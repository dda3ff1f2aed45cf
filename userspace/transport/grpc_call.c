/* SPDX-License-Identifier: Apache-2.0 */
#include "transport/grpc_call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "transport/grpc_call_state.h"

struct grpc_call *grpc_call_new(struct grpc_mailbox *mailbox, struct grpc_share *share,
				size_t max_message_bytes)
{
	struct grpc_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->mailbox = mailbox;
	call->request.max_message_bytes = max_message_bytes;
	grpc_outbox_init(&call->outbox, share);
	return call;
}

void grpc_call_free(struct grpc_call *call)
{
	if (!call)
		return;
	grpc_budget_release(call->outbox.share, call->request_held_bytes);
	grpc_frame_reader_free(&call->request);
	grpc_outbox_free(&call->outbox);
	free(call);
}

void grpc_call_hold_request(struct grpc_call *call)
{
	grpc_budget_hold(call->outbox.share, call->request.capacity - call->request_held_bytes);
	call->request_held_bytes = call->request.capacity;
}

void grpc_call_run(void *arg)
{
	struct grpc_call *call = arg;
	const struct grpc_mailbox *box =
		call->mailbox; /* once it has ended, the call may be gone */

	if (grpc_call_cancelled(call))
		grpc_call_finish(call, -ECANCELED, NULL);
	else
		call->method->run(call, call->user);
	if (box->deliver)
		box->deliver(box->user);
}

const uint8_t *grpc_call_request(const struct grpc_call *call, size_t *ret_length)
{
	*ret_length = call->request.length;
	return call->request.message;
}

const struct grpc_peer *grpc_call_peer(const struct grpc_call *call)
{
	return &call->peer;
}

const struct grpc_method *grpc_call_method(const struct grpc_call *call)
{
	return call->method;
}

bool grpc_call_cancelled(const struct grpc_call *call)
{
	return atomic_load(&call->outbox.cancelled);
}

const atomic_bool *grpc_call_cancel_flag(const struct grpc_call *call)
{
	return &call->outbox.cancelled;
}

int grpc_call_send(struct grpc_call *call, const void *message, size_t length)
{
	int code = grpc_outbox_put(&call->outbox, message, length);

	if (code == 0)
		grpc_mailbox_post(call->mailbox, &call->mail, false);
	return code;
}

void grpc_call_finish(struct grpc_call *call, int code, const char *text)
{
	grpc_outbox_end(&call->outbox, code, text);
	grpc_mailbox_post(call->mailbox, &call->mail, true);
}

void grpc_call_finish_outside(struct grpc_call *call, int code, const char *text)
{
	struct grpc_mailbox *box = call->mailbox; /* once it has ended, the call may be gone */

	grpc_call_finish(call, code, text);
	grpc_mailbox_wake(box); /* a worker would deliver it; see grpc_call_run() */
}

void grpc_call_reply(struct grpc_call *call, const void *message, size_t length)
{
	int code = grpc_outbox_put(&call->outbox, message, length);

	grpc_call_finish(call, code, code < 0 ? strerror(-code) : NULL);
}
