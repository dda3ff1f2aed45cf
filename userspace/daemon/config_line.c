/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/config_line.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"

int config_line_refuse(struct config_line *l, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (!l->problem[0])
		(void)vsnprintf(l->problem, sizeof(l->problem), format, args);
	va_end(args);
	return 0;
}

bool config_line_section_name(const char *section, const char *kind,
			      char name[CONFIG_SECTION_NAME_SIZE])
{
	size_t prefix = strlen(kind), length = strlen(section);

	if (length < prefix + 4 || length > prefix + 1 + CONFIG_SECTION_NAME_SIZE ||
	    strncmp(section + prefix, " \"", 2) != 0 || section[length - 1] != '"')
		return false;
	(void)snprintf(name, CONFIG_SECTION_NAME_SIZE, "%.*s", (int)(length - prefix - 3),
		       section + prefix + 2);
	return true;
}

int config_line_text(struct config_line *l, char **text, const char *value)
{
	free(*text);
	*text = strdup(value);
	return *text ? 1 : config_line_refuse(l, "out of memory");
}

int config_line_flag(struct config_line *l, bool *flag, const char *name, const char *value)
{
	static const char *const yes[] = { "yes", "true", "on", "1" };
	static const char *const no[] = { "no", "false", "off", "0" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (strcmp(value, yes[i]) != 0 && strcmp(value, no[i]) != 0)
			continue;
		*flag = strcmp(value, yes[i]) == 0;
		return 1;
	}
	return config_line_refuse(l, "%s: invalid value '%.60s' (yes or no)", name, value);
}

int config_line_duration(struct config_line *l, int64_t *ns, const char *name, const char *value)
{
	if (units_parse_duration(value, ns) == 0)
		return 1;
	return config_line_refuse(l, "%s: invalid duration '%.60s' (examples: 15m, 72h, 7d)", name,
				  value);
}

int config_line_space(struct config_line *l, struct prune_space *space, const char *name,
		      const char *value)
{
	if (prune_space_parse(value, space) == 0)
		return 1;
	return config_line_refuse(l, "%s: invalid size '%.60s' (examples: 10G, 500MB, 10%%)", name,
				  value);
}
