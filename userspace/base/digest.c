/* SPDX-License-Identifier: Apache-2.0 */
#include "base/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#define ALGORITHM "sha256:"
#define HASH_BYTES 32

struct digest_sum {
	EVP_MD_CTX *context;
};

static size_t hex_length(const char *text)
{
	return strspn(text, "0123456789abcdef");
}

int digest_parse(const char *text, struct digest *ret_digest, struct error *e)
{
	/* algorithm ::= component (separator component)*, encoded ::= [a-zA-Z0-9=_-]+ */
	size_t algorithm = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789+._-");
	const char *encoded = text + algorithm + 1;

	if (algorithm == 0 || text[algorithm] != ':' || !*encoded)
		return error_set(e, -EINVAL, "'%.100s' is not a digest", text);
	if (strncmp(text, ALGORITHM, strlen(ALGORITHM)) != 0)
		return error_set(e, -EOPNOTSUPP, "the digest %.100s is not of sha256", text);
	if (hex_length(encoded) != 2 * HASH_BYTES || encoded[2 * HASH_BYTES])
		return error_set(e, -EINVAL, "'%.100s' is not a sha256 digest of 64 hex digits",
				 text);
	memcpy(ret_digest->text, text, DIGEST_TEXT_SIZE);
	return 0;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
	return strcmp(a->text, b->text) == 0;
}

struct digest_sum *digest_sum_new(void)
{
	cleanup(digest_sum_free) struct digest_sum *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->context = EVP_MD_CTX_new();
	if (!s->context || !EVP_DigestInit_ex(s->context, EVP_sha256(), NULL))
		return NULL;
	return take_ptr(s);
}

void digest_sum_free(struct digest_sum *s)
{
	if (s)
		EVP_MD_CTX_free(s->context);
	free(s);
}

int digest_sum_add(struct digest_sum *s, const void *bytes, size_t length)
{
	return EVP_DigestUpdate(s->context, bytes, length) ? 0 : -ENOMEM;
}

static void write_text(const unsigned char hash[HASH_BYTES], struct digest *ret_digest)
{
	static const char digits[] = "0123456789abcdef";
	char *at = stpcpy(ret_digest->text, ALGORITHM);

	for (size_t i = 0; i < HASH_BYTES; i++) {
		*at++ = digits[hash[i] >> 4];
		*at++ = digits[hash[i] & 15];
	}
	*at = '\0';
}

int digest_sum_end(struct digest_sum *s, struct digest *ret_digest)
{
	unsigned char hash[HASH_BYTES];

	if (!EVP_DigestFinal_ex(s->context, hash, NULL) ||
	    !EVP_DigestInit_ex(s->context, EVP_sha256(), NULL))
		return -ENOMEM;
	write_text(hash, ret_digest);
	return 0;
}

int digest_of(const void *bytes, size_t length, struct digest *ret_digest)
{
	unsigned char hash[HASH_BYTES];

	if (!EVP_Digest(bytes, length, hash, NULL, EVP_sha256(), NULL))
		return -ENOMEM;
	write_text(hash, ret_digest);
	return 0;
}
