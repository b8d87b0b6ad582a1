#!/bin/sh
# Tests scripts/release.sh. It releases a version in a scratch clone, pushes it to a bare clone, and builds a service
# against it, without a replace directive, as an importer does. Other modules come from the module proxy.
set -eu
cd "$(dirname "$0")/.."
root=github.com/hoc-analytics/coordaudit
version=v0.0.1-rc.1
tmp=$(mktemp -d)
trap 'chmod -R u+w "$tmp"; rm -rf "$tmp"' EXIT
step() { echo "release-test: $*"; }

step "releasing $version in a scratch clone"
git clone -q --bare . "$tmp/bare.git"
git clone -q "$tmp/bare.git" "$tmp/work"
(
	cd "$tmp/work"
	git config user.name release-test
	git config user.email release-test@example.com
	scripts/release.sh "$version"
	git push -q origin HEAD "$version" "audittest/$version" "auditotel/$version" "auditwitness/$version"
	if scripts/release.sh "$version" 2>/dev/null; then echo "release-test: release.sh released the same version twice" >&2; exit 1; fi
)

step "building a service against the bare clone, without a replace directive"
cp -R examples/service "$tmp/service"
cat >"$tmp/gitconfig" <<END
[url "file://$tmp/bare.git"]
	insteadOf = https://$root
END
cd "$tmp/service"
export GIT_CONFIG_GLOBAL="$tmp/gitconfig" GIT_ALLOW_PROTOCOL=file GOPRIVATE="$root" GOWORK=off GOFLAGS=-mod=mod GOMODCACHE="$tmp/modules"
# Modules that the machine has already need no download.
GOPROXY="file://$(cd / && GOMODCACHE='' go env GOMODCACHE)/cache/download,$(GOPROXY='' go env GOPROXY)"
export GOPROXY
go mod edit -dropreplace "$root" -dropreplace "$root/audittest" -require "$root@$version" -require "$root/audittest@$version"
go mod tidy
go build ./...
go vet ./...
got=$(go list -m -f '{{.Version}}' "$root/audittest")
[ "$got" = "$version" ] || { echo "release-test: the service got audittest $got, not $version" >&2; exit 1; }
step "the service builds with $root@$version and its audittest"
