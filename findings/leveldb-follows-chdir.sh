#!/usr/bin/env bash
# plyvel 1.5.1 (the LevelDB in its wheel): a database that was opened by a relative path looks its path up anew for each file.
#
# Guess: after a change of directory the next new file fails loudly, as it does where nothing lies at that path. Seen: where
# another closed database of that name lies below the new directory, every put and the close succeed; log and table files go
# into the other one and files there are overwritten; afterwards neither opens: the first misses files, the other is damaged.
#
# A store of Ossicle holds on to the directory it was opened in (docs/HAZARDS.md).
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install --disable-pip-version-check plyvel==1.5.1
seen="$(cd "$folder" && "$folder/venv/bin/python" "$here/chdir_probe.py" leveldb 60000)"
echo "plyvel==1.5.1: $seen"
wanted="acknowledged: 60000 - close raised nothing
first database: missing files
other database: unreadable"
[ "$seen" = "$wanted" ] || { echo "this has changed; the head of this script says what was seen"; exit 1; }
