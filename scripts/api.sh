#!/bin/sh
# Lists the exported API, which importers compile against, as text.
# Usage: scripts/api.sh          compare it with the baseline in api/, and fail if they differ
#        scripts/api.sh --write  make it the baseline
set -eu
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

(cd tools && GOWORK=off go build -o "$tmp/apilist" ./apilist)
public() { go list ./... | grep -vE '/(internal|cmd|examples)(/|$)'; }
{
	# shellcheck disable=SC2046 # package paths have no blanks
	GOWORK=off "$tmp/apilist" . $(public)
	for module in audittest auditotel auditwitness; do
		GOWORK=off "$tmp/apilist" "$module" . # what lies below are programs and internal packages
	done
} >"$tmp/api.txt"

case "${1:-}" in
--write) mkdir -p api && cp "$tmp/api.txt" api/coordaudit.txt ;;
'')
	diff -u api/coordaudit.txt "$tmp/api.txt" && exit 0
	echo "api.sh: the exported API changed; if that is intended, say so in CHANGELOG.md and run: make api" >&2
	exit 1 ;;
*) echo "api.sh: unknown argument: $1; the only one is --write" >&2; exit 2 ;;
esac
