/* SPDX-License-Identifier: Apache-2.0 */
#include "service/health_service.h"

#include <errno.h>
#include <string.h>

#include "health.pb-c.h"
#include "service/service_call.h"

/* A method's path is "/<service>/<method>". */
static bool is_served(const struct grpc_service *services, const char *name)
{
	size_t length = strlen(name);

	for (; services->methods; services++)
		for (const struct grpc_method *m = services->methods; m->path; m++)
			if (strncmp(m->path + 1, name, length) == 0 && m->path[1 + length] == '/')
				return true;
	return false;
}

static void run_check(struct grpc_call *call, void *user, ProtobufCMessage *message)
{
	Grpc__Health__V1__HealthCheckRequest *request =
		(Grpc__Health__V1__HealthCheckRequest *)message;
	struct error e = { 0 };
	int code;
	Grpc__Health__V1__HealthCheckResponse response =
		GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
	const struct health_service *health = user;

	response.status = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
	code = 0;
	if (*request->service && !is_served(health->services, request->service))
		code = error_set(&e, -ENOENT, "unknown service %.200s", request->service);
	service_call_reply(call, code, &response.base, &e);
}

const struct grpc_method health_service_methods[] = {
	{ "/grpc.health.v1.Health/Check", service_call_run, GRPC_METHOD_READS_BRIEFLY,
	  &(const struct service_handler){ &grpc__health__v1__health_check_request__descriptor,
					   run_check } },
	{ NULL, NULL, GRPC_METHOD_CHANGES, NULL },
};
