#!/usr/bin/env bash
# Tags a version of every module that others may require. docs/releasing.md says
# what comes before and after it. Nothing is pushed.
#
#   ./release.sh VERSION -n   checks, and prints the tags in their order; also those
#                             of a version that a check refuses, which exits with 1
#   ./release.sh VERSION      checks, and makes the tags
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

root=github.com/vigil-go/vigil
# A module comes before those that require it.
published=(. vigildebug/prometheus vigildebug/otel cluster cluster/engine/etcdengine)

usage() {
	echo "usage: ./release.sh VERSION [-n], where VERSION is like v0.1.0" >&2
	exit 2
}

faults=0
fault() {
	echo "release.sh: $*" >&2
	faults=$((faults + 1))
}

# The tag of a nested module is its folder and the version.
tag_of() { [[ $1 == . ]] && echo "$version" || echo "$1/$version"; }

check_tree() {
	[[ -z $(git status --porcelain) ]] || fault "the working tree is not clean: commit or stash first"
}

check_changelog() {
	grep -Eq "^## \[${version#v}\] - [0-9]{4}-[0-9]{2}-[0-9]{2}$" CHANGELOG.md ||
		fault "CHANGELOG.md has no heading \"## [${version#v}] - YYYY-MM-DD\""
}

# A replace directive is ignored in the modules of others, so the requirement
# must name what is about to be tagged.
check_requirements() {
	local file
	for file in $(git ls-files '*/go.mod'); do
		grep -Eq "^(require)?[[:space:]]*${root//./\\.} ${version//./\\.}$" "$file" ||
			fault "$file does not require $root $version"
		! grep -E "^(require)?[[:space:]]*${root//./\\.}/" "$file" | grep -Fqv " $version" ||
			fault "$file requires a module of this repository that is not $version"
	done
}

check_tags() {
	local module tag
	for module in "${published[@]}"; do
		tag=$(tag_of "$module")
		! git rev-parse --quiet --verify "refs/tags/$tag" >/dev/null || fault "the tag $tag exists"
	done
}

version= dry=
for argument; do
	case $argument in
	-n) dry=yes ;;
	*) [[ -z $version ]] && version=$argument || usage ;;
	esac
done
# From v2 on, module paths would have to end in the major version.
[[ $version =~ ^v[01]\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$ ]] || usage

check_tree
check_changelog
check_requirements
check_tags
((faults == 0)) || [[ -n $dry ]] || exit 1

for module in "${published[@]}"; do
	tag=$(tag_of "$module")
	echo "git tag -a -m $tag $tag"
	[[ -n $dry ]] || git tag -a -m "$tag" "$tag"
done
((faults == 0))
