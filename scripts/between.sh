#!/bin/sh
# Replaces the text between two marker lines of a document.
# Usage: scripts/between.sh DOCUMENT START END FILE
set -eu
document=$1 start=$2 end=$3 text=$4
for marker in "$start" "$end"; do
	grep -qxF -e "$marker" "$document" || { echo "between.sh: $document has no line '$marker'" >&2; exit 1; }
done
awk -v text="$text" -v start="$start" -v end="$end" '
	$0 == end { skip = 0 }
	!skip { print }
	$0 == start { skip = 1; print ""; while ((getline line < text) > 0) print line; print "" }' "$document" >"$text.new"
cat "$text.new" >"$document"
rm -f "$text.new"
