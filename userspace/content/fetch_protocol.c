/* SPDX-License-Identifier: Apache-2.0 */
#include "content/fetch_protocol.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/digest.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"
#define ALPHANUMERIC LOWER "ABCDEFGHIJKLMNOPQRSTUVWXYZ" DIGITS

#define REGISTRY_MAX 300
#define REPOSITORY_MAX 255
#define TAG_MAX 128
#define MEDIA_TYPE_MAX 255
#define CREDENTIALS_MAX (16 * 1024)

struct request_head {
	uint32_t operation, stall_seconds;
	int64_t offset_bytes, size_bytes;
};

/* Takes the next text off the message; NULL when it is not there or not printable. */
static const char *take_text(const char **at, const char *end, size_t max)
{
	const char *text = *at, *nul = memchr(text, '\0', (size_t)(end - text));

	if (!nul || (size_t)(nul - text) > max)
		return NULL;
	for (const char *c = text; c < nul; c++)
		if (*c < 0x20 || *c > 0x7e)
			return NULL;
	*at = nul + 1;
	return text;
}

static bool is_of(const char *text, size_t max, const char *characters)
{
	size_t length = strspn(text, characters);

	return length > 0 && length <= max && !text[length];
}

static bool is_registry(const char *text)
{
	static const char *const schemes[] = { "http://", "https://" };

	for (size_t i = 0; i < 2; i++)
		if (strncmp(text, schemes[i], strlen(schemes[i])) == 0) {
			text += strlen(schemes[i]);
			break;
		}
	return is_of(text, REGISTRY_MAX, ALPHANUMERIC ".-_:[]");
}

/* Components of [a-z0-9], joined by '/', and within them by '.', '-' or '_'. */
static bool is_repository(const char *text)
{
	bool joined = true; /* the last character was a joint, or there was none */

	if (!is_of(text, REPOSITORY_MAX, LOWER DIGITS "._-/"))
		return false;
	for (; *text; text++) {
		bool joint = !isalnum((unsigned char)*text);

		/* '_' and '-' may repeat; the registry checks how often. */
		if (joint && joined && *text != '_' && *text != '-')
			return false;
		if (joint && text[1] == '/')
			return false;
		joined = joint;
	}
	return !joined;
}

static bool is_tag(const char *text)
{
	return is_of(text, TAG_MAX, ALPHANUMERIC "._-") && *text != '.' && *text != '-';
}

int fetch_request_check(const struct fetch_request *r, struct error *e)
{
	struct digest digest;
	bool manifest = r->operation == FETCH_GET_MANIFEST || r->operation == FETCH_PUT_MANIFEST;

	if (!is_registry(r->registry))
		return error_set(e, -EINVAL,
				 "invalid registry '%.100s' (expected host or host:port)",
				 r->registry);
	if (!is_repository(r->repository))
		return error_set(e, -EINVAL, "invalid repository name '%.255s'", r->repository);
	if (!manifest || strchr(r->reference, ':'))
		return digest_parse(r->reference, &digest, e);
	if (!is_tag(r->reference))
		return error_set(e, -EINVAL, "invalid tag '%.128s'", r->reference);
	return 0;
}

static void append_text(struct strbuf *out, const char *text)
{
	strbuf_append_bytes(out, text, strlen(text) + 1);
}

void fetch_request_write(const struct fetch_request *r, struct strbuf *out)
{
	struct request_head head = {
		.operation = r->operation,
		.stall_seconds = r->stall_seconds,
		.offset_bytes = r->offset_bytes,
		.size_bytes = r->size_bytes,
	};

	strbuf_append_bytes(out, &head, sizeof(head));
	append_text(out, r->registry);
	append_text(out, r->repository);
	append_text(out, r->reference);
	append_text(out, r->media_type);
	append_text(out, r->credentials);
}

int fetch_request_read(const void *message, size_t length, struct fetch_request *ret_request)
{
	const char *at = message, *end = at + length;
	struct request_head head;
	struct fetch_request r;

	if (length < sizeof(head))
		return -EBADMSG;
	memcpy(&head, at, sizeof(head));
	at += sizeof(head);
	if (head.operation > FETCH_PUT_MANIFEST || head.offset_bytes < 0 || head.size_bytes < 0)
		return -EBADMSG;
	r = (struct fetch_request){
		.operation = (enum fetch_operation)head.operation,
		.stall_seconds = head.stall_seconds,
		.offset_bytes = head.offset_bytes,
		.size_bytes = head.size_bytes,
	};
	if (!(r.registry = take_text(&at, end, REGISTRY_MAX)) ||
	    !(r.repository = take_text(&at, end, REPOSITORY_MAX)) ||
	    !(r.reference = take_text(&at, end, TAG_MAX)) ||
	    !(r.media_type = take_text(&at, end, MEDIA_TYPE_MAX)) ||
	    !(r.credentials = take_text(&at, end, CREDENTIALS_MAX)) || at != end)
		return -EBADMSG;
	if (fetch_request_check(&r, NULL) < 0)
		return -EBADMSG;
	*ret_request = r;
	return 0;
}

int fetch_reply_read(const void *message, size_t length, struct fetch_reply *ret_reply)
{
	const char *at = message, *end = at + length;
	struct fetch_reply_head head;
	struct fetch_reply r = { 0 };

	if (length < sizeof(head))
		return -EBADMSG;
	memcpy(&head, at, sizeof(head));
	at += sizeof(head);
	if (head.kind > FETCH_REPLY_FAILED || head.size_bytes < -1)
		return -EBADMSG;
	r.kind = (enum fetch_reply_kind)head.kind;
	r.size_bytes = head.size_bytes;
	switch (r.kind) {
	case FETCH_REPLY_FACTS:
		if (!(r.media_type = take_text(&at, end, MEDIA_TYPE_MAX)) ||
		    !(r.digest = take_text(&at, end, MEDIA_TYPE_MAX)))
			return -EBADMSG;
		break;
	case FETCH_REPLY_BYTES:
		r.bytes = at;
		r.length = (size_t)(end - at);
		at = end;
		if (r.length == 0)
			return -EBADMSG;
		break;
	case FETCH_REPLY_FAILED:
		r.code = head.code;
		if (r.code >= 0 || r.code < -133 || !(r.text = take_text(&at, end, 800)))
			return -EBADMSG;
		break;
	default:
		break;
	}
	if (at != end)
		return -EBADMSG;
	*ret_reply = r;
	return 0;
}
