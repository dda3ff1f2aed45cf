/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report/report_facts.h"

#include <stdlib.h>

void report_facts_free(struct report_facts *f)
{
	for (size_t i = 0; i < f->image_count; i++)
		free(f->images[i].name);
	for (size_t i = 0; i < f->policy_count; i++) {
		free(f->policies[i].name);
		free(f->policies[i].problem);
	}
	for (size_t i = 0; i < f->change_count; i++) {
		free(f->changes[i].what);
		free(f->changes[i].command);
	}
	free(f->images);
	free(f->policies);
	free(f->changes);
	free(f->backend);
	free(f->images_problem);
	free(f->duplicates_problem);
	if (f->duplicates)
		protobuf_c_message_free_unpacked(&f->duplicates->base, NULL);
	*f = (struct report_facts){ 0 };
}
