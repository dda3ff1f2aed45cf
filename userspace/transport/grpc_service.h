/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of methods, which services offer and a server serves. */
#pragma once

struct grpc_call;

/* Only methods that read may be called through a read-only socket. Those that read briefly never
 * take long, whatever the store has and the request asks for, and do not wait for a worker behind
 * others. */
enum grpc_method_kind { GRPC_METHOD_CHANGES, GRPC_METHOD_READS, GRPC_METHOD_READS_BRIEFLY };

struct grpc_method {
	const char *path; /* "/package.Service/Method" */
	/* On a worker; must end with grpc_call_finish or grpc_call_reply. */
	void (*run)(struct grpc_call *call, void *user);
	enum grpc_method_kind kind;
	const void *handler; /* the service's own, for `run`; see grpc_call_method() */
};

/* One service, or several whose methods need the same. */
struct grpc_service {
	const struct grpc_method *methods; /* ends with a NULL path; borrowed */
	void *user; /* of its methods */
};
