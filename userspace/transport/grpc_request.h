/* SPDX-License-Identifier: Apache-2.0 */
/* From a stream's headers and data to a call on a worker: the callbacks of a connection's session.
 * Private to the server, in the loop. */
#pragma once

#include <nghttp2/nghttp2.h>

void grpc_request_set_callbacks(nghttp2_session_callbacks *callbacks);
