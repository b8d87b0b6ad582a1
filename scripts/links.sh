#!/bin/sh
# Fails where a link of a Markdown file leads to no file. It does not check addresses on the web.
set -eu
cd "$(dirname "$0")/.."
broken=$(git ls-files '*.md' | while read -r doc; do
	grep -oE '\]\([^):# ]+[)#]' "$doc" | sed 's/^..//; s/.$//' | while read -r target; do
		[ -e "$(dirname "$doc")/$target" ] || echo "links: $doc: there is no $target"
	done || true
done)
[ -z "$broken" ] || { echo "$broken" >&2; exit 1; }
