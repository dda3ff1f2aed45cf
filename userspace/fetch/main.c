/* SPDX-License-Identifier: Apache-2.0 */
/*
 * varve-fetch: carries out one request of the agent with one registry. varved starts it with a
 * socket as standard input.
 */
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fetch/agent_link.h"
#include "fetch/fetch_sandbox.h"
#include "fetch/registry_pull.h"
#include "fetch/registry_push.h"

static int serve(const struct fetch_request *request, int upload_fd, struct error *e)
{
	cleanup(registry_client_free) struct registry_client c = { 0 };
	int code = registry_client_init(&c, request, e);

	if (code < 0)
		return code;
	if (request->operation == FETCH_GET_BLOB || request->operation == FETCH_GET_MANIFEST)
		return registry_pull(&c, e);
	if (upload_fd < 0)
		return error_set(e, -EBADMSG, "varve-fetch: there is no file to upload");
	return registry_push(&c, upload_fd, e);
}

/* A password may be in the message. */
static void cleanup_message_erase(char (*message)[FETCH_MESSAGE_MAX])
{
	explicit_bzero(*message, sizeof(*message));
}

static int run(struct error *e)
{
	cleanup(message_erase) char message[FETCH_MESSAGE_MAX];
	struct fetch_request request;
	int upload_fd = -1, code;

	/* Reads the configuration of OpenSSL, which the sandbox forbids later. */
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return error_set(e, -ENOMEM, "varve-fetch: libcurl does not start");
	code = fetch_sandbox_enter(e);
	if (code < 0)
		return code;
	code = agent_link_receive(message, &request, &upload_fd, e);
	return code < 0 ? code : serve(&request, upload_fd, e);
}

static bool is_started_by_agent(void)
{
	int type = 0;
	socklen_t length = sizeof(type);

	return getsockopt(FETCH_SOCKET, SOL_SOCKET, SO_TYPE, &type, &length) == 0 &&
	       type == SOCK_SEQPACKET;
}

int main(void)
{
	struct error e = { 0 };
	int code;

	if (!is_started_by_agent()) {
		(void)fputs("varve-fetch is a helper that varved starts; it has no command line\n",
			    stderr); /* stderr may be closed */
		return 2;
	}
	code = run(&e);
	if (code < 0 && code != -EPIPE)
		(void)agent_link_failed(&e); /* fails when the agent is gone */
	/* Skips the exit handlers of libraries, which may make calls that the sandbox kills. */
	_exit(code < 0 ? 1 : 0);
}
