/* SPDX-License-Identifier: Apache-2.0 */
/* Who holds a record, for messages. */
#include "manager/records/record_holders.h"

#include <stdio.h>
#include <string.h>

/* "cli" and two others */
void record_holders_describe(const struct record *r, char *text, size_t size)
{
	size_t others = 0;

	manager_assert_some_locked();
	(void)snprintf(text, size, "no lease");
	for (const struct hold *h = r->holds; h; h = h->next_of_record, others++)
		if (h == r->holds)
			(void)snprintf(text, size, "lease '%.100s'", h->lease->name);
	if (others > 1)
		(void)snprintf(text + strlen(text), size - strlen(text), " and %zu more",
			       others - 1);
}
