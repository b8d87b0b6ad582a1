#!/bin/sh
# Fails where a text uses a word of scripts/words.txt. Usage: scripts/words.sh [PATH...]
set -eu
cd "$(dirname "$0")/.."
tab=$(printf '\t')
found=0
while IFS="$tab" read -r pattern instead; do
	case $pattern in '' | '#'*) continue ;; esac
	if lines=$(git grep -nwiP "$pattern" -- "${@:-.}" ':!scripts/words.txt' ':!docs/predecessor.md' ':!*.sum' ':!*.png'); then
		echo "$lines"
		echo "  say instead: $instead"
		found=$((found + $(echo "$lines" | wc -l)))
	fi
done <scripts/words.txt
if [ "$found" -gt 0 ]; then
	echo "words: $found lines use a word that this project does not use" >&2
	exit 1
fi
