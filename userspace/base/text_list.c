/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int text_list_add(char ***texts, size_t *count, const char *text)
{
	char **more = realloc(*texts, (*count + 1) * sizeof(**texts));

	if (!more)
		return -ENOMEM;
	*texts = more;
	more[*count] = strdup(text);
	if (!more[*count])
		return -ENOMEM;
	++*count;
	return 0;
}

void text_list_free(char **texts, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(texts[i]);
	free(texts);
}
