#!/usr/bin/env bash
# check_host.sh PYTHON: is there what a first build needs? Names the Debian package of whatever is missing.
set -u
python=${1:-python3}
missing=()
say() { echo "make: $1" >&2; missing+=("$2"); }

command -v git >/dev/null || say "git is not installed" git
if ! "$python" -c '' 2>/dev/null; then
  say "$python does not run; Python 3.11 or newer is needed" python3
  say "the venv module comes apart from it" python3-venv
elif ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
  echo "make: $python is $("$python" --version 2>&1); Python 3.11 or newer is needed (make PYTHON=python3.11 ...)" >&2
  exit 1
elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
  say "$python has no venv module with ensurepip" python3-venv
fi
[ ${#missing[@]} -eq 0 ] && exit 0
echo "make: on Debian, as root: apt-get install ${missing[*]}" >&2
exit 1
