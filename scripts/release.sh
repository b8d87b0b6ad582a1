#!/bin/sh
# Makes a release: one commit that sets the version in every published module and in CHANGELOG.md, and one tag per module.
# It pushes nothing. Its last line says how to push.
# Usage: scripts/release.sh v1.2.3
#
# audittest, auditotel and auditwitness require the root module at the same version. Their replace directives stay. A build in this
# repository uses the checkout, and the build of an importer ignores them. scripts/release-test.sh tests all of it on a bare clone.
set -eu
cd "$(dirname "$0")/.."
root=github.com/hoc-analytics/coordaudit
published='audittest auditotel auditwitness'

fail() { echo "release: $*" >&2; exit 1; }

[ $# -eq 1 ] || { echo "usage: scripts/release.sh v1.2.3" >&2; exit 2; }
version=$1
expr "$version" : 'v[0-9][0-9]*\.[0-9][0-9]*\.[0-9][0-9]*\(-[0-9A-Za-z.-]*\)\{0,1\}$' >/dev/null || fail "$version is not a version such as v1.2.3 or v1.2.3-rc.1"
[ -z "$(git status --porcelain)" ] || fail "the work tree has changes: commit them first"
for tag in "$version" $(for module in $published; do echo "$module/$version"; done); do
	! git rev-parse -q --verify "refs/tags/$tag" >/dev/null || fail "the tag $tag exists already: choose the next version"
done
grep -q '^## Unreleased$' CHANGELOG.md || fail "CHANGELOG.md has no heading '## Unreleased' to release"

for module in $published; do
	(cd "$module" && go mod edit -require "$root@$version")
done
(cd examples/service && go mod edit -require "$root@$version" -require "$root/audittest@$version")

today=$(date -u +%F)
awk -v heading="## ${version#v} ($today)" '
	$0 == "## Unreleased" { print; print ""; print heading; next }
	{ print }' CHANGELOG.md >CHANGELOG.md.new
mv CHANGELOG.md.new CHANGELOG.md

for module in $published examples/service; do
	(cd "$module" && GOWORK=off go build ./... && GOWORK=off go mod tidy -diff) || fail "$module does not build at $version; undo the edits with: git checkout ."
done

git add CHANGELOG.md audittest/go.mod auditotel/go.mod auditwitness/go.mod examples/service/go.mod
git commit -q -m "release: $version"
git tag -a "$version" -m "coordaudit $version"
for module in $published; do git tag -a "$module/$version" -m "$module $version"; done
echo "release: committed and tagged; to publish: git push origin HEAD $version $(for module in $published; do printf '%s/%s ' "$module" "$version"; done)"
