/* SPDX-License-Identifier: Apache-2.0 */
#include "web/http_message.h"

#include <string.h>

const char *http_message_parameter(const struct http_request *request, const char *name)
{
	for (size_t i = 0; i < request->parameter_count; i++)
		if (strcmp(request->parameters[i].name, name) == 0)
			return request->parameters[i].value;
	return NULL;
}
