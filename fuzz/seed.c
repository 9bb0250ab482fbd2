/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * seed - reads a seed in a readable form, and writes its bytes to standard output
 *
 *	01 ff		bytes in hexadecimal
 *	u16:513		a number of 2 bytes, little-endian; also u32: and u64:, decimal or 0x…
 *	"QMP\n"		text; the escapes are \n, \0, \", \' and \\
 *	'{"id": 1}'	the same: text that contains double quotes is easier to read so
 *	# …		a comment, to the end of the line
 *
 * Seeds are kept in this form because the repository contains no binary files.
 */
#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool write_number(const char *word)
{
	unsigned long bits = strtoul(word + 1, NULL, 10);
	const char *digits = strchr(word, ':');
	uint64_t value;
	char *end;

	if (!digits || (bits != 16 && bits != 32 && bits != 64))
		return false;
	value = strtoull(digits + 1, &end, 0);
	if (end == digits + 1 || *end)
		return false;
	for (unsigned long i = 0; i < bits / 8; i++, value >>= 8)
		putchar((int)(value & 0xff));
	return true;
}

static bool write_byte(const char *word)
{
	if (strlen(word) != 2 || !isxdigit((unsigned char)word[0]) ||
	    !isxdigit((unsigned char)word[1]))
		return false;
	putchar((int)strtoul(word, NULL, 16));
	return true;
}

/* Copies text after an opening @quote; false when there is no closing one. */
static bool write_text(int quote)
{
	int c;

	while ((c = getchar()) != EOF && c != quote) {
		if (c == '\\')
			c = getchar();
		else if (putchar(c) != EOF)
			continue;
		switch (c) {
		case 'n':
			putchar('\n');
			break;
		case '0':
			putchar('\0');
			break;
		case '"':
		case '\'':
		case '\\':
			putchar(c);
			break;
		default:
			return false;
		}
	}
	return c == quote;
}

static void skip_comment(void)
{
	int c;

	while ((c = getchar()) != EOF && c != '\n')
		;
}

int main(void)
{
	char word[64] = "";
	int c;

	while ((c = getchar()) != EOF) {
		if (c == '#') {
			skip_comment();
		} else if (c == '"' || c == '\'') {
			if (write_text(c))
				continue;
			fprintf(stderr,
				"seed: a text that is not ended, or a wrong escape in it\n");
			return 1;
		} else if (!isspace(c)) {
			ungetc(c, stdin);
			if (scanf("%63[^ \t\r\n\"'#]", word) == 1 &&
			    (*word == 'u' ? write_number(word) : write_byte(word)))
				continue;
			fprintf(stderr, "seed: neither a byte nor a number: %s\n", word);
			return 1;
		}
	}
	return 0;
}
