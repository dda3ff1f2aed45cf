/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/config_file.h"

#include <stdlib.h>

void config_file_free(struct config_file *f)
{
	free(f->root);
	free(f->socket);
	free(f->backend);
	free(f->read_only_socket);
	free(f->group);
	free(f->read_only_group);
	free(f->credentials);
	free(f->metrics_socket);
	free(f->metrics_address);
	free(f->page_socket);
	free(f->page_address);
	free(f->containerd_address);
	owners_settings_free(&f->owners);
	for (size_t i = 0; i < f->upkeep_count; i++)
		free(f->upkeep[i]);
	free(f->upkeep);
	prune_policies_free(&f->policies);
	*f = (struct config_file){ 0 };
}
