/* SPDX-License-Identifier: BSD-3-Clause */
#include "hypervisor/guest_word.h"

#include <string.h>

#include "common/plain_text.h"

#define QMP_PREFIX "qmp:"
#define UUID_PREFIX "uuid:"
#define UUID_DIGITS 32
#define CANDIDATES_SHOWN 8
#define SHELL_SAFE "+,-./:=@_"

bool guest_word_is_address(const char *word)
{
	return g_str_has_prefix(word, QMP_PREFIX) && word[strlen(QMP_PREFIX)];
}

/* The digits of a UUID in lower case, without hyphens, as libvirt reads it; NULL for other text. */
static char *read_uuid_digits(const char *text)
{
	g_autoptr(GString) digits = g_string_new(NULL);

	for (; *text; text++) {
		if (g_ascii_isxdigit(*text))
			g_string_append_c(digits, g_ascii_tolower(*text));
		else if (*text != '-')
			return NULL;
	}
	return digits->len == UUID_DIGITS ? g_strdup(digits->str) : NULL;
}

static bool is_same_uuid(const char *word, const char *uuid)
{
	g_autofree char *wanted = NULL, *digits = NULL;

	if (!uuid)
		return false;
	if (!g_ascii_strcasecmp(word, uuid))
		return true;
	wanted = read_uuid_digits(word);
	digits = read_uuid_digits(uuid);
	return wanted && !g_strcmp0(wanted, digits);
}

static bool is_id(const char *word, int id)
{
	guint64 number;

	return id >= 0 && g_ascii_string_to_unsigned(word, 10, 0, G_MAXINT, &number, NULL) &&
	       number == (guint64)id;
}

/* Whether it was found by its monitor socket; a domain may be called "qmp:PATH", too. */
static bool has_socket(const struct guest_names *guest)
{
	return !strcmp(guest->source, "qmp");
}

/* Whether @word is the name of the socket at @address, or its part before a dot. */
static bool is_socket_name(const char *word, const char *address)
{
	const char *file = strrchr(address, '/');
	size_t length = strlen(word);

	if (!length)
		return false;
	file = file ? file + 1 : address + strlen(QMP_PREFIX);
	return !strncmp(file, word, length) && (!file[length] || file[length] == '.');
}

/* @word as names and addresses are written, whether it is written so already or not. */
static char *canonize_word(const char *word)
{
	g_autofree char *raw = plain_name_decode(word);

	return plain_name(raw);
}

bool guest_word_fits(const char *word, const struct guest_names *guest)
{
	g_autofree char *plain = canonize_word(word);

	if (guest_word_is_address(word))
		return has_socket(guest) && !strcmp(plain, guest->address);
	if (g_str_has_prefix(word, UUID_PREFIX))
		return is_same_uuid(word + strlen(UUID_PREFIX), guest->uuid);
	return !g_strcmp0(plain, guest->name) || !strcmp(plain, guest->address) ||
	       is_same_uuid(word, guest->uuid) || is_id(word, guest->id) ||
	       (has_socket(guest) && is_socket_name(plain, guest->address));
}

char *guest_word_explain_ambiguity(const char *word, const struct guest_names *guests, size_t count)
{
	GString *text = g_string_new(NULL);

	g_string_printf(text, "'%s' means %zu guests: ", word, count);
	for (size_t i = 0; i < count && i < CANDIDATES_SHOWN; i++) {
		const struct guest_names *guest = &guests[i];
		const char *name = guest->name ? guest->name : guest->address;

		g_string_append(text, i ? ", " : "");
		if (has_socket(guest))
			g_string_append_printf(text, "'%s' (%s)", name, guest->address);
		else
			g_string_append_printf(text, "'%s' (" UUID_PREFIX "%s)", name,
					       guest->uuid ? guest->uuid : "not known");
	}
	if (count > CANDIDATES_SHOWN)
		g_string_append_printf(text, " and %zu more", count - CANDIDATES_SHOWN);
	g_string_append(text, "; choose one by what is in parentheses");
	return g_string_free(text, FALSE);
}

char *guest_word_quote(const char *word)
{
	bool is_safe = *word;
	g_autofree char *quoted = NULL;

	for (const char *c = word; *c; c++)
		is_safe &= g_ascii_isalnum(*c) || strchr(SHELL_SAFE, *c);
	quoted = is_safe ? g_strdup(word) : g_shell_quote(word);
	return g_strconcat(*word == '-' ? "-- " : "", quoted, NULL);
}
