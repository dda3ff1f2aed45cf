// SPDX-License-Identifier: Apache-2.0
#include "overlay/overlay_options.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/strbuf.h"

/* Nothing that mount options or paths give a meaning to. */
#define NAME_CHARACTERS "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-"

static int check_name(const char *name, struct error *e)
{
	if (!*name || name[strspn(name, NAME_CHARACTERS)])
		return error_set(e, -EINVAL,
				 "'%s' is not a layer's name: letters, digits, _ and - only", name);
	return 0;
}

int overlay_options_check(const struct overlay_spec *spec, struct error *e)
{
	int code = spec->upper ? check_name(spec->upper, e) : 0;

	if (code < 0)
		return code;
	if (!spec->upper && spec->lower_count == 0)
		return error_set(e, -EINVAL, "a read-only mount needs a layer");
	if (spec->lower_count > OVERLAY_MAX_LOWERS)
		return error_set(e, -EMFILE,
				 "%zu layers are too many: the kernel stacks at most %d",
				 spec->lower_count, OVERLAY_MAX_LOWERS);
	for (size_t i = 0; i < spec->lower_count && code == 0; i++)
		code = check_name(spec->lowers[i], e);
	return code;
}

bool overlay_options_need_empty(const struct overlay_spec *spec)
{
	return spec->lower_count < (spec->upper ? 1 : 2);
}

size_t overlay_options_plain(const struct overlay_features *features,
			     const struct overlay_spec *spec,
			     struct overlay_option ret_options[OVERLAY_OPTIONS_PLAIN_MAX])
{
	size_t count = 0;

	/* A layer has to mean the same by itself: no file without its data, and no directory that
	 * names another place in the layers below. Both may be the kernel's default. */
	ret_options[count++] = (struct overlay_option){ "metacopy", "off" };
	ret_options[count++] = (struct overlay_option){ "redirect_dir", "off" };
	/* Without an upper, the kernel ignores index and volatile with a warning in its log. */
	if (spec->upper)
		ret_options[count++] =
			(struct overlay_option){ "index", features->index ? "on" : "off" };
	if (spec->upper && spec->volatile_upper)
		ret_options[count++] = (struct overlay_option){ "volatile", NULL };
	return count;
}

int overlay_options_format(const struct overlay_features *features, const struct overlay_spec *spec,
			   char **ret_text, struct error *e)
{
	struct overlay_option plain[OVERLAY_OPTIONS_PLAIN_MAX];
	size_t plain_count = overlay_options_plain(features, spec, plain);
	cleanup(strbuf_free) struct strbuf b = { 0 };
	const char *colon = "";

	for (size_t i = 0; i < plain_count; i++)
		strbuf_appendf(&b, "%s%s%s,", plain[i].key, plain[i].value ? "=" : "",
			       plain[i].value ?: "");
	if (spec->upper)
		strbuf_appendf(&b, "upperdir=../layers/%s/fs,workdir=../layers/%s/work,",
			       spec->upper, spec->upper);
	strbuf_append(&b, "lowerdir=");
	for (size_t i = 0; i < spec->lower_count; i++) {
		strbuf_appendf(&b, "%s%s", colon, spec->lowers[i]);
		colon = ":";
	}
	if (overlay_options_need_empty(spec))
		strbuf_appendf(&b, "%s../empty", colon);
	if (strbuf_failed(&b))
		return error_set(e, -ENOMEM, "out of memory");
	if (b.length > OVERLAY_OPTIONS_MAX)
		return error_set(e, -ENAMETOOLONG,
				 "the names of %zu layers take %zu bytes of mount options, and "
				 "mount(2) takes %d",
				 spec->lower_count, b.length, OVERLAY_OPTIONS_MAX);
	*ret_text = strbuf_take(&b);
	return 0;
}
