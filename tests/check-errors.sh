#!/bin/sh
# SPDX-License-Identifier: MIT
# Every error that a page of section 3 lists has a row in ERRORS.tsv, and every row a test that is run, in which
# (or in the functions named behind it) that function is called and that error is asserted.
set -eu
cd "${SRCDIR:-$(dirname "$0")/..}"

awk -F '\t' '
function fail(text) {
	print text
	failed = 1
}

# the body of a test or function of a file, from its opening brace on
function body(file, name,    line, text, in_it, key) {
	key = file SUBSEP name
	if (key in bodies)
		return bodies[key]
	text = ""
	while ((getline line < file) > 0) {
		if (line == "START_TEST(" name ")" || line ~ "^[a-z].*[ *]" name "\\([^;]*$")
			in_it = 1
		if (in_it)
			text = text line "\n"
		if (in_it && line == "}")
			break
	}
	close(file)
	return bodies[key] = text
}

function runs(file, name,    line, n) {
	while ((getline line < file) > 0)
		if (line ~ "(^|[^A-Za-z0-9_])" name "([^A-Za-z0-9_]|$)")
			n++
	close(file)
	return n >= 2
}

function check(page, error, symbol, file, test, helpers,    text, names, n, i, part) {
	where = "tests/ERRORS.tsv: " page " " error " " symbol
	if (!((page, error) in listed))
		fail(where ": the page does not list it")
	if (!runs(file, test))
		return fail(where ": " file " has no " test ", or it is never run")
	text = body(file, test)
	n = split(helpers, names, ",")
	for (i = 1; i <= n; i++) {
		part = body(file, names[i])
		if (part == "")
			fail(where ": " file " has no " names[i])
		text = text part
	}
	if (text !~ "-" error "[^A-Z0-9]")
		fail(where ": " test " of " file " does not assert it")
	if (index(text, symbol "(") == 0)
		fail(where ": " test " of " file " does not call it")
}

FILENAME != "tests/ERRORS.tsv" {
	page = FILENAME
	sub(/^man\/xenhost-/, "", page)
	sub(/\.3\.pod$/, "", page)
	if ($0 ~ /^=head1/)
		in_errors = $0 == "=head1 ERRORS"
	if (in_errors && $0 ~ /^=item B</) {
		gsub(/^=item B<|>$/, "")
		n = split($0, errors, ", ")
		for (i = 1; i <= n; i++)
			listed[page, errors[i]] = 1
	}
	next
}

/^#/ { next }

{
	rows++
	has[$1, $2] = 1
	check($1, $2, $3, $4, $5, $6)
}

END {
	for (key in listed)
		if (!(key in has)) {
			split(key, at, SUBSEP)
			fail("man/xenhost-" at[1] ".3.pod: " at[2] " has no row in tests/ERRORS.tsv")
		}
	if (rows < 90)
		fail("tests/ERRORS.tsv: only " rows " rows")
	exit failed
}' man/*.3.pod tests/ERRORS.tsv
