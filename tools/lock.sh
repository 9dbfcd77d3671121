#!/usr/bin/env bash
# lock.sh BIN: write the two lock files anew. Hashes for every file of a release; the address of no package index.
set -euo pipefail
cd "$(dirname "$0")/.."
export CUSTOM_COMPILE_COMMAND="make lock"
compile() {
  "$1/python" -m piptools compile --quiet --upgrade --strip-extras --allow-unsafe --generate-hashes --newline lf \
    --no-emit-index-url --no-emit-find-links --no-emit-trusted-host --extra build "${@:2}" pyproject.toml
}
compile "$1" --output-file requirements.txt
# The second resolution is held to the first, so that what is tested is what runs.
compile "$1" --extra dev --constraint requirements.txt --output-file requirements-dev.txt
